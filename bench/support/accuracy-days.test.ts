import { expect, test } from "vitest";
import { runVirtualDays } from "./accuracy-days.ts";

test.each([7, 8])("three days of every kind of fault are reported as they were (seed %d)", (seed) => {
  const { scores, wrongDays, withinBound } = runVirtualDays(3, seed);
  expect(wrongDays).toEqual([]);
  expect(withinBound).toBe(true);
  for (const of of scores) {
    expect(of).toMatchObject({ falseAlarms: 0, missed: 0 });
    // Each edge is off by up to an interval, either way: over three days that has not evened out yet.
    const lengthOfEdges = 2 * 10_000 * of.troubles;
    expect(Math.abs(of.reportedMs - of.trueMs)).toBeLessThan(lengthOfEdges / 5);
    expect(of.agreement).toBeGreaterThan(0.99);
  }
  const blind = scores.filter(({ fault }) => fault === "own network down" || fault === "no prober");
  for (const { unknownMs } of blind) expect(unknownMs).toBeGreaterThan(3_600_000);
});
