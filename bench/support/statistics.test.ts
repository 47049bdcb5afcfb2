import { expect, test } from "vitest";
import { quantile, round, summary } from "./statistics.ts";

const oneToHundred = Array.from({ length: 100 }, (_, index) => 100 - index);

test("a quantile is a measured value, whatever the order they came in", () => {
  expect(quantile(oneToHundred, 0.5)).toBe(50);
  expect(quantile(oneToHundred, 0.99)).toBe(99);
  expect(quantile(oneToHundred, 1)).toBe(100);
  expect(quantile([7], 0.01)).toBe(7);
});

test("nothing measured is not a number, never zero", () => {
  expect(quantile([], 0.5)).toBeNaN();
});

test("timings are kept to one decimal", () => {
  expect(round(12.3456)).toBe(12.3);
  expect(summary([1.04, 2.06])).toEqual({ p50: 1, p95: 2.1, p99: 2.1, max: 2.1 });
});
