import { type Comparison, type ComparisonLimits, compareSamples, samplesNeeded } from "./comparison.ts";
import { type Finding, tooFew } from "./limits.ts";
import type { AnalysisPolicy } from "./strategy.ts";
import type { ServiceWindow, Totals } from "./windows.ts";
import { ms, percent } from "./words.ts";

/** What is compared: a number of each interval in which both releases have one. */
type Measure = {
  readonly of: (totals: Totals) => number | null;
  readonly says: (comparison: Comparison) => string;
  readonly amount: (value: number) => string;
};

const MEASURES = {
  "error-share": {
    of: ({ requests, errors5xx }) => (requests > 0 ? errors5xx / requests : null),
    says: ({ canaryMean, baselineMean }) =>
      `${percent(canaryMean)} of its answers are 5xx, ${percent(baselineMean)} of those of the release before it`,
    amount: percent,
  },
  // The mean and not the histogram's quantile: sums are exact, while a quantile is as coarse as its bucket.
  "latency-average": {
    of: ({ answers, latencySumMs }) => (answers > 0 ? latencySumMs / answers : null),
    says: ({ canaryMean, baselineMean }) =>
      `it answers after ${ms(canaryMean)} on average, the release before it after ${ms(baselineMean)}`,
    amount: ms,
  },
} as const satisfies Record<string, Measure>;

export type Measured = keyof typeof MEASURES;
export const MEASURED = Object.keys(MEASURES) as Measured[];

/** Compares one service with the release before it, interval by interval; null when there is none before it. */
export function compareService(
  window: ServiceWindow,
  name: Measured,
  policy: AnalysisPolicy,
): Finding | null {
  if (window.baseline === null) return null;
  const few = tooFew(window, policy);
  if (few) return few;
  const measure = MEASURES[name];
  const pairs = window.samples.flatMap(({ canary, baseline }) => {
    const own = measure.of(canary);
    const other = baseline && measure.of(baseline);
    return own === null || other === null ? [] : [{ own, other }];
  });
  const needed = samplesNeeded(policy.confidence);
  if (pairs.length < needed) {
    const seen = `${pairs.length} of ${window.samples.length} intervals`;
    return { is: "inconclusive", text: `both releases had requests in ${seen}, ${needed} needed` };
  }
  const comparison = compareSamples(
    pairs.map(({ own }) => own),
    pairs.map(({ other }) => other),
    policy,
  );
  return {
    is: comparison.higher ? "fail" : "pass",
    text: `${measure.says(comparison)} (${why(comparison, policy, measure.amount, pairs.length)})`,
  };
}

function why(
  { ratio, test }: Comparison,
  { confidence, tolerance, effectSize }: ComparisonLimits,
  amount: (value: number) => string,
  intervals: number,
): string {
  if (test === null) return `the same in all of ${intervals} intervals`;
  const { lower, upper, estimate } = test;
  const sure = `in ${intervals} intervals at ${percent(confidence)} confidence`;
  const range = `${amount(lower)} to ${amount(upper)} more ${sure}`;
  const noise = `up to ${amount(tolerance * Math.abs(estimate))} is noise`;
  const times = ratio === null ? "" : `; ${Number(ratio.toPrecision(3))} times, counts from ${effectSize}`;
  return `${range}, ${noise}${times}`;
}
