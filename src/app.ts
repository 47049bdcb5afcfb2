/** The composition root of the control plane: the only file that knows every domain and every provider. */
import { createServer } from "node:http";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { QueryExecutorProvider } from "kysely";
import type pg from "pg";
import {
  type AccessTables,
  type Actor,
  type ActorEnv,
  authenticate,
  ensureOwnerToken,
  tokenRoutes,
} from "./access/index.ts";
import {
  CHECK_STATE_CHANNEL,
  CHECKS_CHANNEL,
  type CheckRules,
  type CheckTables,
  checkRoutes,
  healthRoutes,
  keepReadiness,
  maintenanceRoutes,
  type Readiness,
  readUnwell,
  startCheckSync,
} from "./checks/index.ts";
import type { Config } from "./config.ts";
import {
  closePlace,
  deploymentRoutes,
  type Engine,
  type EngineTables,
  readGateSubject,
  slotOf,
  startEngine,
  triggerDeployment,
  wakeWaiting,
} from "./deployments/index.ts";
import {
  type FailoverTables,
  failoverRoutes,
  mirrorUploads,
  type RunningFailover,
  startFailover,
} from "./failover/index.ts";
import type { Clock } from "./foundation/clock.ts";
import { createDatabase, createPool, type Database } from "./foundation/db.ts";
import { createApi } from "./foundation/http.ts";
import { type Ids, randomShare } from "./foundation/ids.ts";
import { listenOn } from "./foundation/listen-on.ts";
import type { Log } from "./foundation/log.ts";
import { migrate } from "./foundation/migrate.ts";
import { notify } from "./foundation/notify.ts";
import { createSecretBox, readOrCreateKey, type SecretBox } from "./foundation/secret-box.ts";
import { type GateTables, gateRoutes, readGateFacts } from "./gates/index.ts";
import {
  type OutsideDeps,
  type OutsideTables,
  outsideRoutes,
  startWatcher,
  vercelWebhookRoutes,
} from "./outside/index.ts";
import {
  existingPreviews,
  type PreviewDeps,
  type PreviewTables,
  previewRoutes,
  readKey,
  startSweeper,
  type TriggerPreview,
} from "./previews/index.ts";
import {
  dockAddress,
  gatewaySocket,
  gitOptions,
  requireDatabaseUrl,
  vercelAddress,
} from "./process-options.ts";
import {
  CONFIG_FILE,
  getProject,
  migrateSchema,
  migrationDirs,
  type ProjectTables,
  prepare,
  prepareStandby,
  projectRoutes,
  readChecks,
  readSchema,
  requireConfig,
  resupplyStandby,
  reupload,
} from "./projects/index.ts";
import { createCloudflareSwitch } from "./providers/hostname-switch/cloudflare.ts";
import { createWebhookSwitch } from "./providers/hostname-switch/webhook.ts";
import { createGatewayMetrics } from "./providers/metrics/gateway.ts";
import { createPrometheus } from "./providers/metrics/prometheus.ts";
import { createPostgresMigrator } from "./providers/migrator/postgres.ts";
import { createVercelVariables } from "./providers/primary-variables/vercel.ts";
import { createProbe } from "./providers/probe/http.ts";
import { loadProbes } from "./providers/probes/index.ts";
import { createGitBranches } from "./providers/pull-requests/git-branches.ts";
import { createGithubPullRequests } from "./providers/pull-requests/github.ts";
import { createGitSource } from "./providers/source/git.ts";
import { createDockStandby } from "./providers/standby/dock.ts";
import { createStatusPage } from "./providers/status-page/statuspage.ts";
import { createVercelTarget } from "./providers/target/vercel.ts";
import { postgresMemory, type VercelMemoryTables } from "./providers/target/vercel-memory.ts";
import { contractsSince, rollbackBarrier, type SchemaTables } from "./schema/index.ts";
import { type SettingsTables, settingsRoutes } from "./settings/index.ts";
import { requireTree, type SourceTables, sourceRoutes } from "./sources/index.ts";
import type { Secrets } from "./supervisor/index.ts";
import type { Target } from "./targets/target.ts";
import {
  type TriggerPush,
  type WebhookDeps,
  type WebhookTables,
  webhookAdminRoutes,
  webhookRoutes,
} from "./webhooks/index.ts";

type Tables = CheckTables &
  FailoverTables &
  ProjectTables &
  SourceTables &
  EngineTables &
  GateTables &
  SchemaTables &
  PreviewTables &
  WebhookTables &
  VercelMemoryTables &
  OutsideTables &
  SettingsTables;
type Deps = { readonly clock: Clock; readonly ids: Ids; readonly log: Log };

