/** The composition root of the control plane: the only file that knows every domain and every provider. */
import { createServer, type RequestListener } from "node:http";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import type pg from "pg";
import { type AccessTables, type Actor, ensureOwnerToken } from "./access/index.ts";
import {
  CHECK_STATE_CHANNEL,
  type CheckRules,
  keepListening,
  readUnwell,
  startCheckSync,
  startHealth,
} from "./checks/index.ts";
import type { Config } from "./config.ts";
import { type ControlTables, createControlApi } from "./control-api.ts";
import { closePlace, type Engine, slotOf, startEngine, triggerDeployment } from "./deployments/index.ts";
import { type RunningFailover, startFailover } from "./failover/index.ts";
import type { Clock } from "./foundation/clock.ts";
import { createDatabase, createPool, type Database } from "./foundation/db.ts";
import { type Ids, randomShare } from "./foundation/ids.ts";
import { listenOn } from "./foundation/listen-on.ts";
import type { Log } from "./foundation/log.ts";
import { migrate } from "./foundation/migrate.ts";
import { createSecretBox, readOrCreateKey, type SecretBox } from "./foundation/secret-box.ts";
import { readGateFacts } from "./gates/index.ts";
import { startWatcher } from "./outside/index.ts";
import { existingPreviews, readKey, startSweeper, type TriggerPreview } from "./previews/index.ts";
import {
  dockAddress,
  gatewaySocket,
  gitOptions,
  requireDatabaseUrl,
  vercelAddress,
} from "./process-options.ts";
import {
  migrateSchema,
  prepare,
  prepareStandby,
  readChecks,
  readSchema,
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
import { contractsSince, rollbackBarrier } from "./schema/index.ts";
import { networksOf } from "./settings/index.ts";
import { requireTree } from "./sources/index.ts";
import type { Secrets } from "./supervisor/index.ts";
import type { Target } from "./targets/target.ts";
import type { TriggerPush } from "./webhooks/index.ts";

type Tables = ControlTables & VercelMemoryTables;
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
    const health = await startHealth(databaseUrl, { ...deps, ping: target.ping });
    undo.defer(() => health.close());
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
    const more = { ...reconciled, health, failover, outside, box, checkRules };
    const { allowNetworks } = config;
    const api = createControlApi({ ...deps, ...more, db, target, engine, allowNetworks });
    const answer = getRequestListener(api.fetch);
    const listener: RequestListener = (req, res) => health.board.handle(req, res) || answer(req, res);
    const server = createServer({ requestTimeout: 600_000 }, listener);
    const port = await listenOn(server, { host: config.host, port: config.port, variable: "SIGNALBOX_PORT" });
    // Only while beats are taken: one that is lost while the rest is wound up must not count as silence.
    const listening = keepListening({ ...deps, db });
    undo.defer(async () => {
      // First nobody is sent here any more, then nobody is answered.
      health.own.drain();
      await clock.sleep(config.drainMs);
      await listening.close();
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
  const { db, clock, log } = deps;
  const allowed = { networksOf: networksOf(db, config.allowNetworks) };
  const git = createGitSource(gitOptions(config, allowed.networksOf));
  const sources = { ...deps, git };
  const migrator = createPostgresMigrator({ clock, ...allowed });
  const prometheus = createPrometheus(allowed);
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
  const sources = {
    ...deps,
    git: createGitSource(gitOptions(config, networksOf(deps.db, config.allowNetworks))),
  };
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
      branches: createGitBranches(gitOptions(config, networksOf(db, config.allowNetworks))),
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
  const allowed = { networksOf: networksOf(deps.db, config.allowNetworks) };
  const standby = createDockStandby(deps, dockAddress(config, secrets));
  const sources = { ...deps, git: createGitSource(gitOptions(config, allowed.networksOf)) };
  return startFailover({
    ...deps,
    standby,
    probe: createProbe({ ...deps, ...allowed }),
    prepare: prepareStandby(sources),
    resupply: resupplyStandby(sources, standby),
    variables: createVercelVariables(deps, vercelAddress(config, secrets)),
    statusPage: createStatusPage(allowed),
    switches: {
      cloudflare: createCloudflareSwitch(config.failover.cloudflare),
      webhook: createWebhookSwitch(deps, { secret: config.failover.webhookSecret, ...allowed }),
    },
    workerId: deps.ids("worker"),
  });
}
