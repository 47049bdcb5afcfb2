import { expect, test } from "vitest";
import {
  type AnalysisPolicy,
  nextRolloutStep,
  planRollout,
  type Rollout,
  type RolloutInput,
  type Signal,
  type Strategy,
  waitsForPerson,
} from "./index.ts";

const T0 = Date.parse("2026-01-01T00:00:00Z");
const at = (ms: number) => new Date(T0 + ms);
const good = { ok: true, detail: "" };
const analysis: AnalysisPolicy = {
  intervalMs: 10_000,
  maxErrorRate: null,
  maxLatencyMs: null,
  compare: false,
  confidence: 0.95,
  tolerance: 0.25,
  effectSize: 1,
  minRequests: 20,
  failureLimit: 1,
  queries: [],
};
const steps = [
  { weight: 10, bakeMs: 30_000 },
  { weight: 30, bakeMs: null },
  { weight: 50, bakeMs: 30_000 },
];
const canary: Strategy = { kind: "canary", steps, analysis };
const blueGreen: Strategy = { kind: "blue_green", watchMs: 60_000, analysis: { ...analysis, compare: true } };
const judgedFlip: Strategy = { ...blueGreen, analysis: { ...analysis, maxErrorRate: 0.01 } };

let ids = 0;
const say = (kind: Signal["kind"], reason: string | null = null): Signal => ({
  id: ++ids,
  kind,
  by: "anna",
  reason,
});

function look(rollout: Rollout, change: Partial<RolloutInput>, strategy: Strategy = canary) {
  const nothing = {
    baselineProbe: null,
    publicAnswer: null,
    counters: null,
    queries: null,
    signals: [],
    unwell: null,
  };
  return nextRolloutStep({ ...nothing, rollout, weight: 10, probe: good, now: at(0), ...change }, strategy);
}
const baking = look(planRollout(canary, "dpl_old"), {}).rollout;
const manual = look({ ...baking, index: 1, reachedAtMs: null }, { weight: 30 }).rollout;

test("paused time is no bake time: after a resume the bake goes on where it was", () => {
  const paused = look(baking, { now: at(10_000), signals: [say("pause", "looking at a graph")] });
  expect(paused).toMatchObject({
    do: "paused",
    rollout: { paused: { kind: "person", by: "anna", reason: "looking at a graph", sinceMs: T0 + 10_000 } },
  });
  expect(look(paused.rollout, { now: at(500_000) }).do).toBe("paused");
  const resumed = look(paused.rollout, { now: at(600_000), signals: [say("resume")] });
  expect(resumed).toMatchObject({ do: "bake", until: at(620_000), rollout: { paused: null } });
  expect(look(resumed.rollout, { now: at(619_999) }).do).toBe("bake");
  expect(look(resumed.rollout, { now: at(620_000) })).toMatchObject({ do: "shift", weight: 30 });
});

test("a stage without an end waits for advance, however late it is", () => {
  expect([waitsForPerson(baking), waitsForPerson(manual)]).toEqual([false, true]);
  expect(look(manual, { weight: 30, now: at(86_400_000) }).do).toBe("bake");
  const step = look(manual, { weight: 30, signals: [say("advance", "looks fine")] });
  expect(step).toMatchObject({ do: "shift", weight: 50 });
  expect(step.rollout.notes).toEqual(["30 %: advanced by anna: looks fine"]);
});

test("advance also leaves a pause, and one for a stage that was not seen yet is meant for the one before", () => {
  const paused = look(baking, { signals: [say("pause")] }).rollout;
  const step = look(paused, { signals: [say("advance"), say("advance")] });
  expect(step).toMatchObject({ do: "shift", weight: 30, rollout: { index: 1, paused: null } });
});

test("promote skips every stage that is left; it is live only once the public host was seen", () => {
  const step = look(baking, { signals: [say("promote")] });
  expect(step).toMatchObject({ do: "shift", weight: 100 });
  const waiting = look(step.rollout, { weight: 100 });
  expect(waiting.do).toBe("bake");
  expect(look(waiting.rollout, { weight: 100, publicAnswer: good }).do).toBe("finish");
});

test("an abort says who and why, wins over what came with it, and is final", () => {
  const step = look(baking, { signals: [say("promote"), say("abort", "wrong commit"), say("promote")] });
  expect(step).toMatchObject({ do: "abort", reason: "Aborted by anna: wrong commit" });
  for (const kind of ["resume", "advance", "promote"] as const) {
    const after = look(step.rollout, { weight: 100, publicAnswer: good, signals: [say(kind)] });
    expect(after).toMatchObject({ do: "abort", reason: "Aborted by anna: wrong commit" });
  }
  expect(look(baking, { signals: [say("abort")] })).toMatchObject({ reason: "Aborted by anna" });
});

test("each signal is folded once, by ascending id, and unknown ones change nothing", () => {
  const pause = say("pause");
  const resume = say("resume");
  const step = look(baking, { signals: [resume, pause] });
  expect(step.do).toBe("bake");
  expect(step.rollout.lastSignal).toBe(resume.id);
  expect(look(step.rollout, { signals: [pause, resume] }).do).toBe("bake");
  const odd = { ...say("pause"), kind: "dance" as "pause" };
  expect(look(baking, { signals: [odd] })).toMatchObject({ do: "bake", rollout: { lastSignal: odd.id } });
});

const flip = planRollout(blueGreen, "dpl_old");
const watched = look(flip, { weight: 100 }, blueGreen).rollout;

test("blue-green flips at once, is watched, and is live when its public host answers", () => {
  expect(look(flip, { weight: 0 }, blueGreen)).toMatchObject({ do: "shift", weight: 100 });
  expect(look(watched, { weight: 100, now: at(59_999), publicAnswer: good }, blueGreen).do).toBe("bake");
  expect(look(watched, { weight: 100, now: at(60_000) }, blueGreen).do).toBe("bake");
  const step = look(watched, { weight: 100, now: at(60_000), publicAnswer: good }, blueGreen);
  expect(step.do).toBe("finish");
  expect(step.rollout.notes[0]).toContain("nothing to compare with");
});

test("a flip that answers errors is taken back within the watch; one that nobody used waits for a person", () => {
  const counted = (requests: number, errors5xx: number) => [
    { service: "web", canary: { requests, errors5xx, latency: [], latencySumMs: 0 }, baseline: null },
  ];
  const begun = look(
    planRollout(judgedFlip, "dpl_old"),
    { weight: 100, counters: counted(0, 0) },
    judgedFlip,
  );
  const bad = { weight: 100, counters: counted(40, 4), publicAnswer: good, now: at(3_000) };
  expect(look(begun.rollout, bad, judgedFlip)).toMatchObject({
    do: "abort",
    reason: "4 of 40 answers at 100 % were 5xx (10 %, allowed 1 %)",
  });
  const quiet = { weight: 100, counters: counted(3, 0), publicAnswer: good, now: at(60_000) };
  const paused = look(begun.rollout, quiet, judgedFlip);
  expect(paused.rollout.paused?.reason).toBe("100 %: 3 requests, 20 needed");
  for (const kind of ["advance", "promote"] as const) {
    expect(look(paused.rollout, { ...quiet, signals: [say(kind)] }, judgedFlip).do).toBe("finish");
  }
  expect(look(paused.rollout, { ...quiet, signals: [say("resume")] }, judgedFlip).do).toBe("bake");
});

test("advance or promote ends the watch of a flip", () => {
  for (const kind of ["advance", "promote"] as const) {
    const step = look(watched, { weight: 100, publicAnswer: good, signals: [say(kind)] }, blueGreen);
    expect(step.do).toBe("finish");
  }
});
