import type { AdvanceDeps } from "../../src/deployments/advance.ts";
import type { EngineDeps } from "../../src/deployments/engine.ts";
import type { HealthPolicy, Phase, Plan, Preparation } from "../../src/deployments/index.ts";
import type { Ledger } from "../../src/deployments/ledger.ts";
import type { Deployment } from "../../src/deployments/record.ts";
import { createStore, type Store } from "../../src/deployments/store.ts";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import { messageOf } from "../../src/foundation/errors.ts";
import { silentLog } from "../../src/foundation/log.ts";
import type { Approval, BreakGlass, GatePolicy, Lock } from "../../src/gates/index.ts";
import type { Strategy } from "../../src/rollouts/index.ts";
import type { Target } from "../../src/targets/target.ts";
import { type FaultPlan, type Faulty, type PortCall, underFaults, type Victim } from "./faults.ts";
import { checkInvariants, noteMigration, noteRollback, noteShift } from "./invariants.ts";
import { createMemoryLedger } from "./memory-ledger.ts";
import { createRandom, type Random } from "./random.ts";
import { countTraffic, probe, readCounters, readUnwell } from "./simulated-app.ts";
import { createSimulatedTarget } from "./simulated-target.ts";
import type { Action } from "./simulation.ts";

/** How one service of a deployment behaves. */
export type SimulatedService = {
  readonly name: string;
  readonly build: "ready" | "error";
  readonly kind: "static" | "server";
  /** `turns_bad`: answers 500 once it has had traffic. `slow`: only after a while. `faulty`: to visitors alone. */
  readonly health: "good" | "bad" | "slow" | "turns_bad" | "faulty";
  /** The same inputs as the live one's: it keeps its release. */
  readonly inputs: string;
};

/** One deployment's commit. */
export type App = {
  readonly services: readonly SimulatedService[];
  readonly strategy: Strategy;
  readonly gate?: GatePolicy;
  readonly expand?: readonly string[];
  readonly contract?: readonly string[];
  readonly hold?: boolean;
  readonly stepped?: boolean;
};

export const HEALTH: HealthPolicy = {
  checks: [{ type: "http", path: "/", expectStatus: [200, 299], contains: null }],
  timeoutMs: 1_000,
  intervalMs: 2_000,
  minHealthyMs: 4_000,
  graceMs: 0,
  deadlineMs: 30_000,
};

export const ROLLBACK_WINDOW_MS = 60_000;
const OPEN: GatePolicy = { approvals: null, waitMs: 0 };

export type Worker = Victim & {
  held: Deployment | null;
  until: number;
  readonly advance: AdvanceDeps;
  readonly verbs: EngineDeps;
  readonly store: Store;
};

export const T0 = Date.parse("2030-01-01T00:00:00Z");
export const PROJECT = { id: "prj_sim", name: "shop" };

/** What people have said, as the gates' tables would have it. */
export type People = {
  /** `stale`: of something else than what is there. */
  approvals: (Approval & { stale: boolean })[];
  locks: Lock[];
  breakGlass: BreakGlass[];
};

export type World = ReturnType<typeof createWorld>;

/** A database, a target, a clock and two control planes, all in memory, under the faults of a plan. */
export function createWorld(options: { seed: number; faults: (random: Random) => FaultPlan }) {
  const random = createRandom(options.seed);
  const time = { now: T0, ids: 0, workers: 0, requests: 0 };
  const clock: Clock = {
    ...systemClock,
    now: () => new Date(time.now),
    monotonicMs: () => time.now - T0,
    sleep: async (ms) => {
      elapse(ms);
      await world.letWork?.();
    },
  };
  const apps = new Map<string, App>();
  const target = createSimulatedTarget(clock.now, (input) => {
    const [deploymentId = "", , , name] = input.key.split(":");
    const service = apps.get(deploymentId)?.services.find((each) => each.name === name);
    return { build: service?.build ?? "ready", kind: service?.kind ?? "server", buildLooks: 2 };
  });
  const elapse = (ms: number) => {
    countTraffic(world, ms);
    time.now += ms;
    // What is under way at the target happens when it is its time, whoever waits for it.
    for (const late of world.underWay.filter(({ at }) => at <= time.now)) late.happen();
    world.underWay = world.underWay.filter(({ at }) => at > time.now);
  };
  const faulty: Faulty = {
    plan: options.faults(random),
    count: 0,
    trace: [],
    elapse,
    othersGoOn: async (victim) => {
      if (world.suspended.size > 0) return;
      world.suspended.add(victim);
      await world.letWork?.(12);
      world.suspended.delete(victim);
    },
    overtake: (victim, act, afterMs) => overtake(world, victim, act, afterMs),
    // Kept as well as thrown: inside a port the engine takes an exception for the vendor's fault, and tries again.
    check: () => {
      try {
        checkInvariants(world);
      } catch (error) {
        world.violations.push(messageOf(error));
        throw error;
      }
    },
  };
  const world = {
    random,
    time,
    clock,
    elapse,
    target,
    faulty,
    apps,
    ledger: createMemoryLedger([PROJECT]),
    people: { approvals: [], locks: [], breakGlass: [] } as People,
    workers: [] as Worker[],
    suspended: new Set<Victim>(),
    /** The other workers' turns, while somebody waits. Set by the run. */
    letWork: null as ((turns?: number) => Promise<void>) | null,
    /** The next action, now, if it is one that takes a deployment over. Set by the run. */
    nextPerson: null as (() => Promise<void>) | null,
    underWay: [] as { readonly at: number; readonly happen: () => void }[],
    ...nothingSeen(),
  };
  world.workers.push(createWorker(world), createWorker(world));
  return world;
}

