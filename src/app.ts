/** The composition root of the control plane: the only file that knows every domain and every provider. */
import { createServer } from "node:http";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type pg from "pg";
import {
  type AccessTables,
  type Actor,
  type ActorEnv,
  authenticate,
  ensureOwnerToken,
  tokenRoutes,
} from "./access/index.ts";
import { healthRoutes, keepReadiness, type Readiness } from "./checks/index.ts";
import type { Config } from "./config.ts";
import {
  closePlace,
  deploymentRoutes,
  type Engine,
  type EngineTables,
  type PlanPorts,
  readGateSubject,
  startEngine,
  triggerDeployment,
  wakeWaiting,
} from "./deployments/index.ts";
import type { Clock } from "./foundation/clock.ts";
import { createDatabase, createPool, type Database } from "./foundation/db.ts";
import { AppError } from "./foundation/errors.ts";
import { createApi } from "./foundation/http.ts";
import { type Ids, randomShare } from "./foundation/ids.ts";
import { listenOn } from "./foundation/listen-on.ts";
import type { Log } from "./foundation/log.ts";
import { migrate } from "./foundation/migrate.ts";
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
  startSweeper,
  type TriggerPreview,
} from "./previews/index.ts";
import { gatewaySocket, requireDatabaseUrl } from "./process-options.ts";
import {
  CONFIG_FILE,
  getProject,
  migrateSchema,
  migrationDirs,
  type ProjectTables,
  prepare,
  projectRoutes,
  requireConfig,
  resolvePlan,
  reupload,
} from "./projects/index.ts";
import { createGatewayMetrics } from "./providers/metrics/gateway.ts";
import { createPrometheus } from "./providers/metrics/prometheus.ts";
import { createPostgresMigrator } from "./providers/migrator/postgres.ts";
import { createProbe } from "./providers/probe/http.ts";
import { createGitBranches } from "./providers/pull-requests/git-branches.ts";
import { createGithubPullRequests } from "./providers/pull-requests/github.ts";
import { createGitSource } from "./providers/source/git.ts";
import { createVercelTarget, type VercelOptions } from "./providers/target/vercel.ts";
import { postgresMemory, type VercelMemoryTables } from "./providers/target/vercel-memory.ts";
import {
  contractsSince,
  lintExpand,
  type Migrator,
  rollbackBarrier,
  type SchemaTables,
} from "./schema/index.ts";
import {
  readMigrationFiles,
  readTree,
  requireTree,
  type Source,
  type SourceTables,
  sourceRoutes,
} from "./sources/index.ts";
import type { Secrets } from "./supervisor/index.ts";
import type { Target } from "./targets/target.ts";
import {
  type TriggerPush,
  type WebhookDeps,
  type WebhookTables,
  webhookAdminRoutes,
  webhookRoutes,
} from "./webhooks/index.ts";

type Tables = AccessTables &
  ProjectTables &
  SourceTables &
  EngineTables &
  GateTables &
  SchemaTables &
  PreviewTables &
  WebhookTables &
  VercelMemoryTables &
  OutsideTables;
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
    const target = createVercelTarget({ clock, memory: postgresMemory(db) }, vercelOptions(config, secrets));
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
    const engine = await startDeployments(config, {
      ...deps,
      db: engineDb,
      claims,
      pool: enginePool,
      databaseUrl,
      target,
    });
    undo.defer(() => engine.close());
    const readiness = keepReadiness(deps, readinessChecks(pool, target));
    undo.defer(() => readiness.close());
    const box = createSecretBox(await readOrCreateKey(join(config.dir, "control", "secret.key")));
    const { sweeper, ...reconciled } = await startPreviews(config, { ...deps, db, engine, box });
    undo.defer(() => sweeper.close());
    const { publicUrl } = config;
    const watching = { ...deps, db, box, target, probe: createProbe(deps), publicUrl };
    const watcher = startWatcher(watching, { jitter: randomShare });
    undo.defer(() => watcher.close());
    const outside = { ...watching, wake: watcher.wake };
    const api = createControlApi({
      ...deps,
      ...reconciled,
      outside,
      db,
      target,
      engine,
      readiness: readiness.read,
    });
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
    readGate: ({ id, projectId, environment }) =>
      readGateFacts(db, { deploymentId: id, projectId, environment, now: clock.now() }),
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

type SchemaDeps = { db: Database<Tables>; clock: Clock; git: Source; migrator: Migrator };

