import fc from "fast-check";
import { expect, test } from "vitest";
import { compareSamples, samplesNeeded } from "./comparison.ts";

const limits = { confidence: 0.95, tolerance: 0.25, effectSize: 1 };
const values = fc.array(fc.double({ min: 0, max: 1_000, noNaN: true }), { minLength: 1, maxLength: 60 });

test.each([
  ["clearly higher", [131, 128, 140, 133, 137, 129], [101, 99, 104, 98, 103, 100], true],
  ["clearly lower", [101, 99, 104, 98, 103, 100], [131, 128, 140, 133, 137, 129], false],
  ["higher, but within noise", [104, 99, 107, 98, 103, 101], [101, 99, 104, 98, 103, 100], false],
  // R 4.2.2: the interval is 1 to 16.5, the estimate 7.5, a quarter of which is 1.875.
  ["above zero, but not above the tolerance", [10, 13, 16, 19], [2.5, 6.5, 8.5, 9], false],
  ["constant on each side", [7, 7, 7, 7], [5, 5, 5, 5], true],
  ["constant, and the same", [5, 5, 5], [5, 5, 5, 5], false],
  [
    "errors where there were none: no ratio, so the interval decides",
    [0.1, 0.2, 0.1, 0.2],
    [0, 0, 0, 0],
    true,
  ],
  ["a single error", [0.1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], false],
])("%s", (_name, canary, baseline, higher) => {
  expect(compareSamples(canary, baseline, limits).higher).toBe(higher);
});

test("the tolerance is a part of the estimated difference", () => {
  // R 4.2.2, conf.int = TRUE: 0.5 to 6.2, estimate 3.4; a quarter of it is 0.85, a tenth 0.34.
  const [canary, baseline] = [
    [10.5, 12, 13.1, 14.2],
    [8, 9.1, 9.4, 10],
  ];
  const result = compareSamples(canary, baseline, limits);
  expect(result.test).toMatchObject({ lower: expect.closeTo(0.5, 9), upper: expect.closeTo(6.2, 9) });
  expect(result.higher).toBe(false);
  expect(compareSamples(canary, baseline, { ...limits, tolerance: 0.1 }).higher).toBe(true);
});

test("a difference counts only from the effect size on", () => {
  const slower = [104, 105, 106, 107, 108];
  const before = [100, 100.5, 101, 101.5, 102];
  expect(compareSamples(slower, before, limits).higher).toBe(true);
  expect(compareSamples(slower, before, { ...limits, effectSize: 1.2 }).higher).toBe(false);
});

test("identical samples always pass, in whatever order", () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0.5, max: 0.999, noNaN: true }), (sample, confidence) => {
      expect(compareSamples(sample, [...sample].reverse(), { ...limits, confidence }).higher).toBe(false);
    }),
  );
});

test("never both higher than the other", () => {
  fc.assert(
    fc.property(values, values, (one, other) => {
      const both = [compareSamples(one, other, limits).higher, compareSamples(other, one, limits).higher];
      expect(both).not.toEqual([true, true]);
    }),
  );
});

/** 2 of C(2n, n) orders do not overlap: C(6, 3) = 20, C(8, 4) = 70, C(10, 5) = 252. */
test.each([
  [0.9, 3],
  [0.95, 4],
  [0.98, 5],
  [0.99, 5],
  [0.5, 2],
])("at a confidence of %s it takes %s samples on each side", (confidence, needed) => {
  expect(samplesNeeded(confidence)).toBe(needed);
});
