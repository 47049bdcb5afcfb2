import { AppError, messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { type Change, contractDueAt, LEASE_MS } from "./change.ts";
import { type ObserveDeps, observe } from "./observe.ts";
import { type PerformDeps, perform } from "./perform.ts";
import { isOverdue, NOTHING_OBSERVED, type Patch, reconcile, type Step } from "./reconcile.ts";
import type { Deployment } from "./record.ts";
import { setback, settled } from "./setback.ts";
import { isSettled } from "./state.ts";
import type { Store } from "./store.ts";

/** Aborts with `signal`, or after `ms` if that is sooner. A parameter, because time is one. */
export type Within = (signal: AbortSignal | null, ms: number) => AbortSignal;

export type AdvanceDeps = ObserveDeps &
  PerformDeps & {
    readonly store: Store;
    readonly log: Log;
    /** Waits, for a bounded time, until the build log is copied, so that a failure can quote its end. */
    readonly logCopied: (deployment: Deployment) => Promise<void>;
    readonly within: Within;
  };

export type Outcome =
  /** Progress was made; look again at once. */
  | { readonly kind: "again"; readonly deployment: Deployment }
  /** Nothing to do before `until`; the lease is still held. */
  | { readonly kind: "wait"; readonly deployment: Deployment; readonly until: Date }
  /** The lease was given back. */
  | { readonly kind: "released" }
  /** Somebody else has it now; nothing more may be done. */
  | {
      readonly kind: "lost";
      /** True: a side effect of ours was cut short, and may yet happen at the target. */
      readonly actingStill: boolean;
    };

const LOST = { kind: "lost", actingStill: false } as const;

/** Longer waits give the lease back and come again by a durable job. */
const WAIT_IN_PROCESS_MS = 5_000;

const OBSERVE_TIMEOUT_MS = 15_000;
const PING_TIMEOUT_MS = 5_000;
const EFFECT_TIMEOUT_MS = { prepare: 600_000, build: 60_000, hold: 60_000 } as const;
const EFFECT_TIMEOUT_DEFAULT_MS = 30_000;
/** A migration has its own timeout; this is for one that does not keep it. */
const MIGRATION_SLACK_MS = 30_000;

/**
 * One turn for a deployment whose lease the caller holds: observe, decide, at most one side effect, and one
 * transaction that writes what came of it. A crash or a lost answer anywhere leaves a row from which the next turn,
 * by whichever worker, comes to the same end.
 */
export async function advanceOnce(
  deps: AdvanceDeps,
  held: Deployment,
  signal: AbortSignal,
): Promise<Outcome> {
  const fresh = await keepLease(deps, held);
  if (!fresh) return LOST;
  let step: Step;
  let change: Change | null = null;
  let acting = false;
  try {
    step = await decide(deps, fresh, signal);
    if (isEffect(step)) {
      // Asked of the database, not of the clock: a person may have taken it over a moment ago.
      const owned = await deps.store.renew(fresh);
      if (!owned) return LOST;
      acting = true;
      change = await perform(deps, owned, step, deps.within(signal, effectTimeout(owned, step)));
    }
  } catch (error) {
    if (signal.aborted) return { kind: "lost", actingStill: acting };
    deps.log.warn(
      { deployment: held.id, state: held.state, reason: messageOf(error) },
      "a step did not succeed",
    );
    step = setback(fresh, error, deps.clock.now(), await isAway(deps, error, signal));
    return write(deps, fresh, step, null, false);
  }
  return write(deps, fresh, step, change, true);
}

/** Whether the target is away as a whole, and not just this one request of ours failing: it is asked for its name. */
async function isAway(deps: AdvanceDeps, error: unknown, signal: AbortSignal): Promise<boolean> {
  if (!(error instanceof AppError) || error.code !== "unavailable") return false;
  try {
    await deps.target.ping(deps.within(signal, PING_TIMEOUT_MS));
    return false;
  } catch (why) {
    return why instanceof AppError && why.code === "unavailable";
  }
}

type Effect = Parameters<typeof perform>[2];

function isEffect(step: Step): step is Effect {
  return step.do !== "wait" && step.do !== "move" && step.do !== "rest";
}

function effectTimeout({ plan }: Deployment, step: Effect): number {
  if (step.do === "migrate") return (plan?.schema?.timeoutMs ?? 0) + MIGRATION_SLACK_MS;
  return step.do in EFFECT_TIMEOUT_MS
    ? EFFECT_TIMEOUT_MS[step.do as keyof typeof EFFECT_TIMEOUT_MS]
    : EFFECT_TIMEOUT_DEFAULT_MS;
}

/** Never acts on a lease that is about to end: whoever was suspended meanwhile finds out here. */
async function keepLease(deps: AdvanceDeps, held: Deployment): Promise<Deployment | null> {
  const left = (held.leaseUntil?.getTime() ?? 0) - deps.clock.now().getTime();
  return left > LEASE_MS / 2 ? held : deps.store.renew(held);
}

async function decide(deps: AdvanceDeps, deployment: Deployment, signal: AbortSignal): Promise<Step> {
  // An overdue one is not looked at first: that the target does not answer may be why it is overdue.
  const observed = isOverdue(deployment, deps.clock.now())
    ? NOTHING_OBSERVED
    : await observe(deps, deployment, deps.within(signal, OBSERVE_TIMEOUT_MS));
  return reconcile(deployment, observed, deps.clock.now());
}

async function write(
  deps: AdvanceDeps,
  before: Deployment,
  step: Step,
  effect: Change | null,
  succeeded: boolean,
): Promise<Outcome> {
  const asked = effect ?? (await changeOf(deps, before, step));
  const until = step.do === "wait" ? earlier(step.until, before.deadlineAt) : null;
  const patch = withoutAttempts(before, asked.patch, succeeded, deps.clock.now());
  const change = withLease(deps, { ...asked, ...(patch ? { patch } : {}) }, before, until, step);
  if (!change) return { kind: "wait", deployment: before, until: until ?? deps.clock.now() };
  const after = await deps.store.commit(before, change);
  if (after === "conflict") return LOST;
  if (after === "blocked") return { kind: "wait", deployment: before, until: later(deps, 1_000) };
  if (change.release) return { kind: "released" };
  return until ? { kind: "wait", deployment: after, until } : { kind: "again", deployment: after };
}

/** Null: nothing worth writing, and the lease is kept. */
function withLease(
  deps: AdvanceDeps,
  change: Change,
  before: Deployment,
  until: Date | null,
  step: Step,
): Change | null {
  const after = { ...before, ...change.patch };
  const settled = isSettled(change.to ?? before.state) || step.do === "rest";
  const dueAt = change.to === "live" ? contractDueAt(after, deps.clock.now()) : after.contractAt;
  if (settled && after.cleanup === null && (dueAt === null || change.to || step.do === "rest")) {
    return { ...change, release: { wakeAt: dueAt } };
  }
  if (until && until.getTime() - deps.clock.now().getTime() > WAIT_IN_PROCESS_MS) {
    return { ...change, release: { wakeAt: until } };
  }
  return change.to || differs(before, change.patch) ? change : step.do === "wait" ? null : change;
}

async function changeOf(deps: AdvanceDeps, before: Deployment, step: Step): Promise<Change> {
  if (step.do === "wait") return step.patch ? { patch: step.patch } : {};
  if (step.do !== "move") return {};
  const { to, reason, hint, patch } = step;
  const said =
    to === "failed" && before.state === "building" ? await withLastOutput(deps, before, reason) : reason;
  return { to, reason: said, ...(hint === undefined ? {} : { hint }), ...(patch ? { patch } : {}) };
}

/** A failed build's reason ends with the last line that it printed, which is mostly the cause. */
async function withLastOutput(deps: AdvanceDeps, before: Deployment, reason: string): Promise<string> {
  await deps.logCopied(before);
  const tail = await deps.store.logTail(before.id, 10);
  const last = tail.filter((line) => line.trim() !== "").at(-1);
  return last && !reason.includes(last.trim())
    ? `${reason} Last output: ${last.trim().slice(0, 500)}`
    : reason;
}

/** Failed tries are counted for one piece of work; the next success wipes the count. */
function withoutAttempts(
  before: Deployment,
  patch: Patch | undefined,
  succeeded: boolean,
  now: Date,
): Patch | undefined {
  if (!succeeded || (!before.facts.attempts && !before.facts.blocked)) return patch;
  return { ...patch, facts: settled(patch?.facts ?? before.facts, now) };
}

function differs(before: Deployment, patch: Patch | undefined): boolean {
  return Object.entries(patch ?? {}).some(
    ([name, value]) => JSON.stringify(before[name as keyof Patch]) !== JSON.stringify(value),
  );
}

function earlier(a: Date, b: Date | null): Date {
  return b !== null && b < a ? b : a;
}

function later(deps: AdvanceDeps, ms: number): Date {
  return new Date(deps.clock.now().getTime() + ms);
}
