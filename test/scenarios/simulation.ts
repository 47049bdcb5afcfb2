import assert from "node:assert/strict";
import type pg from "pg";
import { systemActor } from "../../src/access/index.ts";
import { type AdvanceDeps, advanceOnce } from "../../src/deployments/advance.ts";
import { cancelDeployment } from "../../src/deployments/cancel.ts";
import type { EngineDeps } from "../../src/deployments/engine.ts";
import type { HealthPolicy, Preparation, ProbeResult } from "../../src/deployments/index.ts";
import type { Deployment } from "../../src/deployments/record.ts";
import { rollbackDeployment } from "../../src/deployments/rollback.ts";
import { isSettled } from "../../src/deployments/state.ts";
import { createStore, type Store, selectDeployments } from "../../src/deployments/store.ts";
import { type EngineTables, type SelectedRow, toDeployment } from "../../src/deployments/tables.ts";
import { triggerDeployment } from "../../src/deployments/trigger.ts";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import type { Database } from "../../src/foundation/db.ts";
import { AppError } from "../../src/foundation/errors.ts";
import { silentLog } from "../../src/foundation/log.ts";
import type { Strategy } from "../../src/rollouts/index.ts";
import { Crash, type FaultPlan, type Faulty, underFaults } from "./faults.ts";
import { createRandom, type Random } from "./random.ts";
import { createSimulatedTarget } from "./simulated-target.ts";

/** How the release of one deployment behaves, in the order of triggering. */
export type App = {
  readonly build: "ready" | "error";
  readonly kind: "static" | "server";
  /** `turns_bad`: answers 500 once it has had traffic. `slow`: only after a while. */
  readonly health: "good" | "bad" | "slow" | "turns_bad";
  readonly strategy: Strategy;
};

export type Action =
  | { readonly do: "deploy"; readonly app: App; readonly branch: string }
  | { readonly do: "rollback" }
  | { readonly do: "cancel" }
  /** Everybody works until nothing is left to do, or for `turns`. */
  | { readonly do: "work"; readonly turns: number };

export type Result = {
  readonly calls: number;
  readonly trace: readonly string[];
  readonly end: readonly string[];
};

export const HEALTH: HealthPolicy = {
  path: "/",
  timeoutMs: 1_000,
  intervalMs: 2_000,
  minHealthyMs: 4_000,
  deadlineMs: 30_000,
  expectStatus: [200, 299],
};

type Worker = {
  readonly name: string;
  dead: boolean;
  held: Deployment | null;
  until: number;
  readonly deps: AdvanceDeps;
  readonly engine: EngineDeps;
};

const T0 = Date.parse("2030-01-01T00:00:00Z");
const TURNS_TO_REST = 3_000;
const DAY_MS = 86_400_000;
let runs = 0;

/**
 * Runs the engine's own shell, on a real Postgres, against a simulated target and clock, one worker's turn at a time in
 * an order that the seed gives. Checks the invariants after every call of a port, and at the end that all is at rest.
 * A crash loses a worker's memory; its successor has only the rows. The same seed and plan give the same trace.
 */
export async function simulate(
  deps: { db: Database<EngineTables>; pool: pg.Pool },
  options: { seed: number; actions: readonly Action[]; faults: (random: Random) => FaultPlan },
): Promise<Result> {
  const world = await createWorld(deps, options);
  for (const action of options.actions) await act(world, action);
  await work(world, TURNS_TO_REST);
  await checkRest(world);
  const strip = (text: string) => text.replaceAll(world.tag, "");
  const end = (await rows(world)).map((row) => `${row.id} ${row.state} ${row.reason}`);
  return { calls: world.faulty.count, trace: world.faulty.trace.map(strip), end: end.map(strip) };
}

type World = Awaited<ReturnType<typeof createWorld>>;

