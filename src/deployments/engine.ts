import type pg from "pg";
import type { AccessTables } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { messageOf } from "../foundation/errors.ts";
import type { Ids } from "../foundation/ids.ts";
import { startJobs } from "../foundation/jobs.ts";
import type { Log } from "../foundation/log.ts";
import { type Notifier, startNotifier } from "../foundation/notify.ts";
import type { Target } from "../targets/target.ts";
import { type AdvanceDeps, advanceOnce, type Within } from "./advance.ts";
import { LEASE_MS } from "./change.ts";
import { ADVANCE_QUEUE, CHANGED_CHANNEL, WAKE_CHANNEL } from "./channels.ts";
import { createFollowers, type Followers } from "./followers.ts";
import type { Ledger } from "./ledger.ts";
import { createLedger } from "./ledger-postgres.ts";
import type { ReadGate } from "./observe.ts";
import type { PlanPorts } from "./plan-deployment-ports.ts";
import type { MigrateSchema, Prepare, RequireSource, Resupply } from "./plan-source.ts";
import type { Metrics, Probe, ReadUnwell } from "./ports.ts";
import type { Deployment } from "./record.ts";
import { createStore, type Store } from "./store.ts";
import type { EngineTables } from "./tables.ts";
import { createTurns, type Turns, takesTurns } from "./turns.ts";
import { watchVerdicts } from "./watch-verdicts.ts";

export type EngineOptions = {
  readonly db: Database<EngineTables>;
  readonly claims: Database<AccessTables>;
  readonly pool: pg.Pool;
  readonly databaseUrl: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly target: Target;
  readonly metrics: Metrics;
  readonly probe: Probe;
  readonly prepare: Prepare;
  readonly resupply: Resupply;
  readonly requireSource: RequireSource;
  readonly readGate: ReadGate;
  /** What the prober says, and the channel on which it says that something changed. Its payload does not count. */
  readonly verdicts: { readonly read: ReadUnwell; readonly channel: string };
  readonly migrateSchema: MigrateSchema;
  readonly schemaBarrier: SchemaBarrier;
  /** Left out: a plan says that it does not know. */
  readonly planning?: PlanPorts;
  /** Unique to this process and this start of it: it names the owner of leases. */
  readonly workerId: string;
};

/**
 * Port: what contract migrations a place's database has been through, as an answer to what stands between it and a
 * release whose own commit has `contracts`: that one by name; null: nothing does.
 */
export type SchemaBarrier = (place: {
  readonly projectId: string;
  readonly slot: string;
}) => Promise<
  (contracts: readonly string[]) => { readonly name: string; readonly by: string; readonly at: Date } | null
>;

/** What verbs and routes need of a running engine. */
export type EngineDeps = {
  readonly ledger: Ledger;
  /** For what is only shown. */
  readonly db: Database<EngineTables>;
  /** Where idempotency claims are kept: what they guard has its key in its own row, so they need not be durable. */
  readonly claims: Database<AccessTables>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly target: Target;
  readonly requireSource: RequireSource;
  readonly prepare: Prepare;
  readonly readGate: ReadGate;
  readonly planning?: PlanPorts;
  readonly probe: Probe;
  readonly schemaBarrier: SchemaBarrier;
  readonly within: Within;
  readonly workerId: string;
  /** Looks at a deployment now, in this process. Other processes hear of it by the database. */
  readonly wake: (id: string) => void;
  /** Calls back whenever a deployment or its log changes. Returns the end of it. */
  readonly onChange: (id: string, callback: () => void) => () => void;
};

export type Engine = { readonly deps: EngineDeps; close(): Promise<void> };

const SWEEP_MS = 2_000;
const SWEEP_LIMIT = 100;
const RENEW_MS = LEASE_MS / 4;
const AFTER_ERROR_MS = 500;

/** Starts advancing deployments in this process, those that an earlier process left behind included. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { databaseUrl, pool, clock, log } = options;
  const channels = [WAKE_CHANNEL, CHANGED_CHANNEL, options.verdicts.channel];
  const notifier = await startNotifier({ databaseUrl, channels, clock, log });
  const jobs = await startJobs({ pool, queues: [ADVANCE_QUEUE], log });
  const followers = createFollowers(options);
  const ledger = createLedger({ ...options, jobs });
  const store = createStore({ ...options, ledger });
  const runs = createRuns(options, store, followers);
  const sweep = () => sweepOnce(store, runs.wake, log);
  notifier.listen(WAKE_CHANNEL, runs.wake, sweep);
  await jobs.work(ADVANCE_QUEUE, async (data) => {
    const id = typeof data === "object" && data !== null && "id" in data ? data.id : null;
    if (typeof id === "string") runs.wake(id);
  });
  const timer = setInterval(sweep, SWEEP_MS);
  void sweep();
  const deps = { ...options, ledger, within, wake: runs.wake, onChange: changes(notifier) };
  const watch = watchVerdicts({ ...deps, readUnwell: options.verdicts.read });
  notifier.listen(options.verdicts.channel, watch.look, watch.look);
  return {
    deps,
    async close() {
      clearInterval(timer);
      await watch.close();
      await runs.close();
      await followers.close();
      await jobs.close();
      await notifier.close();
    },
  };
}

const within: Within = (signal, ms) => {
  const late = AbortSignal.timeout(ms);
  return signal ? AbortSignal.any([signal, late]) : late;
};

/** Takes over what lost its owner, and what a lost wake-up left lying. */
async function sweepOnce(store: Store, wake: (id: string) => void, log: Log): Promise<void> {
  try {
    for (const id of await store.due(SWEEP_LIMIT)) wake(id);
  } catch (error) {
    log.warn({ reason: messageOf(error) }, "the sweep could not read the database");
  }
}