export type RunningControl = {
  readonly port: number;
  /** The first owner token, on the start that made it. */
  readonly ownerToken: string | null;
  close(): Promise<void>;
};

const MIGRATIONS = join(import.meta.dirname, "../migrations/control");

/** Starts the control plane: migrates, goes on with what was being deployed, answers the API. */
export async function startControl(config: Config, secrets: Secrets, deps: Deps): Promise<RunningControl> {
  const undo = new AsyncDisposableStack();
  try {
    const { clock, ids, log } = deps;
    const databaseUrl = requireDatabaseUrl(config);
    const onError = (error: Error) => log.warn({ err: error }, "an idle connection to the database broke");
    const pool = createPool({ databaseUrl, applicationName: "signalbox-control", max: 20, onError });
    undo.defer(() => pool.end());
    await migrate({ pool, clock, schema: "public", directory: MIGRATIONS });
    const db = createDatabase<Tables>(pool);
    const ownerToken = await ensureOwnerToken({ db, clock, ids });
    const target = createVercelTarget({ clock, memory: postgresMemory(db) }, vercelAddress(config, secrets));
    const claimPool = createPool({
      databaseUrl,
      applicationName: "signalbox-claims",
      max: 5,
      durable: false,
      onError,
    });
    undo.defer(() => claimPool.end());
    const claims = createDatabase<AccessTables>(claimPool);
    // Of its own: the API's questions must not stand in line behind those of two hundred deployments.
    const enginePool = createPool({ databaseUrl, applicationName: "signalbox-engine", max: 16, onError });
    undo.defer(() => enginePool.end());
    const engineDb = createDatabase<Tables>(enginePool);
    const checkRules = { kinds: await loadProbes(), allowLocal: config.allowLocalChecks };
    const shared = { ...deps, databaseUrl, target, checkRules };
    const engine = await startDeployments(config, { ...shared, db: engineDb, claims, pool: enginePool });
    undo.defer(() => engine.close());
    const readiness = keepReadiness(deps, readinessChecks(pool, target));
    undo.defer(() => readiness.close());
    const box = createSecretBox(await readOrCreateKey(join(config.dir, "control", "secret.key")));
    const sync = startChecks(config, { ...deps, db, box, checkRules });
    undo.defer(() => sync.close());
    const { sweeper, ...reconciled } = await startPreviews(config, { ...deps, db, engine, box });
    undo.defer(() => sweeper.close());
    const failover = startStandby(config, secrets, { ...deps, db });
    undo.defer(async () => failover?.close());
    const { publicUrl } = config;
    const watching = { ...deps, db, box, target, probe: createProbe(deps), publicUrl };
    const watcher = startWatcher(watching, { jitter: randomShare });
    undo.defer(() => watcher.close());
    const outside = { ...watching, wake: watcher.wake };
    const more = { ...reconciled, readiness: readiness.read, failover, outside, box, checkRules };
    const { allowNetworks } = config;
    const api = createControlApi({ ...deps, ...more, db, target, engine, allowNetworks });
    const server = createServer({ requestTimeout: 600_000 }, getRequestListener(api.fetch));
    const port = await listenOn(server, { host: config.host, port: config.port, variable: "SIGNALBOX_PORT" });
    undo.defer(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return { port, ownerToken, close: () => undo.disposeAsync() };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

function startDeployments(
  config: Config,
  deps: Deps & {
    db: Database<Tables>;
    claims: Database<AccessTables>;
    pool: pg.Pool;
    databaseUrl: string;
    target: Target;
    checkRules: CheckRules;
  },
): Promise<Engine> {
  const git = createGitSource(gitOptions(config));
  const { db, clock, log } = deps;
  const sources = { ...deps, git };
  const migrator = createPostgresMigrator({ clock, allowNetworks: config.allowNetworks });
  const prometheus = createPrometheus({ allowNetworks: config.allowNetworks });
  return startEngine({
    ...deps,
    metrics: {
      ...createGatewayMetrics({ adminSocket: gatewaySocket(config), log }),
      query: async (query, signal) => ({ name: query.name, ...(await prometheus(query, signal)) }),
    },
    probe: createProbe(deps),
    prepare: prepare(sources),
    resupply: reupload(sources),
    readGate: async ({ id, projectId, environment }) => {
      const place = { deploymentId: id, projectId, environment, now: clock.now() };
      const [facts, unwell] = await Promise.all([
        readGateFacts(db, place),
        readUnwell({ db, clock }, { projectId, environment }),
      ]);
      return { ...facts, unwell: unwell.filter((each) => each.of === "dependency") };
    },
    verdicts: { read: (place) => readUnwell({ db, clock }, place), channel: CHECK_STATE_CHANNEL },
    migrateSchema: migrateSchema({ ...sources, migrator }),
    planning: {
      readSchema: readSchema({ ...sources, migrator }),
    },
    schemaBarrier: async ({ projectId, slot }) => {
      const applied = await contractsSince(db, { projectId, environment: slot });
      return (contracts) => rollbackBarrier(applied, contracts);
    },
    requireSource: async (projectId, source) => {
      if ("tree" in source) await requireTree(deps.db, projectId, source.tree);
    },
    workerId: deps.ids("worker"),
  });
}

/** Keeps the checks of every environment those of what is live there. */
function startChecks(
  config: Config,
  deps: Deps & { db: Database<Tables>; box: SecretBox; checkRules: CheckRules },
) {
  const sources = { ...deps, git: createGitSource(gitOptions(config)) };
  const { checkRules: rules } = deps;
  return startCheckSync({ ...deps, rules, readChecks: readChecks(sources, rules) });
}

/** Previews and webhooks, which make and end deployments as a person would. */
async function startPreviews(
  config: Config,
  deps: Deps & { db: Database<Tables>; engine: Engine; box: SecretBox },
) {
  const { db, clock, log, engine, box } = deps;
  const trigger = async (actor: Actor, input: TriggerPreview | TriggerPush) => {
    const { deliveryKey, ...what } = input;
    const pullRequest = "pullRequest" in what ? (what.pullRequest ?? undefined) : undefined;
    return (await triggerDeployment(engine.deps, actor, { ...what, pullRequest }, deliveryKey)).id;
  };
  const base = {
    db,
    clock,
    log,
    providers: {
      github: createGithubPullRequests({ ...config.github, clock }),
      branches: createGitBranches(gitOptions(config)),
    },
    existing: (projectId: string) => existingPreviews(db, projectId),
    trigger,
    close: async (actor: Actor, place: { projectId: string; key: string; reason: string }) => {
      const { projectId, key, reason } = place;
      await closePlace(engine.deps, actor, { projectId, slot: previewSlot(key), reason });
    },
  };
  const sweeper = startSweeper(base, { jitter: randomShare });
  return {
    previews: { ...base, wake: sweeper.wake },
    webhooks: { db, clock, box, trigger, wake: sweeper.wake },
    sweeper,
  };
}

/** The place of a preview, by the key that previews go by: `pr-42`, or `branch-<name>`. */
function previewSlot(key: string): string {
  const { branch, pullRequest } = readKey(key);
  return slotOf("preview", branch, pullRequest);
}

/** The dock as the second place. Null: it is the first one already. */
function startStandby(
  config: Config,
  secrets: Secrets,
  deps: Deps & { db: Database<Tables> },
): RunningFailover | null {
  if (config.vercel.token === null) return null;
  const { allowNetworks } = config;
  const standby = createDockStandby(deps, dockAddress(config, secrets));
  const sources = { ...deps, git: createGitSource(gitOptions(config)) };
  return startFailover({
    ...deps,
    standby,
    probe: createProbe({ ...deps, allowNetworks }),
    prepare: prepareStandby(sources),
    resupply: resupplyStandby(sources, standby),
    variables: createVercelVariables(deps, vercelAddress(config, secrets)),
    statusPage: createStatusPage({ allowNetworks }),
    switches: {
      cloudflare: createCloudflareSwitch(config.failover.cloudflare),
      webhook: createWebhookSwitch(deps, { secret: config.failover.webhookSecret, allowNetworks }),
    },
    workerId: deps.ids("worker"),
  });
}

function readinessChecks(pool: pg.Pool, target: Target) {
  return {
    database: () => pool.query("select 1"),
    target: (signal: AbortSignal) => target.ping(signal),
  };
}

function createControlApi(
  deps: Deps & {
    db: Database<Tables>;
    target: Target;
    engine: Engine;
    readiness: () => Readiness;
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
  api.route("/api/health", healthRoutes(deps));
  api.doc31("/api/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Signalbox", version: "0.1.0", license: { name: "Apache-2.0" } },
    security: [{ bearer: [] }],
  });
  api.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  // Proven by their signature, not by a token.
  api.route("/api/webhooks", webhookRoutes<ActorEnv>(deps.webhooks));
  api.route("/api/webhooks", vercelWebhookRoutes<ActorEnv>(deps.outside));
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
  const changed = (tx: QueryExecutorProvider) => notify(tx, CHECKS_CHANNEL, "");
  api.route("/api", settingsRoutes({ ...deps, projectIdOf, changed }));
  api.route("/api", checkRoutes({ ...deps, projectIdOf }));
  return api;
}