async function createWorld(
  { db, pool }: { db: Database<EngineTables>; pool: pg.Pool },
  options: { seed: number; faults: (random: Random) => FaultPlan },
) {
  runs += 1;
  const tag = `r${runs}x`;
  const random = createRandom(options.seed);
  const state = { now: T0, ids: 0, workers: 0 };
  const clock: Clock = {
    ...systemClock,
    now: () => new Date(state.now),
    monotonicMs: () => state.now - T0,
    sleep: async (ms) => {
      state.now += ms;
    },
  };
  const target = createSimulatedTarget(clock.now);
  await pool.query("insert into projects (id, name, created_at) values ($1, $1, $2)", [tag, clock.now()]);
  const faulty: Faulty = {
    plan: options.faults(random),
    count: 0,
    trace: [],
    elapse: (ms) => {
      state.now += ms;
    },
    othersGoOn: (worker) => othersGoOn(world, worker),
    check: () => {
      world.rows = null;
      return checkInvariants(world);
    },
  };
  const world = {
    db,
    tag,
    random,
    state,
    clock,
    target,
    faulty,
    workers: [] as Worker[],
    suspended: new Set<unknown>(),
    rows: null as Deployment[] | null,
    /** Found inside a port, where the engine would take an exception for the vendor's fault. */
    violations: [] as string[],
    apps: new Map<string, App>(),
    acknowledged: new Set<string>(),
    /** Good probes in a row, by release: since when. */
    healthySince: new Map<string, number>(),
    served: new Map<string, number>(),
  };
  world.workers.push(createWorker(world), createWorker(world));
  return world;
}

function createWorker(world: World): Worker {
  const name = `w${++world.state.workers}`;
  const { db, clock, faulty } = world;
  const jobs = { add: async () => {} };
  const store = fencedStore(world, createStore({ db, clock, workerId: `${world.tag}${name}`, jobs }));
  const target = guardTarget(world);
  const worker: Worker = {
    name,
    dead: false,
    held: null,
    until: 0,
    deps: {} as AdvanceDeps,
    engine: {} as EngineDeps,
  };
  const wrap = <P extends object>(port: P, kind: string): P =>
    new Proxy(port, {
      get(own, method: string) {
        const original = own[method as keyof P];
        // Pure questions, and the names of things, cannot fail.
        if (typeof original !== "function" || ["hosts", "publicUrl"].includes(method)) return original;
        const effect = ["build", "shift", "rollback", "cancel", "retire"].includes(method);
        const writes = effect || ["claim", "renew", "commit", "release", "letGo"].includes(method);
        // What is looked at side by side is not suspended: the order of what others do meanwhile must be one.
        const alone = kind === "store" || method === "observe" || method === "prepare";
        const call = { name: `${kind}.${method}`, repeatable: effect, stallable: alone, writes };
        return (...args: unknown[]) =>
          underFaults(faulty, worker, call, async () => original.apply(own, args));
      },
    });
  const observing = {
    target: wrap(target, "target"),
    probe: wrap({ probe: (url: string) => probe(world, url) }, "probe").probe,
    metrics: wrap({ readCounters: async () => null }, "metrics"),
    prepare: wrap({ prepare: async (input: { deploymentId: string }) => prepare(world, input) }, "source")
      .prepare,
  };
  const common = { db, clock, log: silentLog, ids: ids(world), workerId: `${world.tag}${name}`, jobs };
  Object.assign(worker.deps, common, observing, {
    store: wrap(store, "store"),
    prepared: new Map(),
    resupply: async () => {},
    logCopied: async () => {},
  });
  Object.assign(worker.engine, common, {
    target: wrap(target, "verb"),
    wake: () => {},
    onChange: () => () => {},
    requireSource: async () => {},
  });
  return worker;
}

/** Notices when a lease that was taken over still writes. */
function fencedStore(world: World, store: Store): Store {
  return {
    ...store,
    async commit(before, change) {
      const after = await store.commit(before, change);
      const stale = typeof after === "object" && after.leaseToken !== before.leaseToken;
      if (stale)
        world.violations.push(`lease ${before.leaseToken} of ${before.id} wrote over ${after.leaseToken}`);
      return after;
    },
  };
}

function ids(world: World) {
  return (prefix: string) => `${prefix}_${world.tag}${++world.state.ids}`;
}

async function prepare(world: World, input: { deploymentId: string }): Promise<Preparation> {
  const app = appOf(world, input.deploymentId);
  Object.assign(world.target.behaviour, { build: app.build, kind: app.kind, buildLooks: 2 });
  return {
    files: [],
    settings: {},
    env: {},
    strategy: app.strategy,
    health: HEALTH,
    branch: null,
    commit: { sha: null, message: null, dirty: false },
    targetProjectId: "prj",
  };
}

function appOf(world: World, deploymentId: string): App {
  const app = world.apps.get(deploymentId);
  assert.ok(app, `no app for ${deploymentId}`);
  return app;
}

function appOfRelease(world: World, release: string): App {
  const built = world.target.builds.get(release);
  assert.ok(built, `no release ${release}`);
  return appOf(world, built.input.key.split(":")[0] ?? "");
}

