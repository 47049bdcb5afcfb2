import { expect, test } from "vitest";
import { z } from "zod";
import { judgeQueue, limitFields, type QueueFacts, shareOf } from "./queue-limits.ts";

const limits = z.strictObject(limitFields);
const quiet: QueueFacts = {
  depth: 0,
  oldestMs: null,
  workers: 1,
  throughputPerMin: 0,
  stalled: 0,
  failedShare: null,
};

test.each<[string, z.input<typeof limits>, Partial<QueueFacts>, string]>([
  ["no limits", {}, { depth: 1e6, workers: 0 }, "up"],
  ["at the limit", { maxDepth: 10 }, { depth: 10 }, "up"],
  ["a bare number means down", { maxDepth: 10 }, { depth: 11 }, "down overloaded"],
  ["above warn", { maxDepth: { warn: 5, down: 10 } }, { depth: 6 }, "degraded overloaded"],
  ["too old", { maxOldestMs: 1_000 }, { oldestMs: 1_001 }, "down overloaded"],
  ["nothing waits", { maxOldestMs: 0 }, { oldestMs: null }, "up"],
  ["some wait, and nobody knows since when", { maxOldestMs: 0 }, { depth: 1 }, "down unsupported"],
  ["too few workers", { minWorkers: { warn: 2, down: 1 } }, { workers: 1 }, "degraded missing"],
  ["no workers, and so it is full", { maxDepth: 1, minWorkers: 1 }, { depth: 9, workers: 0 }, "down missing"],
  ["too many failures", { maxFailedShare: 0.5 }, { failedShare: 0.51 }, "down assertion"],
  ["nothing finished", { maxFailedShare: 0 }, { failedShare: null }, "up"],
  ["stalled", { maxStalled: 0 }, { stalled: 1 }, "down missing"],
  ["workers that nobody can count", { minWorkers: 1 }, { workers: null }, "down unsupported"],
  ["that, and full", { minWorkers: 1, maxDepth: 1 }, { workers: null, depth: 2 }, "down overloaded"],
  ["down before degraded", { minWorkers: { warn: 9 }, maxDepth: 1 }, { depth: 2 }, "down overloaded"],
])("%s", (_, written, seen, verdict) => {
  const outcome = judgeQueue("The queue", { ...quiet, ...seen }, limits.parse(written));
  expect(outcome.failure ? `${outcome.status} ${outcome.failure.class}` : outcome.status).toBe(verdict);
  expect(outcome.observed).toEqual({ ...quiet, ...seen });
});

test.each([
  { maxDepth: {} },
  { maxDepth: -1 },
  { maxFailedShare: 2 },
  { maxDepth: { warn: 1, error: 2 } },
])("%j is refused", (written) => expect(limits.safeParse(written).success).toBe(false));

test("a share of too few jobs is none", () => {
  expect([shareOf(1, 1), shareOf(1, 5), shareOf(0, 10)]).toEqual([null, 0.2, 0]);
});
