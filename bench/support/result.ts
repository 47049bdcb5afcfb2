/** What a benchmark answers: the last line of `npm run bench -- NAME --json`. */
export type BenchResult = {
  readonly name: string;
  /** Unit of `ours` and `peers`. */
  readonly unit: string;
  readonly ours: number;
  /** The same measure of others, taken in the same run; empty where nobody offers the thing. */
  readonly peers: Readonly<Record<string, number>>;
  /** `ours` divided by each peer. */
  readonly ratios: Readonly<Record<string, number>>;
  /** The figure to reach, in words. */
  readonly target: string;
  readonly pass: boolean;
  /** Everything else worth keeping: percentiles, counts, samples of what went wrong. */
  readonly [extra: string]: unknown;
};