/** A call whose effect comes later: within its lease, so that whoever takes over by force has to reckon with it. */
async function overtake<T>(world: World, victim: Victim, act: () => Promise<T>, afterMs: number): Promise<T> {
  if (world.suspended.size > 0) return act();
  let answer: Promise<T> | undefined;
  const at = world.time.now + afterMs;
  world.underWay.push({ at, happen: () => (answer = act()) });
  world.suspended.add(victim);
  await world.nextPerson?.();
  await world.letWork?.(12);
  world.suspended.delete(victim);
  if (!answer) world.elapse(at - world.time.now);
  return answer ?? act();
}

/** What people have yet to do, and what the invariants remember. */
function nothingSeen() {
  return {
    /** What people do next. A person may come while somebody's call is under way. */
    actions: [] as Action[],
    /** Found inside a port, where the engine would take an exception for the vendor's fault. */
    violations: [] as string[],
    acknowledged: new Set<string>(),
    /** Deployments that were seen to take traffic. */
    shifted: new Set<string>(),
    tokens: new Map<string, number>(),
    /** Releases whose own address answered well, without a gap: since when. */
    healthySince: new Map<string, number>(),
    /** Releases that were given traffic, and when first. */
    served: new Map<string, number>(),
    /** The last weight that each release was given. */
    weights: new Map<string, number>(),
    counters: new Map<string, { requests: number; errors5xx: number }>(),
    /** What the application's database has been through. */
    migrated: [] as { name: string; phase: Phase; by: string; at: number }[],
  };
}

/** A process of its own: nothing of another one's memory, the same world. */
export function createWorker(world: World): Worker {
  const name = `w${++world.time.workers}`;
  const victim = { name, dead: false, held: null, until: 0 };
  const { clock } = world;
  const ledger = faultyLedger(world, victim);
  const store = createStore({ ledger, clock, workerId: name });
  const ports = {
    target: faultyTarget(world, victim),
    probe: async (request: { url: string }) =>
      underFaults(world.faulty, victim, LOOK("probe"), async () => probe(world, request.url)),
    metrics: {
      readCounters: async (services: Parameters<AdvanceDeps["metrics"]["readCounters"]>[0]) =>
        underFaults(world.faulty, victim, LOOK("counters"), async () => readCounters(world, services)),
      readInFlight: async () =>
        underFaults(world.faulty, victim, LOOK("inFlight"), async () => world.random.pick([0, 0, 1, null])),
      query: async ({ name }: { name: string }) => ({ name, value: 0, error: null }),
    },
    prepare: async (input: { deploymentId: string }) =>
      underFaults(world.faulty, victim, WRITE("prepare"), async () => prepare(world, input.deploymentId)),
    migrateSchema: async (input: { deploymentId: string; phase: Phase }) =>
      underFaults(world.faulty, victim, WRITE("migrate"), async () => migrate(world, input)),
    readUnwell: async ({ id }: { id: string }) =>
      underFaults(world.faulty, victim, LOOK("unwell"), async () => readUnwell(world, id)),
    readGate: async ({ id }: { id: string }) =>
      underFaults(world.faulty, victim, LOOK("gate"), async () => gateFacts(world, id)),
  };
  const within = (signal: AbortSignal | null) => signal ?? NEVER;
  const ids = (prefix: string) => `${prefix}_${++world.time.ids}`;
  const common = { clock, ids, log: silentLog, workerId: name, ledger, within, ...ports };
  const advance = {
    ...common,
    store,
    prepared: new Map(),
    resupply: async () => {},
    logCopied: async () => {},
  } as AdvanceDeps;
  const verbs = {
    ...common,
    wake: () => {},
    onChange: () => () => {},
    requireSource: async () => {},
    schemaBarrier: async () => (contracts: readonly string[]) => barrier(world, contracts),
  } as unknown as EngineDeps;
  return Object.assign(victim, { advance, verbs, store });
}

const NEVER = new AbortController().signal;
const LOOK = (name: string): PortCall => ({
  name,
  repeatable: false,
  stallable: false,
  overtakable: false,
  writes: false,
  serializable: false,
});
const WRITE = (name: string): PortCall => ({
  ...LOOK(name),
  repeatable: true,
  stallable: true,
  writes: true,
});