/** Invariant 2 at the only honest place: where traffic would go to a release. */
function guardTarget(world: World) {
  const { target } = world;
  return {
    ...target,
    async build(...args: Parameters<typeof target.build>) {
      const app = appOf(world, args[0].key.split(":")[0] ?? "");
      Object.assign(target.behaviour, { build: app.build, kind: app.kind, buildLooks: 2 });
      return target.build(...args);
    },
    async shift(...args: Parameters<typeof target.shift>) {
      const { to } = args[0];
      const since = world.healthySince.get(to);
      const proven =
        world.served.has(to) ||
        (since !== undefined && world.state.now - since >= (HEALTH.minHealthyMs ?? 0));
      if (!proven) world.violations.push(`traffic to ${to} before it was healthy for its time`);
      if (!world.served.has(to)) world.served.set(to, world.state.now);
      return target.shift(...args);
    },
    async rollback(...args: Parameters<typeof target.rollback>) {
      const { to } = args[0];
      if (!world.served.has(to)) world.violations.push(`rolled back to ${to}, which never served`);
      return target.rollback(...args);
    },
  };
}

async function probe(world: World, url: string): Promise<ProbeResult> {
  const host = new URL(url).hostname.replace(".localhost", "");
  const serving = Object.keys(
    world.target.trafficAt({ project: world.tag, environment: "production", branch: "main" }),
  );
  const release = host.startsWith("dpl_") ? host : serving[0];
  if (!release) return { ok: false, status: null, latencyMs: 1, error: "refused" };
  const status = isHealthy(world, release) ? 200 : 500;
  if (host.startsWith("dpl_")) {
    if (status === 200) world.healthySince.set(release, world.healthySince.get(release) ?? world.state.now);
    else world.healthySince.delete(release);
  }
  return { ok: true, status, latencyMs: 1, deploymentHeader: release };
}

function isHealthy(world: World, release: string): boolean {
  const { health } = appOfRelease(world, release);
  if (health === "bad") return false;
  if (health === "turns_bad") return !world.served.has(release);
  const built = world.target.builds.get(release);
  return health === "good" || (built?.looks ?? 0) > 2;
}

async function act(world: World, action: Action): Promise<void> {
  const user = createWorker(world);
  const actor = systemActor("user");
  world.faulty.trace.push(`-- ${action.do}`);
  try {
    if (action.do === "work") await work(world, action.turns);
    if (action.do === "deploy") await deploy(world, user, action);
    if (action.do === "rollback") {
      const done = await rollbackDeployment(user.engine, actor, {
        environment: "production",
        project: world.tag,
      });
      world.rows = null;
      const serving = (await rows(world)).find((row) => row.id === done.deploymentId);
      const traffic = world.target.trafficAt({
        project: world.tag,
        environment: "production",
        branch: "main",
      });
      assert.equal(
        traffic[serving?.targetDeploymentId ?? ""],
        100,
        "a rollback was acknowledged, and the traffic is elsewhere",
      );
    }
    const open = (await rows(world)).find((row) => !isSettled(row.state));
    if (action.do === "cancel" && open) await cancelDeployment(user.engine, actor, open.id);
  } catch (error) {
    if (!(error instanceof Crash) && !(error instanceof AppError)) throw error;
    world.faulty.trace.push(`-- ${action.do} ended with ${error.message}`);
  }
  await world.faulty.check();
}

async function deploy(world: World, user: Worker, action: Action & { do: "deploy" }): Promise<void> {
  // Known before the answer, because a worker may begin before it.
  world.apps.set(`dep_${world.tag}${world.state.ids + 1}`, action.app);
  const input = {
    environment: "production",
    project: world.tag,
    branch: action.branch,
    source: { tree: "x" },
  } as const;
  const { id } = await triggerDeployment(user.engine, systemActor("user"), input);
  world.acknowledged.add(id);
}

/** Turns of the workers, and time in between, until nothing is left to do or `turns` are over. */
async function work(world: World, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    if (!(await takeTurn(world)) && !(await passTime(world))) return;
  }
  assert.ok(turns < TURNS_TO_REST, "it does not come to rest");
}

async function takeTurn(world: World): Promise<boolean> {
  const free = world.workers.filter((worker) => !world.suspended.has(worker));
  const ready = free.filter((worker) => worker.held && worker.until <= world.state.now);
  const idle = free.filter((worker) => !worker.held);
  const due = idle.length > 0 ? await dueIds(world) : [];
  const claims = due.flatMap((id) => idle.map((worker) => ({ worker, id })));
  const choices = [...ready.map((worker) => ({ worker, id: null })), ...claims];
  if (choices.length === 0) return false;
  const { worker, id } = world.random.pick(choices);
  await turnOf(world, worker, id);
  return true;
}

