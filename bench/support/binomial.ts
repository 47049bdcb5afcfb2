/**
 * The least number of successes that `n` tries with probability `p` stay at or below with probability `share`: above
 * it, chance alone is no explanation.
 */
export function binomialQuantile(n: number, p: number, share: number): number {
  // Each term from the one before, in logarithms: (1 - p)^n alone would be 0 for a large n.
  let logTerm = n * Math.log1p(-p);
  let sum = Math.exp(logTerm);
  let k = 0;
  while (sum < share && k < n) {
    logTerm += Math.log((n - k) / (k + 1)) + Math.log(p) - Math.log1p(-p);
    k += 1;
    sum += Math.exp(logTerm);
  }
  return k;
}
