import type { Judged, Verdict } from "./verdict.ts";

/** Verdicts of the same kind in a row, kept in the row so that any process goes on. Times in epoch ms. */
export type Streak = { readonly count: number; readonly sinceMs: number };

export type Health = {
  readonly verdict: Verdict;
  readonly reason: string;
  /** Since when it is this verdict. */
  readonly sinceMs: number;
  readonly checkedAtMs: number;
  readonly away: Streak | null;
  readonly well: Streak | null;
  readonly indicator: string | null;
};

export const NOT_LOOKED_AT: Health = {
  verdict: "unclear",
  reason: "It was not looked at yet.",
  sinceMs: 0,
  checkedAtMs: 0,
  away: null,
  well: null,
  indicator: null,
};

/** Looks that lie further apart than this many intervals are no row: nobody knows what was between. */
const GAP_INTERVALS = 5;
const SHORTEST_GAP_MS = 10_000;

/** Adds one judgement. Any other verdict ends a streak. Pure. */
export function fold(
  before: Health,
  judged: Judged,
  at: { readonly nowMs: number; readonly intervalMs: number; readonly indicator: string | null },
): Health {
  const { nowMs, intervalMs, indicator } = at;
  const gapMs = Math.max(GAP_INTERVALS * intervalMs, SHORTEST_GAP_MS);
  const unbroken = nowMs - before.checkedAtMs <= gapMs && nowMs >= before.checkedAtMs;
  const next = (kind: "away" | "well"): Streak | null => {
    if (judged.verdict !== kind) return null;
    const streak = unbroken ? before[kind] : null;
    return streak ? { ...streak, count: streak.count + 1 } : { count: 1, sinceMs: nowMs };
  };
  return {
    ...judged,
    sinceMs: judged.verdict === before.verdict && before.sinceMs > 0 ? before.sinceMs : nowMs,
    checkedAtMs: nowMs,
    away: next("away"),
    well: next("well"),
    indicator,
  };
}

/** A streak is long enough when it has both the number and the time. */
export function lasts(
  streak: Streak | null,
  needed: { count: number; forMs: number },
  nowMs: number,
): boolean {
  return streak !== null && streak.count >= needed.count && nowMs - streak.sinceMs >= needed.forMs;
}
