import { expect, test } from "vitest";
import { createRuns } from "./runs.ts";

test("a key is worked on once at a time, again when it was woken meanwhile, and not after the end", async () => {
  const stop = new AbortController();
  const gates: (() => void)[] = [];
  const began: string[] = [];
  const runs = createRuns((key) => {
    began.push(key);
    return new Promise((resolve) => gates.push(resolve));
  }, stop.signal);
  for (const key of ["a", "a", "a", "b"]) runs.wake(key);
  expect(began).toEqual(["a", "b"]);
  const first = runs.ended("a");
  gates[0]?.();
  await first;
  expect(began).toEqual(["a", "b", "a"]);
  stop.abort();
  runs.wake("a");
  runs.wake("c");
  gates[1]?.();
  gates[2]?.();
  await runs.allEnded();
  expect(runs.has("c")).toBe(false);
  expect(began).toEqual(["a", "b", "a"]);
});
