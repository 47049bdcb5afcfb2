import { describe, expect, it } from "vitest";
import {
  afterCheck,
  again,
  begun,
  isReady,
  nextStep,
  pauseMs,
  type Standby,
  type StandbyRelease,
  stateOf,
} from "./standby.ts";
import { mergeVariables } from "./variables.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const release: StandbyRelease = {
  service: "app",
  targetProject: "shop",
  targetProjectId: "prj_1",
  targetDeploymentId: "dpl_1",
  url: "http://shop-1.localhost",
};
const fresh: Standby = {
  projectId: "p",
  environment: "production",
  deploymentId: "dep_1",
  generation: 1,
  releases: [],
  attempts: 0,
  error: null,
  mirroredId: null,
  mirrored: [],
  mirroredAt: null,
  answeringSince: null,
  failures: 0,
  checkedAt: null,
  missingVariables: [],
  warning: null,
};
const building: Standby = { ...fresh, releases: [{ ...release, url: null }] };
const ready: Standby = {
  ...fresh,
  releases: [release],
  mirroredId: "dep_1",
  mirrored: [release],
  mirroredAt: NOW,
  answeringSince: NOW,
};

describe("a standby", () => {
  it.each<[string, Standby, string, string, string]>([
    ["that has nothing is built", fresh, "dep_1", "build", "preparing"],
    ["that is being built is looked at", building, "dep_1", "look", "preparing"],
    ["that shows what is live is checked", ready, "dep_1", "check", "ready"],
    ["of another release begins with the live one, newest first", ready, "dep_2", "begin", "stale"],
    ["that is half built of another one begins anew", building, "dep_2", "begin", "preparing"],
    ["that goes on with the newer one shows the older", begun(ready, "dep_2"), "dep_2", "build", "stale"],
    [
      "of a deployment that was rolled back to goes back as well",
      begun(ready, "dep_0"),
      "dep_0",
      "build",
      "stale",
    ],
    ["that could not be built is tried again", again(building, "It broke."), "dep_1", "build", "failed"],
    [
      "that does not answer is looked at on",
      afterCheck(afterCheck(ready, "x", NOW), "x", NOW),
      "dep_1",
      "check",
      "failed",
    ],
    ["that failed one check may have had a hiccup", afterCheck(ready, "x", NOW), "dep_1", "check", "ready"],
  ])("%s", (_name, standby, live, step, state) => {
    expect(nextStep(standby, live).do).toBe(step);
    expect(stateOf(standby, live).state).toBe(state);
  });

  it("says why it is not ready, and that again when it recovers", () => {
    const down = afterCheck(afterCheck(ready, "app: status 500", NOW), "app: status 500", NOW);
    expect(stateOf(down, "dep_1").reason).toBe("It does not answer: app: status 500.");
    expect(stateOf(afterCheck(down, null, NOW), "dep_1")).toEqual({ state: "ready", reason: null });
    expect(stateOf(begun(ready, "dep_2"), "dep_2").reason).toBe("It shows dep_1. dep_2 is being made ready.");
  });

  it("is tried again with growing pauses, ten minutes at most, and looked at often while it is built", () => {
    const tried = (attempts: number) => pauseMs({ ...fresh, attempts }, "dep_1", 10_000);
    expect([1, 2, 3, 40].map(tried)).toEqual([2_000, 4_000, 8_000, 600_000]);
    expect(pauseMs(building, "dep_1", 10_000)).toBe(1_000);
    expect(pauseMs(ready, "dep_1", 10_000)).toBe(10_000);
    expect(pauseMs(fresh, "dep_1", 10_000)).toBe(0);
  });

  it("is ready for visitors only while its last check is not old", () => {
    const checked = { ...ready, checkedAt: NOW };
    const readyIn = (ms: number, standby: Standby | null = checked, liveId = "dep_1") =>
      isReady(standby, liveId, { now: new Date(NOW.getTime() + ms), intervalMs: 10_000 });
    expect([readyIn(50_000), readyIn(50_001)]).toEqual([true, false]);
    expect([readyIn(0, null), readyIn(0, building), readyIn(0, checked, "dep_2")]).toEqual([
      false,
      false,
      false,
    ]);
  });

  it("is built under new keys after a build that failed", () => {
    expect(again(building, "It broke.")).toMatchObject({ generation: 2, releases: [], attempts: 1 });
    expect(begun(again(building, "x"), "dep_2")).toMatchObject({ generation: 1, attempts: 0, error: null });
  });
});

describe("its variables", () => {
  const primary = [
    { key: "API_URL", value: "https://primary" },
    { key: "ONLY_THERE", value: "1" },
    { key: "SECRET", value: null },
    { key: "KNOWN_SECRET", value: null },
    { key: "VERCEL_AUTOMATION_BYPASS_SECRET", value: null },
  ];

  it("are Signalbox's own, and those of the primary that can be read; the others are named", () => {
    expect(mergeVariables({ API_URL: "https://ours", KNOWN_SECRET: "x" }, primary)).toEqual({
      env: { API_URL: "https://ours", KNOWN_SECRET: "x", ONLY_THERE: "1" },
      missing: ["SECRET"],
    });
  });
});
