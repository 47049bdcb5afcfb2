import type { Answer } from "./answer.ts";
import type { Policy } from "./model.ts";

/** A round under way. All times by one clock, in ms; the monotonic one is meant. */
export type RoundUnderWay = {
  readonly startedAt: number;
  /** What the attempts that have ended said. */
  readonly answers: readonly Answer[];
  /** How many attempts are still without an answer. */
  readonly running: number;
  /** Whether the location says "down" before the round: then what is good is confirmed, otherwise what failed. */
  readonly isDown: boolean;
};

type RoundPolicy = Pick<Policy, "timeoutMs" | "failures" | "successes">;

/** Pauses before the attempts that confirm: long enough for a restart of a connection pool or a lost packet. */
const FIRST_PAUSE_MS = 100;

/**
 * When the next attempt of a round begins (which may be past: at once), or `done`: the round is over, and what still
 * runs is aborted and recorded as `timeout`. Null: nothing to begin; wait for an answer, until `startedAt + timeoutMs`.
 * Ask again after each answer and each start.
 *
 * What failed is tried again after 100 ms and 300 ms, and at a third and two thirds of the timeout at the latest, so
 * that a hanging connection is doubted before it has used up all the time. One good attempt ends it.
 */
export function nextAttemptAt(
  round: RoundUnderWay,
  policy: RoundPolicy,
  now: number,
): number | "done" | null {
  const { startedAt, answers, running, isDown } = round;
  if (now >= startedAt + policy.timeoutMs) return "done";
  const begun = answers.length + running;
  if (begun === 0) return startedAt;
  if (answers.includes("nothing") || answers.includes(isDown ? "failed" : "good")) return "done";
  const most = isDown ? policy.successes : policy.failures;
  if (begun >= most) return running === 0 ? "done" : null;
  return isDown ? confirmGood(round, policy, begun, now) : confirmFailed(round, policy, begun);
}

function confirmFailed({ startedAt, running }: RoundUnderWay, policy: RoundPolicy, begun: number): number {
  const latest = (begun * policy.timeoutMs) / Math.max(3, policy.failures);
  return startedAt + (running > 0 ? latest : Math.min(pauseMs(begun), latest));
}

/**
 * A slow answer is not confirmed in a hurry: an attempt that is cut off would count as failed. The next round goes on
 * where this one ended.
 */
function confirmGood(
  { startedAt, running }: RoundUnderWay,
  policy: RoundPolicy,
  begun: number,
  now: number,
): number | "done" | null {
  if (running > 0) return null;
  const spentMs = now - startedAt;
  const each = spentMs / begun;
  if (spentMs + Math.max(each, policy.timeoutMs / 3) > policy.timeoutMs) return "done";
  return startedAt + Math.min(pauseMs(begun), (begun * policy.timeoutMs) / Math.max(3, policy.successes));
}

/** 100, 300, 700 … ms after the round's start. */
function pauseMs(begun: number): number {
  return FIRST_PAUSE_MS * (2 ** begun - 1);
}
