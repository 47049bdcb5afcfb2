import type { OpenAPIHono } from "@hono/zod-openapi";
import type { QueryExecutorProvider } from "kysely";
import { type ActorEnv, authenticate, tokenRoutes } from "./access/index.ts";
import {
  type AgentTables,
  agentRoutes,
  beatRoutes,
  CHECKS_CHANNEL,
  type CheckRules,
  type CheckTables,
  checkRoutes,
  type HeartbeatTables,
  healthRoutes,
  heartbeatRoutes,
  maintenanceRoutes,
  proberRoutes,
  type RunningHealth,
} from "./checks/index.ts";
import {
  deploymentRoutes,
  type Engine,
  type EngineTables,
  readGateSubject,
  wakeWaiting,
} from "./deployments/index.ts";
import {
  type FailoverTables,
  failoverRoutes,
  mirrorUploads,
  type RunningFailover,
} from "./failover/index.ts";
import type { Clock } from "./foundation/clock.ts";
import type { Database } from "./foundation/db.ts";
import { createApi } from "./foundation/http.ts";
import type { Ids } from "./foundation/ids.ts";
import type { Log } from "./foundation/log.ts";
import { notify } from "./foundation/notify.ts";
import type { SecretBox } from "./foundation/secret-box.ts";
import { type GateTables, gateRoutes } from "./gates/index.ts";
import { type OutsideDeps, type OutsideTables, outsideRoutes, vercelWebhookRoutes } from "./outside/index.ts";
import { type PreviewDeps, type PreviewTables, previewRoutes } from "./previews/index.ts";
import {
  CONFIG_FILE,
  getProject,
  migrationDirs,
  type ProjectTables,
  projectRoutes,
  requireConfig,
} from "./projects/index.ts";
import type { SchemaTables } from "./schema/index.ts";
import { type SettingsTables, settingsRoutes } from "./settings/index.ts";
import { type SourceTables, sourceRoutes } from "./sources/index.ts";
import type { Target } from "./targets/target.ts";
import { type WebhookDeps, type WebhookTables, webhookAdminRoutes, webhookRoutes } from "./webhooks/index.ts";

/** Every table of the control plane; each domain sees its own of them. */
export type ControlTables = AgentTables &
  CheckTables &
  HeartbeatTables &
  FailoverTables &
  ProjectTables &
  SourceTables &
  EngineTables &
  GateTables &
  SchemaTables &
  PreviewTables &
  WebhookTables &
  OutsideTables &
  SettingsTables;
type Deps = { readonly clock: Clock; readonly ids: Ids; readonly log: Log };

export function createControlApi(
  deps: Deps & {
    db: Database<ControlTables>;
    target: Target;
    engine: Engine;
    health: RunningHealth;
    previews: PreviewDeps;
    webhooks: WebhookDeps;
    failover: RunningFailover | null;
    outside: OutsideDeps;
    box: SecretBox;
    checkRules: CheckRules;
    allowNetworks: readonly string[];
  },
): OpenAPIHono<ActorEnv> {
  const api = createApi<ActorEnv>(deps);
  api.route("/api/health", healthRoutes({ ...deps, ...deps.health }));
  api.doc31("/api/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Signalbox", version: "0.1.0", license: { name: "Apache-2.0" } },
    security: [{ bearer: [] }],
  });
  api.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  // Proven by their signature, not by a token.
  api.route("/api/webhooks", webhookRoutes<ActorEnv>(deps.webhooks));
  api.route("/api/webhooks", vercelWebhookRoutes<ActorEnv>(deps.outside));
  const changed = (tx: QueryExecutorProvider) => notify(tx, CHECKS_CHANNEL, "");
  const agents = { ...deps, changed };
  // Their addresses and tokens are their own.
  api.route("/api/heartbeats", beatRoutes(deps));
  api.route("/api/agent", agentRoutes<ActorEnv>(agents));
  api.use("/api/*", authenticate(deps));
  api.route("/api/tokens", tokenRoutes(deps));
  api.route("/api", projectRoutes(deps));
  const projectIdOf = async (name: string) => (await getProject(deps.db, name)).id;
  const checkConfig = (text: string) => void requireConfig(text, deps.checkRules);
  const { failover, target } = deps;
  const uploads = failover ? mirrorUploads(deps, target, failover.deps.standby) : target;
  api.route(
    "/api",
    sourceRoutes({
      ...deps,
      target: uploads,
      projectIdOf,
      configFile: CONFIG_FILE,
      checkConfig,
      migrationDirs,
    }),
  );
  // One database; each domain sees its own tables of it.
  const readSubject = (tx: unknown, id: string) => readGateSubject(tx as Database<EngineTables>, id);
  api.route("/api", gateRoutes({ ...deps, projectIdOf, readSubject, wake: wakeWaiting }));
  api.route("/api/deploy", deploymentRoutes(deps.engine.deps));
  api.route("/api", previewRoutes(deps.previews));
  api.route("/api", maintenanceRoutes({ ...deps, projectIdOf }));
  api.route("/api", webhookAdminRoutes(deps.webhooks));
  api.route("/api", failoverRoutes(failover?.deps ?? null));
  api.route("/api", outsideRoutes(deps.outside));
  api.route("/api", settingsRoutes({ ...deps, projectIdOf, changed }));
  api.route("/api", checkRoutes({ ...deps, projectIdOf }));
  api.route("/api", heartbeatRoutes(deps));
  api.route("/api", proberRoutes(agents));
  return api;
}
