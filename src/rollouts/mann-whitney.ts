import { upperQuantile, upperTail } from "./normal.ts";

/** What the test says of the shift from `y` to `x`: how much greater x is. */
export type MannWhitney = {
  /** Pairs of which x is the greater, ties counted half. R calls it W. */
  readonly u: number;
  /** Two-sided: how likely so unequal ranks are if there is no shift. */
  readonly pValue: number;
  /** Hodges-Lehmann: the median of all differences x - y. */
  readonly estimate: number;
  /** Confidence interval of the shift. */
  readonly lower: number;
  readonly upper: number;
  /** `exact`: the distribution of U was counted out. `normal`: approximated, with ties and continuity corrected. */
  readonly method: "exact" | "normal";
};

/** As in R's `wilcox.test`: with fewer than this in both samples, and no ties, the exact distribution is used. */
const EXACT_BELOW = 50;

/**
 * The Mann-Whitney U test (Wilcoxon rank sum) of two independent samples, two-sided, with the interval of their shift.
 * The same numbers as R's `wilcox.test(x, y, conf.int = TRUE)`, but that R seeks the ends of an approximate interval
 * with a tolerance of 0.0001, which is coarse for error shares: they are always differences x - y, so they are read
 * off here. Kayenta's test approximates small samples too; R counts them out, and so does this.
 * Both samples hold at least one finite number.
 */
export function mannWhitney(x: readonly number[], y: readonly number[], confidence: number): MannWhitney {
  const differences = x.flatMap((value) => y.map((other) => value - other)).sort((a, b) => a - b);
  const u = differences.reduce((sum, difference) => sum + (Math.sign(difference) + 1) / 2, 0);
  const exact = x.length < EXACT_BELOW && y.length < EXACT_BELOW && tieTerm([...x, ...y]) === 0;
  const alpha = 1 - confidence;
  const { pValue, outside } = exact ? exactTest(u, x, y, alpha) : normalTest(u, x, y, alpha);
  // `outside`: the interval begins with this one of the sorted differences, and ends as far from the other end.
  const from = Math.min(Math.max(outside, 1), differences.length);
  return {
    u,
    pValue,
    estimate: median(differences),
    lower: differences[from - 1] ?? Number.NaN,
    upper: differences[differences.length - from] ?? Number.NaN,
    method: exact ? "exact" : "normal",
  };
}

type Test = { readonly pValue: number; readonly outside: number };

function exactTest(u: number, x: readonly number[], y: readonly number[], alpha: number): Test {
  const counts = countsOfU(x.length, y.length);
  const all = ordersOf(x.length, y.length);
  // The distribution is symmetric: the tail on u's own side is the lower tail of its mirror image.
  const tail = Math.min(u, x.length * y.length - u);
  const below = counts.slice(0, tail + 1).reduce((sum, count) => sum + count, 0) / all;
  let outside = 0;
  let reached = (counts[0] ?? 0) / all;
  // As R's qwilcox, to whose fuzz the second term is owed.
  while (reached < alpha / 2 - 10 * Number.EPSILON && outside < counts.length) {
    reached += (counts[++outside] ?? 0) / all;
  }
  return { pValue: Math.min(1, 2 * below), outside };
}

/**
 * In how many orders of m x's and n y's U is 0, 1, … up to the middle, after which it is symmetric: the coefficients
 * of the Gaussian binomial, the product of (1 - q^(n + i)) / (1 - q^i) for i = 1 … m (Mann and Whitney, 1947).
 */
function countsOfU(m: number, n: number): Float64Array {
  const counts = new Float64Array(Math.floor((m * n) / 2) + 1);
  counts[0] = 1;
  for (let i = 1; i <= m; i++) {
    for (let u = counts.length - 1; u >= n + i; u--) counts[u] = (counts[u] ?? 0) - (counts[u - n - i] ?? 0);
    for (let u = i; u < counts.length; u++) counts[u] = (counts[u] ?? 0) + (counts[u - i] ?? 0);
  }
  return counts;
}

/** In how many orders m x's and n y's can be: the binomial coefficient. */
function ordersOf(m: number, n: number): number {
  let orders = 1;
  for (let i = 1; i <= m; i++) orders = (orders * (n + i)) / i;
  return orders;
}

function normalTest(u: number, x: readonly number[], y: readonly number[], alpha: number): Test {
  const pairs = x.length * y.length;
  const distance = Math.max(0, Math.abs(u - pairs / 2) - 0.5);
  const sigma = sigmaOf(x.length, y.length, tieTerm([...x, ...y]));
  // A shift between two differences ties no x with a y: within the samples alone the ties stay.
  const shifted = sigmaOf(x.length, y.length, tieTerm(x) + tieTerm(y));
  return {
    pValue: sigma === 0 ? 1 : Math.min(1, 2 * upperTail(distance / sigma)),
    outside: Math.ceil(pairs / 2 - 0.5 - upperQuantile(alpha / 2) * shifted),
  };
}

function sigmaOf(m: number, n: number, ties: number): number {
  const all = m + n;
  return Math.sqrt(Math.max(0, ((m * n) / 12) * (all + 1 - (all > 1 ? ties / (all * (all - 1)) : 0))));
}

/** The sum of t^3 - t over groups of t equal values; 0 without ties. */
function tieTerm(values: readonly number[]): number {
  const groups = new Map<number, number>();
  for (const value of values) groups.set(value, (groups.get(value) ?? 0) + 1);
  return [...groups.values()].reduce((sum, t) => sum + t ** 3 - t, 0);
}

function median(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