/** A commit's migrations against its own database, for a plan: what the migrator says, and what the files would do. */
function readSchema(deps: SchemaDeps): PlanPorts["readSchema"] {
  return async (input, { files, services, commit: { sha } }, signal) => {
    const { source, environment, projectId } = input;
    const text =
      "tree" in source
        ? (await readTree(deps.db, projectId, source.tree)).config
        : await deps.git.readText(
            { url: source.git, sha: sha ?? "", path: CONFIG_FILE, maxBytes: 1_000_000 },
            signal,
          );
    const { migrations, env } = resolvePlan(requireConfig(text), environment);
    if (!migrations) return { expand: null, contract: null, locking: [], warnings: [] };
    const read = (dir: string | null) => readMigrationFiles(deps, { source, sha, files, dir }, signal);
    const phases = { expand: await read(migrations.expandDir), contract: await read(migrations.contractDir) };
    const { databaseVariable: variable, timeoutMs } = migrations;
    // A preview's variables are filled in for its services only.
    const filled = environment === "preview" ? services.find((each) => each.env[variable])?.env : env;
    const databaseUrl = filled?.[variable];
    if (!databaseUrl) throw new AppError("unprocessable", `the variable ${variable} is not set.`);
    const limitMs = Math.min(timeoutMs, PLAN_DATABASE_MS);
    const asked = { databaseUrl, files: phases, timeoutMs: limitMs };
    const { applied, pending, problems } = await deps.migrator.status(asked, signal);
    const outlook = (phase: "expand" | "contract") => ({
      applied: applied.filter((one) => one.phase === phase).map(({ name }) => name),
      pending: pending.filter((one) => one.phase === phase).map(({ name }) => name),
      problems: problems.filter((problem) => phases[phase].some(({ name }) => problem.startsWith(name))),
    });
    const isPending = new Set(pending.filter(({ phase }) => phase === "expand").map(({ name }) => name));
    const findings = lintExpand(phases.expand.filter(({ name }) => isPending.has(name)));
    const locks = findings.filter(({ message }) => LOCKS.test(message));
    const tell = ({ file, line, message }: (typeof findings)[number]) => `${file}:${line} ${message}`;
    return {
      expand: outlook("expand"),
      contract: outlook("contract"),
      locking: locks.map(tell),
      warnings: [...problems, ...findings.filter((finding) => !locks.includes(finding)).map(tell)],
    };
  };
}

/** Whoever plans waits for the answer. */
const PLAN_DATABASE_MS = 10_000;
/** `lintExpand` says so of what makes others wait. */
const LOCKS = /\block|writes wait/;

function gitOptions(config: Config): Parameters<typeof createGitSource>[0] {
  return {
    cacheDir: join(config.dir, "control", "git"),
    path: config.path,
    networkEnv: config.networkEnv,
    allowNetworks: config.allowNetworks,
    allowLocalPaths: config.allowLocalRepositories,
  };
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
  return `preview:${key.replace(/^branch-/, "")}`;
}

/** The real Vercel when a token for it is set, the dock otherwise: the same code drives both. */
function vercelOptions(config: Config, secrets: Secrets): VercelOptions {
  const { api, token, team, bypass } = config.vercel;
  if (token !== null) {
    const address = { api: api ?? "https://api.vercel.com", token, team, bypass };
    return { ...address, domain: "vercel.app", publicScheme: "https", publicPort: null };
  }
  const host = config.host === "0.0.0.0" || config.host === "::" ? "127.0.0.1" : config.host;
  const address = { api: api ?? `http://${host}:${config.dockPort}`, token: secrets.dockToken, team };
  return { ...address, domain: "localhost", publicScheme: "http", publicPort: config.gatewayPort };
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
    outside: OutsideDeps;
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
  const checkConfig = (text: string) => void requireConfig(text);
  api.route(
    "/api",
    sourceRoutes({ ...deps, projectIdOf, configFile: CONFIG_FILE, checkConfig, migrationDirs }),
  );
  // One database; each domain sees its own tables of it.
  const readSubject = (tx: unknown, id: string) => readGateSubject(tx as Database<EngineTables>, id);
  api.route("/api", gateRoutes({ ...deps, projectIdOf, readSubject, wake: wakeWaiting }));
  api.route("/api/deploy", deploymentRoutes(deps.engine.deps));
  api.route("/api", previewRoutes(deps.previews));
  api.route("/api", webhookAdminRoutes(deps.webhooks));
  api.route("/api", outsideRoutes(deps.outside));
  return api;
}
