/** Upper bounds of the gateway's histogram buckets; after them comes one without a bound. The same as the gateway's. */
export const LATENCY_BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000] as const;

/**
 * The quantile (0 to 1) of a cumulative histogram, within its bucket by straight line, as Prometheus does it. Infinity
 * beyond the last bound; null without any answer.
 */
export function quantileMs(cumulative: readonly number[], quantile: number): number | null {
  const all = cumulative.at(-1) ?? 0;
  if (all <= 0) return null;
  const rank = quantile * all;
  const bucket = cumulative.findIndex((count) => count >= rank);
  const upper = LATENCY_BOUNDS_MS[bucket];
  if (upper === undefined) return Number.POSITIVE_INFINITY;
  const lower = LATENCY_BOUNDS_MS[bucket - 1] ?? 0;
  const below = cumulative[bucket - 1] ?? 0;
  const inside = (cumulative[bucket] ?? 0) - below;
  return inside <= 0 ? upper : lower + ((upper - lower) * (rank - below)) / inside;
}
