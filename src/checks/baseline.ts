import type { LocationState } from "./model.ts";

export type Baseline = NonNullable<LocationState["baseline"]>;

/** Too few say nothing of a habit. */
const SAMPLES_MIN = 30;
/** The mean follows about the last hundred answers: fast enough for a service that is changed, slow for an incident. */
const MEMORY = 100;
/** How much less an outlier counts. */
const OUTLIER_SHARE = 0.25;
/** Noise that no factor should be taken of: 1 ms that becomes 3 ms is nobody's trouble. */
const NOISE_MS = 20;
/** A service that varies much by nature has to leave its own spread as well. */
const DEVIATIONS = 3;
const LATENCY_MIN_MS = 0.1;

/** Above this, an answer has left the habit by `factor`. Null: there is no habit yet. */
export function limitOf(baseline: Baseline | null, factor: number): number | null {
  if (!baseline || baseline.count < SAMPLES_MIN) return null;
  const spread = Math.max(Math.log(factor), DEVIATIONS * Math.sqrt(baseline.variance));
  return Math.max(Math.exp(baseline.mean + spread), Math.exp(baseline.mean) + NOISE_MS);
}

/**
 * With one more good answer. One above `limitMs` moves the mean as if it had been at the limit, and the variance not at
 * all: slowness becomes the habit after some hundred rounds, and does not hide itself before.
 */
export function learn(baseline: Baseline | null, latencyMs: number, limitMs: number | null): Baseline {
  const value = Math.log(Math.max(LATENCY_MIN_MS, Math.min(latencyMs, limitMs ?? latencyMs)));
  if (!baseline) return { mean: value, variance: 0, count: 1 };
  const count = Math.min(MEMORY, baseline.count + 1);
  const isOutlier = limitMs !== null && latencyMs > limitMs;
  const weight = isOutlier ? OUTLIER_SHARE / MEMORY : 1 / count;
  const off = value - baseline.mean;
  return {
    mean: baseline.mean + weight * off,
    variance: isOutlier ? baseline.variance : (1 - weight) * (baseline.variance + weight * off * off),
    count,
  };
}