type Run = { abort: AbortController; nudged: boolean; wakeUp: (() => void) | null; finished: Promise<void> };

/** The deployments that this process works on now: at most one run each. */
function createRuns(options: EngineOptions, store: Store, followers: Followers) {
  const running = new Map<string, Run>();
  const turns = createTurns(options.clock);
  let closing = false;
  const deps: AdvanceDeps = {
    ...options,
    readUnwell: options.verdicts.read,
    store,
    prepared: new Map(),
    logCopied: (deployment) => followers.settled(deployment),
    within,
  };

  function wake(id: string): void {
    const run = running.get(id);
    if (run) {
      run.nudged = true;
      run.wakeUp?.();
      return;
    }
    if (closing) return;
    const started: Run = {
      abort: new AbortController(),
      nudged: false,
      wakeUp: null,
      finished: Promise.resolve(),
    };
    running.set(id, started);
    started.finished = drive({ ...deps, turns }, options.clock, id, started, followers)
      .catch((error) => onError(id, error))
      .finally(() => {
        running.delete(id);
        deps.prepared.delete(id);
        // Told while it was ending: that must not be lost.
        if (started.nudged && !closing) wake(id);
      });
  }

  function onError(id: string, error: unknown): void {
    options.log.warn({ deployment: id, err: error }, "working on a deployment was interrupted; trying again");
    void options.clock.sleep(AFTER_ERROR_MS).then(() => wake(id));
  }

  return {
    wake,
    async close(): Promise<void> {
      closing = true;
      for (const run of running.values()) run.abort.abort(new Error("shutting down"));
      await Promise.all([...running.values()].map((run) => run.finished));
      turns.close();
    },
  };
}

/** Claims a deployment and advances it until its lease goes, by need or by choice. */
async function drive(
  deps: AdvanceDeps & { readonly turns: Turns },
  clock: Clock,
  id: string,
  run: Run,
  followers: Followers,
): Promise<void> {
  run.nudged = false;
  let held: Deployment | null = await inTurn(deps.turns, true, () => deps.store.claim(id));
  if (!held) return;
  const { signal } = run.abort;
  const renewal = setInterval(() => void renewOrStop(deps, () => held, run), RENEW_MS);
  let actingStill = false;
  try {
    while (!signal.aborted) {
      followers.follow(held);
      const nudged = watchNudges(deps, () => held, run);
      const own: Deployment = held;
      const outcome = await inTurn(deps.turns, takesTurns(own), () => advanceOnce(deps, own, signal));
      nudged.stop();
      if (outcome.kind === "released") return;
      if (outcome.kind === "lost") {
        actingStill = outcome.actingStill;
        break;
      }
      held = outcome.deployment;
      followers.follow(held);
      if (outcome.kind === "wait") await pause(clock, outcome.until, run);
    }
    if (!actingStill) await deps.store.letGo(held);
    // On shutdown the next owner need not wait for the lease to end; after a loss this matches no row.
    await deps.store.release(held);
  } finally {
    clearInterval(renewal);
  }
}

async function inTurn<T>(turns: Turns, waits: boolean, work: () => Promise<T>): Promise<T> {
  if (!waits) return work();
  const leave = await turns.enter();
  try {
    return await work();
  } finally {
    leave();
  }
}

async function renewOrStop(deps: AdvanceDeps, held: () => Deployment | null, run: Run): Promise<void> {
  const before = held();
  if (!before) return;
  try {
    const kept = await deps.store.renew(before);
    // Only if it has not moved on meanwhile: then the loss is of a row that was true when the question was asked.
    if (!kept && held()?.leaseToken === before.leaseToken && held()?.state === before.state) {
      run.abort.abort(new Error("the lease was taken over"));
    }
  } catch (error) {
    deps.log.warn({ deployment: before.id, reason: messageOf(error) }, "a lease could not be renewed");
  }
}

/** A wake-up that comes during a step may be a person who took the deployment over: then its effect is cut short. */
function watchNudges(deps: AdvanceDeps, held: () => Deployment | null, run: Run): { stop(): void } {
  run.wakeUp = () => void renewOrStop(deps, held, run);
  if (run.nudged) {
    run.nudged = false;
    run.wakeUp();
  }
  return {
    stop() {
      run.wakeUp = null;
    },
  };
}

async function pause(clock: Clock, until: Date, run: Run): Promise<void> {
  const ms = until.getTime() - clock.now().getTime();
  if (ms <= 0 || run.nudged) return;
  const woken = new AbortController();
  run.wakeUp = () => woken.abort(new Error("woken"));
  await clock.sleep(ms, AbortSignal.any([woken.signal, run.abort.signal])).catch(() => {});
  run.wakeUp = null;
}

function changes(notifier: Notifier): EngineDeps["onChange"] {
  const callbacks = new Map<string, Set<() => void>>();
  const call = (id: string) => callbacks.get(id)?.forEach((callback) => void callback());
  const callAll = () => [...callbacks.keys()].forEach(call);
  notifier.listen(CHANGED_CHANNEL, call, callAll);
  return (id, callback) => {
    const own = callbacks.get(id) ?? new Set();
    own.add(callback);
    callbacks.set(id, own);
    return () => {
      own.delete(callback);
      if (own.size === 0) callbacks.delete(id);
    };
  };
}
