import { answerOf } from "./answer.ts";
import { learn, limitOf } from "./baseline.ts";
import {
  type Attempt,
  type Failure,
  type LocationState,
  maxAgeMs,
  type Policy,
  type Round,
} from "./model.ts";

/** A single slow answer is a pause of a garbage collector; two rounds of them are a state. */
const SLOW_ROUNDS = 2;

/**
 * What a location says after one more round. A round that says nothing of the service (untrusted, or only failures of
 * our own) changes nothing: what was said before expires by itself, where nothing new is heard for `maxAgeMs`.
 *
 * `since` is the start of the first attempt that said so, although it was believed only later.
 */
export function fold(before: LocationState | null, round: Round, policy: Policy): LocationState {
  const state = before === null ? unheard(round, policy) : forgetStale(setBack(before, round), round, policy);
  const said = round.untrusted === null ? round.attempts.filter((one) => answerOf(one) !== "nothing") : [];
  const last = said.at(-1);
  if (last === undefined) return withoutVerdict(state, round);
  const failed = said.filter((one) => answerOf(one) === "failed");
  const good = said.filter((one) => answerOf(one) === "good");
  const heard = { ...state, lastAt: round.endedAt, lastLatencyMs: last.latencyMs };
  if (state.state === "down") {
    return failed.length > 0 ? stayDown(heard, failed) : recover(heard, good, policy);
  }
  // Until it is down, one good attempt of a round outweighs those that failed in it.
  return good.length > 0 ? goOn(heard, good, policy) : fail(heard, failed, policy);
}

function unheard(round: Round, { graceMs }: Policy): LocationState {
  return {
    state: "unknown",
    since: round.startedAt,
    failures: 0,
    firstFailureAt: null,
    successes: 0,
    firstSuccessAt: null,
    failure: null,
    lastAt: null,
    lastLatencyMs: null,
    baseline: null,
    ...(graceMs > 0 ? { graceUntil: round.startedAt + graceMs } : {}),
  };
}

/** Rounds follow each other: one that begins before the last has ended is of a clock that was set back since. */
function setBack(before: LocationState, { startedAt }: Round): LocationState {
  if (before.lastAt === null || startedAt >= before.lastAt) return before;
  const past = <T extends number | null>(at: T) => (at === null ? at : Math.min(at, startedAt)) as T;
  return {
    ...before,
    since: past(before.since),
    firstFailureAt: past(before.firstFailureAt),
    firstSuccessAt: past(before.firstSuccessAt),
    lastAt: startedAt,
    ...(before.slow ? { slow: { ...before.slow, since: past(before.slow.since) } } : {}),
  };
}

/** Nobody looked for so long that nothing of it holds any more, but its habits. */
function forgetStale(before: LocationState, round: Round, policy: Policy): LocationState {
  if (before.lastAt === null || round.startedAt < before.lastAt + maxAgeMs(policy)) return before;
  const { slow: _slow, ...rest } = before;
  return {
    ...rest,
    state: "unknown",
    since: Math.max(before.since, before.lastAt + maxAgeMs(policy)),
    failures: 0,
    firstFailureAt: null,
    successes: 0,
    firstSuccessAt: null,
    failure: null,
  };
}

/** What is unknown shows why. */
function withoutVerdict(state: LocationState, round: Round): LocationState {
  const failure = round.untrusted === null ? round.attempts.at(-1)?.failure : undefined;
  return state.state === "unknown" && failure ? { ...state, failure } : state;
}

function fail(state: LocationState, failed: readonly Attempt[], policy: Policy): LocationState {
  const counted = failed.filter(({ startedAt }) => startedAt >= (state.graceUntil ?? 0));
  const failure = failureOf(failed);
  if (counted.length === 0) return { ...state, failure: state.state === "unknown" ? failure : state.failure };
  const failures = state.failures + counted.length;
  const firstFailureAt = state.firstFailureAt ?? startOf(counted);
  const failing = { ...state, failures, firstFailureAt, successes: 0, firstSuccessAt: null, failure };
  if (failures < policy.failures) return failing;
  const { slow: _slow, graceUntil: _graceUntil, ...down } = failing;
  return { ...down, state: "down", since: Math.max(state.since, firstFailureAt) };
}

