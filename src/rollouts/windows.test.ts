import fc from "fast-check";
import { expect, test } from "vitest";
import { quantileMs } from "./latency.ts";
import { type Counters, growWindows, takeSamples } from "./windows.ts";

/** Totals of which every answer came within 10 ms. */
const counted = (requests: number, errors5xx = 0): Counters => ({
  requests,
  errors5xx,
  latency: Array.from({ length: 14 }, (_, at) => (at >= 3 ? requests : 0)),
  latencySumMs: requests * 8,
});
const reading = (canary: Counters | null, baseline: Counters | null = null) => [
  { service: "web", canary, baseline },
];

test("a window begins with its first reading and adds every increase, over restarts of the gateway too", () => {
  let windows = growWindows([], reading(counted(1_000, 50)));
  for (const totals of [counted(1_010, 51), counted(4, 1), null, counted(6, 2)]) {
    windows = growWindows(windows, reading(totals));
  }
  expect(windows[0]?.canary.total).toMatchObject({ requests: 10 + 4 + 6, errors5xx: 1 + 1 + 2 });
});

test("an unreadable gateway changes nothing, and a service that is missing keeps its window", () => {
  const windows = growWindows([], reading(counted(5)));
  expect(growWindows(windows, null)).toBe(windows);
  const both = growWindows(windows, [{ service: "api", canary: counted(1), baseline: null }]);
  expect(both.map(({ service }) => service)).toEqual(["web", "api"]);
});

test("samples are what came between them, of both releases", () => {
  let windows = growWindows([], reading(counted(0), counted(100)));
  windows = takeSamples(growWindows(windows, reading(counted(3), counted(130))));
  windows = takeSamples(growWindows(windows, reading(counted(10, 2), counted(130))));
  expect(windows[0]?.samples).toMatchObject([
    { canary: { requests: 3, answers: 3, latencySumMs: 24 }, baseline: { requests: 30 } },
    { canary: { requests: 7, errors5xx: 2, answers: 7 }, baseline: { requests: 0 } },
  ]);
});

/** Counted by hand as Prometheus' histogram_quantile does it: the line between the bounds of its bucket. */
test.each([
  ["no answer", [], null],
  ["all within 1 ms", Array.from({ length: 14 }, () => 20), 0.95],
  ["half within 50 ms, half within 100 ms", [0, 0, 0, 0, 0, 50, ...Array.from({ length: 8 }, () => 100)], 95],
  ["beyond the last bound", [...Array.from({ length: 13 }, () => 90), 100], Number.POSITIVE_INFINITY],
])("the 95th percentile: %s", (_name, buckets, expected) => {
  expect(quantileMs(buckets, 0.95)).toBe(expected);
});

test("a quantile never falls when the share rises", () => {
  const buckets = fc.array(fc.nat(50), { minLength: 14, maxLength: 14 });
  fc.assert(
    fc.property(
      buckets,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (counts, a, b) => {
        let sum = 0;
        const cumulative = counts.map((count) => (sum += count));
        const [low, high] = [quantileMs(cumulative, Math.min(a, b)), quantileMs(cumulative, Math.max(a, b))];
        if (low !== null && high !== null) expect(low).toBeLessThanOrEqual(high);
      },
    ),
  );
});
