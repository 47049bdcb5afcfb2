import { expect, test } from "vitest";
import { binomialQuantile } from "./binomial.ts";

test.each([
  // 0.9^10 = 0.349, with one success 0.736, with two 0.930, with three 0.987.
  [10, 0.1, 0.3, 0],
  [10, 0.1, 0.7, 1],
  [10, 0.1, 0.93, 3],
  [10, 0.1, 0.98, 3],
  // About 100 + 3.09 standard deviations of 9.49.
  [1_000, 0.1, 0.999, 130],
  [100_000, 0.1, 0.5, 10_000],
])("%i tries at %f stay at or below the quantile %f with %i", (n, p, share, expected) => {
  expect(binomialQuantile(n, p, share)).toBe(expected);
});
