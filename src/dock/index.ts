/**
 * The dock: a place to run deployments that speaks Vercel's REST API.
 *
 * - **deployment**: one tree of files with its settings and variables; QUEUED, BUILDING, then READY, ERROR or CANCELED.
 * - **artifact**: what a build leaves; shared by every deployment with the same inputs.
 * - **release**: a READY deployment as the gateway serves it; **static** (files) or **server** (a process).
 * - **alias**: a host that points to a deployment. **Promote** and **rollback** move production's.
 * - **staged**: built for production and not pointed to yet.
 * - **generation**: the number of a snapshot of all pointers; a change is answered once the gateway serves it.
 */
import { join } from "node:path";
import { createDatabase, createPool } from "../foundation/db.ts";
import { migrate } from "../foundation/migrate.ts";
import { createSecretBox, readOrCreateKey } from "../foundation/secret-box.ts";
import { type Alarm, createAlarm } from "./alarm.ts";
import { createDockApp } from "./api/app.ts";
import { expireRuns } from "./checks/settle.ts";
import { startCrons } from "./crons/scheduler.ts";
import { buildDeployment, DockClosing } from "./deployments/build-deployment.ts";
import { createBuildQueue } from "./deployments/build-queue.ts";
import { createEventLog } from "./deployments/event-log.ts";
import { resumeDeployments } from "./deployments/resume-deployments.ts";
import type { Dock } from "./dock.ts";
import { type HttpServer, listen } from "./listen.ts";
import type { DockOptions } from "./options.ts";
import { takeOwnerLock } from "./owner-lock.ts";
import { advanceAutomatically } from "./pointers/advance-automatically.ts";
import { appSpec } from "./releases/app-spec.ts";
import { createKeeper } from "./releases/keeper.ts";
import { startUpkeep } from "./releases/upkeep.ts";
import type { DockTables } from "./rows.ts";
import { createFileStore } from "./store/file-store.ts";
import { gatewayLink } from "./traffic/gateway-link.ts";
import { createPublisher, type Publisher } from "./traffic/publisher.ts";
import { buildSnapshot } from "./traffic/snapshot.ts";
import { createTraffic, type Traffic } from "./traffic/traffic.ts";
import { verifyKey } from "./verify-key.ts";
import { createDelivery } from "./webhooks/deliver.ts";
import { createHooks } from "./webhooks/hooks.ts";

export type { DockOptions } from "./options.ts";

export type RunningDock = {
  readonly port: number;
  /** Resolves with the reason if the dock ended by itself because another one owns its database now. */
  readonly lost: Promise<Error>;
  /** Ends the API and the builds (which resume at the next start). App processes go on. */
  close(): Promise<void>;
};

const SCHEMA = "dock";
const SKEW_MAX_AGE_S = 12 * 60 * 60;
const MIGRATIONS = join(import.meta.dirname, "../../migrations/dock");

/**
 * Starts the dock: migrates its schema, takes the lock that makes it the only one, routes what is READY, adopts the app
 * processes of an earlier one, and goes on with what was queued or being built.
 * @throws AppError `conflict` when another dock holds the database or the port is in use.
 */