async function turnOf(world: World, worker: Worker, id: string | null): Promise<void> {
  try {
    worker.held ??= id === null ? null : await worker.deps.store.claim(id);
    if (!worker.held) return;
    const outcome = await advanceOnce(worker.deps, worker.held, new AbortController().signal);
    if (outcome.kind === "lost" && !outcome.actingStill) await worker.deps.store.letGo(worker.held);
    worker.held = outcome.kind === "again" || outcome.kind === "wait" ? outcome.deployment : null;
    worker.until = outcome.kind === "wait" ? outcome.until.getTime() : 0;
  } catch (error) {
    if (!(error instanceof Crash) && !(error instanceof AppError)) throw error;
    worker.held = null;
    world.rows = null;
    if (worker.dead) world.workers[world.workers.indexOf(worker)] = createWorker(world);
  }
}

async function othersGoOn(world: World, worker: { dead: boolean }): Promise<void> {
  if (world.suspended.size > 0) return;
  world.suspended.add(worker);
  await work(world, 12);
  world.suspended.delete(worker);
}

/** To the next moment at which somebody has something to do. False: there is none. */
async function passTime(world: World): Promise<boolean> {
  const open = (await rows(world)).filter((row) => !isSettled(row.state) || row.cleanup);
  const leases = open.flatMap((row) => [row.leaseUntil, row.wakeAt]).map((time) => time?.getTime() ?? 0);
  const waits = world.workers
    .filter((worker) => worker.held && !world.suspended.has(worker))
    .map((each) => each.until);
  const next = [...leases, ...waits].filter((time) => time > world.state.now);
  if (next.length === 0) return false;
  world.state.now = Math.min(...next);
  assert.ok(world.state.now < T0 + 3 * DAY_MS, "it takes days");
  return true;
}

/** The rows as they are; read again only after something may have changed them. */
async function rows(world: World): Promise<Deployment[]> {
  if (world.rows) return world.rows;
  const found = await selectDeployments(world.db)
    .where("project_id", "=", world.tag)
    .orderBy("seq")
    .execute();
  world.rows = found.map((row) => toDeployment(row as SelectedRow));
  return world.rows;
}

async function dueIds(world: World): Promise<string[]> {
  const now = world.state.now;
  const passed = (time: Date | null) => time === null || time.getTime() <= now;
  return (await rows(world))
    .filter((row) => (!isSettled(row.state) || row.cleanup) && passed(row.leaseUntil) && passed(row.wakeAt))
    .map((row) => row.id);
}

/** Invariants 1 and 5 of ARCHITECTURE.md, and that what is called live is what serves. */
async function checkInvariants(world: World): Promise<void> {
  const traffic = world.target.trafficAt({ project: world.tag, environment: "production", branch: "main" });
  const weights = Object.values(traffic);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  assert.ok(weights.length === 0 || sum === 100, `weights sum to ${sum}`);
  assert.deepEqual(world.violations, []);
  const builds = world.target.effects.flatMap((effect) => /^build ([^:]+)/.exec(effect)?.[1] ?? []);
  assert.equal(new Set(builds).size, builds.length, "a deployment was built twice");
  const all = await rows(world);
  const live = all.filter((row) => row.state === "live");
  assert.ok(live.length <= 1, "two deployments are live");
  const moving = all.some((row) => ["releasing", "shifting", "rolling_back"].includes(row.state));
  const [only] = live;
  if (only && !moving)
    assert.equal(traffic[only.targetDeploymentId ?? ""], 100, `${only.id} is live and does not serve`);
}

/** Invariants 4, 6 and 9: what was acknowledged is there, has ended, and has its audit entry; nothing is owed. */
async function checkRest(world: World): Promise<void> {
  const all = await rows(world);
  const open = all.filter((row) => !isSettled(row.state) || row.cleanup);
  assert.deepEqual(
    open.map((row) => `${row.id} ${row.state} ${row.cleanup}`),
    [],
    "not at rest",
  );
  for (const row of all) {
    if (row.state === "failed")
      assert.ok(row.reason && row.hint, `${row.id} failed without saying why and what to do`);
  }
  for (const id of world.acknowledged)
    assert.ok(
      all.some((row) => row.id === id),
      `${id} is lost`,
    );
  const audited = await world.db
    .selectFrom("audit_log")
    .select("subject_id")
    .where("action", "=", "deployment.trigger")
    .where("subject_id", "like", `dep_${world.tag}%`)
    .execute();
  assert.equal(audited.length, all.length, "a deployment without its audit entry");
}
