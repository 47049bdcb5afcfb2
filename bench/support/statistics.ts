/** The `share` quantile (0..1) by nearest rank: every answer is a value that was really measured. Empty: NaN. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

/** One decimal, which is as much as a shared machine's timings mean. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** `{p50, p95, p99, max}` of milliseconds, rounded. */
export function summary(values: readonly number[]): { p50: number; p95: number; p99: number; max: number } {
  const at = (share: number) => round(quantile(values, share));
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}