export async function startDock(options: DockOptions): Promise<RunningDock> {
  const undo = new AsyncDisposableStack();
  const lost = Promise.withResolvers<Error>();
  try {
    const { clock, log } = options;
    const lock = await takeOwnerLock({
      databaseUrl: options.databaseUrl,
      clock,
      log,
      onLost: (error) => {
        log.error({ err: error }, "another dock owns the database now; this one ends");
        void undo.disposeAsync().finally(() => lost.resolve(error));
      },
    });
    undo.defer(() => lock.close());
    let wake = () => {};
    const dock = await assemble(options, undo, () => wake());
    await dock.keeper.adopt();
    const server = await serve(options, dock);
    undo.defer(() => server.close());
    await resumeDeployments(dock);
    startUpkeep(dock, undo);
    startCrons(dock, undo);
    const alarm = startAlarm(dock, options, undo);
    wake = () => alarm.wake();
    log.info({ host: options.host, port: server.port }, "the dock listens");
    return { port: server.port, lost: lost.promise, close: () => undo.disposeAsync() };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

function serve(options: DockOptions, dock: Dock): Promise<HttpServer> {
  return listen(createDockApp(dock, options.tokens), options);
}

/** What the dock does by itself: late checks, stages of rolling releases, webhooks. */
function startAlarm(dock: Dock, options: DockOptions, undo: AsyncDisposableStack): Alarm {
  const closing = new AbortController();
  const wake = () => dock.alarm.wake();
  const allowNetworks = options.allowNetworks ?? [];
  const delivery = createDelivery(dock, { allowNetworks, wake, closing: closing.signal });
  const work = [() => expireRuns(dock), () => advanceAutomatically(dock), delivery.work];
  const alarm = createAlarm({ clock: dock.clock, log: dock.log, work });
  undo.defer(async () => {
    closing.abort(new Error("the dock is closing"));
    await alarm.close();
    await delivery.idle();
  });
  return alarm;
}

async function assemble(options: DockOptions, undo: AsyncDisposableStack, wake: () => void): Promise<Dock> {
  const { clock, ids, log, dir, domain } = options;
  const pool = createPool({
    databaseUrl: options.databaseUrl,
    applicationName: "signalbox-dock",
    searchPath: SCHEMA,
    onError: (error) => log.warn({ err: error }, "an idle connection to the database broke"),
  });
  undo.defer(() => pool.end());
  await migrate({ pool, clock, schema: SCHEMA, directory: MIGRATIONS });
  const db = createDatabase<DockTables>(pool);
  const secrets = createSecretBox(await readOrCreateKey(options.secretKey));
  await verifyKey(db, secrets);
  const store = await createFileStore(join(dir, "store"), { clock, ids });
  const { builder, runner } = await buildAndRun(options, store);
  undo.defer(() => runner.close());
  const link = gatewayLink(options.gatewaySocket);
  const events = createEventLog({ db, clock, log });
  undo.defer(() => events.flush());
  const skewMaxAgeS = options.skewProtectionMaxAgeS ?? SKEW_MAX_AGE_S;
  const { traffic, publisher } = await createPointers({ db, clock, ids, log, runner, link, skewMaxAgeS });
  undo.defer(() => publisher.close());
  const specOf = async (id: string) => {
    const row = await db.selectFrom("deployments").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
    const artifact = await db
      .selectFrom("artifacts")
      .select("server")
      .where("key", "=", row.artifact)
      .executeTakeFirstOrThrow();
    if (!artifact.server) throw new Error(`the deployment ${id} has no process`);
    return appSpec({ secrets, db, domain }, row, artifact.server);
  };
  const keeper = createKeeper({ runner, link, clock, log, state: () => traffic.state, specOf });
  undo.defer(() => keeper.close());
  const queue = createBuildQueue({
    concurrency: options.buildLimits.concurrency,
    log,
    work: (id, signal) => buildDeployment(dock, id, signal),
  });
  undo.defer(() => queue.close(new DockClosing("The dock is closing.")));
  const hooks = await createHooks({ db, clock, ids, onEvent: wake });
  const parts = { pool, db, clock, ids, log, domain, skewMaxAgeS, store, builder, runner };
  const dock: Dock = {
    ...parts,
    secrets,
    events,
    traffic,
    publisher,
    link,
    keeper,
    queue,
    hooks,
    alarm: { wake },
  };
  return dock;
}

/** Loaded here, so that a dock that is given its own never loads these. */
async function buildAndRun(
  options: DockOptions,
  store: Dock["store"],
): Promise<Pick<Dock, "builder" | "runner">> {
  const { dir, path, clock, ids, log, networkEnv, allowNetworks = [] } = options;
  const { concurrency: _, ...limits } = options.buildLimits;
  const builder =
    options.builder ??
    (await import("./build/index.ts")).createBuilder({
      dir,
      store,
      limits,
      networkEnv,
      path,
      vercelCli: options.vercelCli ?? null,
      clock,
      ids,
      log,
    });
  const runner =
    options.runner ??
    (await import("./run/index.ts")).createRunner({
      ...{ dir: join(dir, "run"), networkEnv, allowNetworks, path, clock, log },
    });
  return { builder, runner };
}

async function createPointers(
  deps: Pick<Dock, "db" | "clock" | "ids" | "log" | "runner" | "link"> & { skewMaxAgeS: number },
): Promise<{ traffic: Traffic; publisher: Publisher }> {
  const { db, clock, ids, log, runner, link, skewMaxAgeS } = deps;
  const stored = await db.selectFrom("dock_state").select("acknowledged").executeTakeFirstOrThrow();
  const traffic = await createTraffic({
    db,
    clock,
    ids,
    socketOf: (id) => runner.socketPath(id),
    onChange: () => publisher.wake(),
  });
  const publisher: Publisher = createPublisher({
    link,
    clock,
    log,
    current: () => traffic.state.generation,
    snapshot: () => buildSnapshot(traffic.state, { now: clock.now(), skewMaxAgeS }),
    raise: (beyond) => traffic.raise(beyond),
    acknowledged: stored.acknowledged,
    onAcknowledged: (generation) => {
      const write = db.updateTable("dock_state").set({ acknowledged: generation }).execute();
      // Only read at a start, to know what was served before; the next acknowledgement writes it again.
      write.catch((error) => log.warn({ err: error }, "the acknowledged generation could not be stored"));
    },
  });
  // A new generation at every start: paths may have changed, and the gateway may hold the state of another database.
  await traffic.raise(0);
  return { traffic, publisher };
}
