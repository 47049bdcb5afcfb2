import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bucketOf,
  countOf,
  type Histogram,
  LAST_BUCKET,
  merge,
  QUANTILE_FACTOR,
  quantile,
} from "./histogram.ts";

const latency = fc.oneof(
  fc.double({ min: 0.1, max: 120_000, noNaN: true }),
  // The slowest that there are.
  fc.double({ min: 100_000, max: 120_000, noNaN: true }),
  // As many fast ones as slow ones.
  fc.double({ min: -1, max: 5, noNaN: true }).map((power) => 10 ** power),
);

const histogramOf = (latencies: readonly number[]): Histogram =>
  latencies.reduce((all: Histogram, ms) => merge(all, { [bucketOf(ms)]: 1 }), {});

test("a quantile is at most 4.4 % beside the exact one", () => {
  fc.assert(
    fc.property(
      fc.array(latency, { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (latencies, q) => {
        const sorted = [...latencies].sort((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] ?? 0;
        const ours = quantile(histogramOf(latencies), q) ?? 0;
        expect(Math.max(ours / exact, exact / ours)).toBeLessThanOrEqual(QUANTILE_FACTOR * (1 + 1e-9));
      },
    ),
  );
});

test("merging is counting all at once, in any order, through JSON", () => {
  fc.assert(
    fc.property(fc.array(latency), fc.array(latency), (some, others) => {
      const [a, b] = [histogramOf(some), histogramOf(others)];
      const both = histogramOf([...some, ...others]);
      expect(merge(a, b)).toEqual(both);
      expect(merge(b, a)).toEqual(both);
      expect(merge(both, {})).toEqual(both);
      expect(JSON.parse(JSON.stringify(both))).toEqual(both);
      expect(countOf(both)).toBe(some.length + others.length);
    }),
  );
});

test.each([
  [0, 0],
  [-1, 0],
  [Number.NaN, 0],
  [0.1, 0],
  [0.2, 8],
  [0.200001, 9],
  [120_000, 162],
  [Number.POSITIVE_INFINITY, LAST_BUCKET],
])("%d ms is in bucket %d", (ms, bucket) => {
  expect(bucketOf(ms)).toBe(bucket);
});

test("of nothing there is no quantile", () => {
  expect(quantile({}, 0.5)).toBeNull();
  expect(quantile({ 57: 0 }, 0.5)).toBeNull();
});
