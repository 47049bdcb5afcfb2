import fc from "fast-check";
import { expect, test } from "vitest";
import { mannWhitney } from "./mann-whitney.ts";
import { upperQuantile, upperTail } from "./normal.ts";

const LEFT_20 =
  "125.59 94.23 98.75 101.29 96.26 96.47 111.73 103.95 106.37 124.71 " +
  "108.21 129.45 125.53 107.92 122.06 109.21 96.96 102.23 104.96 113.89";
const RIGHT_25 =
  "107.56 106.35 111.75 87.51 111.46 101.66 106.77 105.33 91.15 97.52 92.16 106.47 101 " +
  "99.29 96.22 94.94 108.98 90.05 98.72 102.83 110.97 93.71 97.43 88.2 96.48";
const numbers = (text: string) => text.split(" ").map(Number);

/**
 * Made with R 4.2.2: wilcox.test(x, y, conf.int = TRUE, conf.level = …, tol.root = 1e-14), exact where R is exact.
 * [x, y, confidence, method, W, p-value, conf.int[1], conf.int[2], estimate]
 */
const BY_R = [
  ["1.1 2.2 3.3 4.4", "0.5 0.9 1 1.6", 0.95, "exact", 15, 0.0571428571429, -0.5, 3.9, 1.7],
  ["1.1 2.2 3.3 4.4", "0.5 0.9 1 1.6", 0.9, "exact", 15, 0.0571428571429, 0.1, 3.5, 1.7],
  ["131 128 140 133 137 129", "101 99 104 98 103 100", 0.95, "exact", 36, 0.0021645021645, 27, 38, 31.5],
  ["131 128 140 133 137 129", "101 99 104 98 103 100", 0.9, "exact", 36, 0.0021645021645, 28, 37, 31.5],
  ["5 6 7", "1 2 3", 0.95, "exact", 9, 0.1, 2, 6, 4],
  ["3", "1 2 4 5", 0.95, "exact", 2, 1, -2, 2, 0],
  ["1 2 2 3 3 3 4", "1 1 2 2 2 3 5", 0.95, "normal", 30.5, 0.465029036161, -1, 2, 1],
  ["1 2 2 3 3 3 4", "1 1 2 2 2 3 5", 0.9, "normal", 30.5, 0.465029036161, -1, 1, 1],
  [
    "0 0.02 0 0.04 0.01 0.03 0 0.02",
    "0 0 0.01 0 0.01 0 0 0.02",
    0.95,
    "normal",
    44.5,
    0.175334143777,
    0,
    0.02,
    0.01,
  ],
  [LEFT_20, RIGHT_25, 0.95, "exact", 360, 0.0113569952409, 1.53, 14.3, 7.545],
  [LEFT_20, RIGHT_25, 0.9, "exact", 360, 0.0113569952409, 2.53, 13.27, 7.545],
] as const;

test.each(BY_R)("the same as R: %s | %s at %s", (x, y, confidence, method, u, p, lower, upper, estimate) => {
  const result = mannWhitney(numbers(x), numbers(y), confidence);
  expect(result.method).toBe(method);
  expect(result.u).toBe(u);
  expect(result.pValue).toBeCloseTo(p, 11);
  expect([result.lower, result.upper, result.estimate]).toEqual(
    [lower, upper, estimate].map((value) => expect.closeTo(value, 10)),
  );
});

test("the largest that is counted out: 49 against 49, as in R", () => {
  const at = Array.from({ length: 49 }, (_, index) => index);
  const x = at.map((index) => index * 1.37 + ((0.11 * index) % 3));
  const y = at.map((index) => index * 1.1 + 20.5 + index / 1_000);
  // R 4.2.2: i <- 0:48; x <- i * 1.37 + (.11 * i) %% 3; y <- i * 1.1 + 20.5 + i / 1000
  const result = mannWhitney(y, x, 0.95);
  expect(result).toMatchObject({ u: 1634, method: "exact" });
  expect(result.pValue).toBeCloseTo(0.0018776958112241, 14);
  expect([result.lower, result.upper]).toEqual([expect.closeTo(4.762, 9), expect.closeTo(20.523, 9)]);
});

test("from 50 values in a sample on it is approximated, as in R", () => {
  const x = Array.from({ length: 60 }, (_, at) => 100 + ((at * 37) % 61) + at / 1_000);
  const y = Array.from({ length: 60 }, (_, at) => 90 + ((at * 53) % 59) + at / 777);
  const result = mannWhitney(x, y, 0.95);
  // R 4.2.2: x <- 100 + (0:59 * 37) %% 61 + 0:59 / 1000; y <- 90 + (0:59 * 53) %% 59 + 0:59 / 777
  expect(result.method).toBe("normal");
  expect(result.u).toBe(2418);
  expect(result.pValue).toBeCloseTo(0.001190967836326049, 12);
  expect(result.lower).toBeCloseTo(4.989093951093936, 9);
  expect(result.upper).toBeCloseTo(18.011528957528981, 9);
});

/** R 4.2.2: pnorm(z, lower.tail = FALSE). */
test.each([
  [0, 0.5],
  [1, 0.158655253931457],
  [1.96, 0.0249978951482204],
  [2.999, 0.00135433653372711],
  [3.001, 0.00134547282508497],
  [6, 9.86587645037698e-10],
])("P(Z > %s) = %s, and back", (z, tail) => {
  expect(upperTail(z) / tail).toBeCloseTo(1, 12);
  expect(upperTail(-z)).toBeCloseTo(1 - tail, 12);
  expect(upperQuantile(tail)).toBeCloseTo(z, 9);
});

const sample = fc.array(
  fc.oneof(fc.integer({ min: 0, max: 9 }), fc.double({ min: 0, max: 9, noNaN: true })),
  {
    minLength: 1,
    maxLength: 60,
  },
);

test("exchanged samples give the mirror image, and the estimate lies in the interval", () => {
  fc.assert(
    fc.property(sample, sample, (x, y) => {
      const there = mannWhitney(x, y, 0.95);
      const back = mannWhitney(y, x, 0.95);
      expect(there.u + back.u).toBe(x.length * y.length);
      expect(there.pValue).toBeCloseTo(back.pValue, 9);
      expect(there.lower).toBeCloseTo(-back.upper, 9);
      expect(there.lower).toBeLessThanOrEqual(there.estimate);
      expect(there.estimate).toBeLessThanOrEqual(there.upper);
      expect(there.pValue).toBeGreaterThan(0);
      expect(there.pValue).toBeLessThanOrEqual(1);
    }),
    { numRuns: 200 },
  );
});
