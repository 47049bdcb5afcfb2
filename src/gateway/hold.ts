import type { Hold } from "./snapshot.ts";

/**
 * What becomes of a request that arrives: `pass`, `wait`, or `full` when as many wait already as may. Pure.
 * @param limit how many may wait here
 */
export function holdVerdict(
  hold: Hold | null | undefined,
  waiting: number,
  limit: number,
  nowMs: number,
): "pass" | "wait" | "full" {
  if (!hold || nowMs >= hold.untilMs) return "pass";
  return waiting < limit ? "wait" : "full";
}

export type Settlement = {
  /** So many of the oldest have waited too long. */
  readonly failed: number;
  /** What becomes of the rest. */
  readonly rest: "released" | "failed" | "waiting";
  /** When to look again; null when nobody waits any more. */
  readonly nextMs: number | null;
};

/**
 * What becomes of those that wait. A hold that was lifted lets them go. One that ran out was not lifted in time: they
 * fail, and whoever comes now passes. Pure.
 * @param arrivals when each one came, ascending, milliseconds since 1970
 */
export function settleHeld(
  hold: Hold | null | undefined,
  arrivals: readonly number[],
  nowMs: number,
): Settlement {
  if (!hold) return { failed: 0, rest: "released", nextMs: null };
  if (nowMs >= hold.untilMs) return { failed: 0, rest: "failed", nextMs: null };
  const patient = arrivals.findIndex((arrivedMs) => nowMs < arrivedMs + hold.maxMs);
  const failed = patient === -1 ? arrivals.length : patient;
  const oldest = arrivals[failed];
  const nextMs = oldest === undefined ? null : Math.min(oldest + hold.maxMs, hold.untilMs);
  return { failed, rest: "waiting", nextMs };
}

/** One worker's part of a hold's limit: equal parts, rounded up. */
export function partOfLimit({ maxRequests }: Hold, workers: number): number {
  return Math.ceil(maxRequests / workers);
}