function stayDown(state: LocationState, failed: readonly Attempt[]): LocationState {
  return {
    ...state,
    failures: state.failures + failed.length,
    successes: 0,
    firstSuccessAt: null,
    failure: failureOf(failed),
  };
}

function recover(state: LocationState, good: readonly Attempt[], policy: Policy): LocationState {
  const successes = state.successes + good.length;
  const firstSuccessAt = state.firstSuccessAt ?? startOf(good);
  if (successes < policy.successes) return { ...state, successes, firstSuccessAt };
  const isDegraded = good.at(-1)?.status === "degraded";
  return {
    ...state,
    state: isDegraded ? "degraded" : "up",
    since: Math.max(state.since, firstSuccessAt),
    failures: 0,
    firstFailureAt: null,
    successes: isDegraded ? 0 : successes,
    firstSuccessAt: isDegraded ? null : firstSuccessAt,
    failure: isDegraded ? failureOf(good) : null,
  };
}

/** A round in which it worked, of a service that was not down. While degraded, `successes` are those without a flaw. */
function goOn(state: LocationState, good: readonly Attempt[], policy: Policy): LocationState {
  const first = good[0] as Attempt;
  const limitMs = policy.baselineFactor === null ? null : limitOf(state.baseline, policy.baselineFactor);
  const slowness = first.distorted ? null : describeSlowness(first, policy, limitMs);
  const isFlawed = first.status === "degraded" || slowness !== null;
  const { slow: before, graceUntil: _graceUntil, ...rest } = state;
  const slow = slowness && { rounds: (before?.rounds ?? 0) + 1, since: before?.since ?? first.startedAt };
  const going: LocationState = {
    ...rest,
    failures: 0,
    firstFailureAt: null,
    successes: isFlawed ? 0 : state.successes + good.length,
    firstSuccessAt: isFlawed ? null : (state.firstSuccessAt ?? first.startedAt),
    baseline: first.distorted ? state.baseline : learn(state.baseline, first.latencyMs, limitMs),
    ...(slow ? { slow } : {}),
  };
  if (first.status === "degraded") return turn(going, "degraded", first.startedAt, failureOf(good));
  if (slow && (slow.rounds >= SLOW_ROUNDS || state.state === "degraded")) {
    return turn(going, "degraded", slow.since, slowness);
  }
  if (state.state === "degraded" && going.successes < policy.successes) return going;
  return turn(going, "up", state.state === "degraded" ? going.firstSuccessAt : first.startedAt, null);
}

/** Into a state since when it is said to have been in it, unless it is in it already. */
function turn(
  before: LocationState,
  state: LocationState["state"],
  since: number | null,
  failure: Failure | null,
): LocationState {
  if (before.state === state) return { ...before, failure };
  return { ...before, state, since: Math.max(before.since, since ?? before.since), failure };
}

function describeSlowness({ latencyMs }: Attempt, policy: Policy, learnedMs: number | null): Failure | null {
  const shown = Math.round(latencyMs);
  if (policy.degradedMs !== null && latencyMs > policy.degradedMs) {
    return { class: "slow", message: `It took ${shown} ms; the limit is ${policy.degradedMs} ms.` };
  }
  if (learnedMs === null || latencyMs <= learnedMs) return null;
  return {
    class: "slow",
    message: `It took ${shown} ms; by its habit it takes at most ${Math.round(learnedMs)} ms.`,
  };
}

function failureOf(attempts: readonly Attempt[]): Failure | null {
  return attempts.at(-1)?.failure ?? null;
}

function startOf(attempts: readonly Attempt[]): number {
  return Math.min(...attempts.map(({ startedAt }) => startedAt));
}
