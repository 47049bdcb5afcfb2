/**
 * Latencies counted in fixed buckets, so that a minute's, an hour's and a day's are made by adding. Each bucket is
 * 2^(1/8) wide (a quantile is at most 2^(1/16), 4.4 %, beside the exact one, from 0.1 ms to about 124 s); what is
 * faster counts as 0.1 ms, what is slower as the last bound.
 */
export type Histogram = Readonly<Record<string, number>>;

const SMALLEST_MS = 0.1;
const STEPS_PER_DOUBLING = 8;
/** What is above 0.1 ms × 2^(162/8) = 124 s: the longest timeout of a probe is 120 s. */
export const LAST_BUCKET = 163;
/** The largest factor between a quantile and the exact one. */
export const QUANTILE_FACTOR = 2 ** (1 / (2 * STEPS_PER_DOUBLING));

/** The bucket of a latency: n holds what is above 0.1 ms × 2^((n-1)/8) and at most 0.1 ms × 2^(n/8). */
export function bucketOf(ms: number): number {
  if (!(ms > SMALLEST_MS)) return 0;
  return Math.min(LAST_BUCKET, Math.ceil(STEPS_PER_DOUBLING * Math.log2(ms / SMALLEST_MS)));
}

export function merge(a: Histogram, b: Histogram): Histogram {
  const sum: Record<string, number> = { ...a };
  for (const [bucket, count] of Object.entries(b)) sum[bucket] = (sum[bucket] ?? 0) + count;
  return sum;
}

/** How many latencies are in it. */
export function countOf(histogram: Histogram): number {
  return Object.values(histogram).reduce((sum, count) => sum + count, 0);
}

/** The smallest latency that at least the share `q` (0 to 1) does not exceed, in ms; null: there is none. */
export function quantile(histogram: Histogram, q: number): number | null {
  // Keys that are whole numbers are in ascending order, by the language.
  const buckets = Object.entries(histogram);
  const rank = Math.max(1, Math.ceil(q * countOf(histogram)));
  let seen = 0;
  for (const [bucket, count] of buckets) {
    seen += count;
    if (seen >= rank) return middleOf(Number(bucket));
  }
  return null;
}

/** The geometric middle: as far from the one bound as from the other. */
function middleOf(bucket: number): number {
  if (bucket === 0) return SMALLEST_MS;
  const steps = bucket === LAST_BUCKET ? bucket - 1 : bucket - 0.5;
  return SMALLEST_MS * 2 ** (steps / STEPS_PER_DOUBLING);
}