const LEDGER_WRITES = ["claim", "renew", "release", "letGo", "update", "transaction"] as const;
const LEDGER_READS = ["liveOf", "place", "releaseInUse", "blockedBy", "signals", "load"] as const;

/** The ledger as one process reaches it: over a connection that may break before or after the commit. */
function faultyLedger(world: World, victim: Victim): Ledger {
  const { ledger, faulty } = world;
  const wrapped: Record<string, unknown> = { ...ledger };
  const wrap = (method: keyof Ledger, call: PortCall) => {
    const original = ledger[method] as (...args: unknown[]) => Promise<unknown>;
    wrapped[method] = (...args: unknown[]) => underFaults(faulty, victim, call, () => original(...args));
  };
  for (const method of LEDGER_WRITES) {
    const serializable = method === "transaction" || method === "update";
    wrap(method, { ...LOOK(`ledger.${method}`), stallable: true, writes: true, serializable });
  }
  for (const method of LEDGER_READS) wrap(method, LOOK(`ledger.${method}`));
  return wrapped as Ledger;
}

const TARGET_EFFECTS = [
  "build",
  "shift",
  "rollback",
  "cancel",
  "retire",
  "hold",
  "unhold",
  "vacate",
] as const;

/** The target as one process reaches it, guarded at the only honest place: where traffic would move. */
function faultyTarget(world: World, victim: Victim): Target {
  const { target, faulty } = world;
  const guarded: Target = {
    ...target,
    async shift(...args) {
      noteShift(world, args[0]);
      return target.shift(...args);
    },
    async rollback(...args) {
      noteRollback(world, args[0].to);
      return target.rollback(...args);
    },
  };
  const wrapped = { ...guarded } as Record<string, unknown>;
  const wrap = (method: keyof Target, call: PortCall) => {
    const original = guarded[method] as (...args: unknown[]) => Promise<unknown>;
    wrapped[method] = (...args: unknown[]) => underFaults(faulty, victim, call, () => original(...args));
  };
  for (const method of TARGET_EFFECTS) {
    const overtakable = method === "shift" || method === "rollback";
    wrap(method, { ...LOOK(`target.${method}`), repeatable: true, writes: true, overtakable });
  }
  wrap("observe", LOOK("target.observe"));
  wrap("traffic", LOOK("target.traffic"));
  return wrapped as Target;
}

export function appOf(world: World, deploymentId: string): App {
  const app = world.apps.get(deploymentId);
  if (!app) throw new Error(`no app for ${deploymentId}`);
  return app;
}

function prepare(world: World, deploymentId: string): Preparation {
  const app = appOf(world, deploymentId);
  const schema =
    app.expand || app.contract
      ? {
          expand: app.expand ?? [],
          contract: app.contract ?? [],
          timeoutMs: 10_000,
          hold: app.hold ? { maxMs: 30_000, maxRequests: 100 } : null,
        }
      : null;
  const plan: Plan = {
    strategy: app.strategy,
    gate: app.gate ?? OPEN,
    schema,
    progressDeadlineMs: null,
    rollbackWindowMs: ROLLBACK_WINDOW_MS,
    steppedRollback: app.stepped ?? false,
    drainMs: 0,
  };
  const services = app.services.map(({ name, inputs }) => ({
    name,
    targetProject: `shop-${name}`,
    targetProjectId: `prj_${name}`,
    settings: {},
    env: {},
    health: HEALTH,
    inputs,
  }));
  const commit = { sha: deploymentId, message: null, dirty: false };
  return { files: [], services, plan, branch: null, commit };
}

/** Like the real migrator: what was applied is on record with it, so a second time does nothing. */
function migrate(world: World, { deploymentId, phase }: { deploymentId: string; phase: Phase }) {
  const app = appOf(world, deploymentId);
  const files = (phase === "expand" ? app.expand : app.contract) ?? [];
  const applied = files.filter((name) => !world.migrated.some((each) => each.name === name));
  const row = world.ledger.rows.deployments.get(deploymentId);
  if (row && applied.length > 0) noteMigration(world, row, phase);
  for (const name of applied) world.migrated.push({ name, phase, by: deploymentId, at: world.time.now });
  return { applied, version: files.at(-1) ?? null };
}

function barrier(world: World, contracts: readonly string[]) {
  const done = world.migrated.findLast(
    ({ name, phase }) => phase === "contract" && !contracts.includes(name),
  );
  return done ? { name: done.name, by: done.by, at: new Date(done.at) } : null;
}

function gateFacts({ people }: World, deploymentId: string) {
  return {
    approvals: people.approvals.filter((each) => each.deploymentId === deploymentId),
    locks: people.locks,
    freezes: [],
    breakGlass: people.breakGlass.find((each) => each.deploymentId === deploymentId) ?? null,
  };
}
