import { expect, test } from "vitest";
import { type AnalysisPolicy, describeStrategy } from "./index.ts";

const analysis: AnalysisPolicy = {
  intervalMs: 10_000,
  maxErrorRate: 0.02,
  maxLatencyMs: 500,
  compare: true,
  confidence: 0.95,
  tolerance: 0.25,
  effectSize: 1,
  minRequests: 20,
  failureLimit: 1,
  queries: [{ name: "queue", endpoint: "http://prom", query: "q", max: 100, min: null }],
};
const nothing = { ...analysis, maxErrorRate: null, maxLatencyMs: null, compare: false, queries: [] };

test("a canary says its stages, what takes it back, and what it waits for", () => {
  const steps = [
    { weight: 0, bakeMs: 30_000 },
    { weight: 10, bakeMs: 60_000 },
    { weight: 50, bakeMs: null },
  ];
  expect(describeStrategy({ kind: "canary", steps, analysis })).toEqual([
    "0 % reachable by header, held for 30 s",
    "10 % for 1 min, then 50 % until a person advances it, then 100 %",
    "judged every 10 s, taken back when",
    "  more than 2 % of its answers are 5xx",
    "  its 95th percentile is above 500 ms",
    "  it is worse than the release before it, at 95 % confidence",
    '  query "queue" is not at most 100',
    "waits for a person where a stage ends and it had fewer than 20 requests",
  ]);
});

test("the other strategies, and what is judged by probes only", () => {
  expect(describeStrategy({ kind: "instant" })).toEqual(["100 % at once"]);
  expect(describeStrategy({ kind: "blue_green", watchMs: 300_000, analysis: nothing })).toEqual([
    "flip at once, watched for 5 min, the old one kept ready",
    "judged by probes only",
  ]);
  const opened = {
    ...analysis,
    compare: false,
    minRequests: 0,
    failureLimit: 3,
    queries: [],
    maxLatencyMs: null,
  };
  expect(describeStrategy({ kind: "blue_green", watchMs: 90_000, analysis: opened })).toEqual([
    "flip at once, watched for 1.5 min, the old one kept ready",
    "judged every 10 s, taken back when, 3 times in a row,",
    "  more than 2 % of its answers are 5xx",
    "goes on without any request (min_requests is 0)",
  ]);
});
