import fc from "fast-check";
import { expect, test } from "vitest";
import { nextRolloutStep, planRollout, type Rollout, type RolloutInput, stagesOf } from "./index.ts";

const T0 = new Date("2026-01-01T00:00:00Z");
const at = (ms: number) => new Date(T0.getTime() + ms);
const strategy = {
  kind: "canary",
  steps: [
    { weight: 10, bakeMs: 30_000 },
    { weight: 50, bakeMs: 60_000 },
  ],
  maxErrorRate: 0.02,
  minRequests: 20,
} as const;
const good = { ok: true, detail: "" };
const bad = { ok: false, detail: "status 500" };
const fresh = planRollout(strategy, "dpl_old");
const baking: Rollout = { ...fresh, reachedAtMs: T0.getTime(), baseline: { requests: 100, errors5xx: 0 } };

function look(rollout: Rollout, change: Partial<RolloutInput>) {
  const input = {
    rollout,
    weight: 10,
    probe: good,
    publicAnswer: null,
    counters: null,
    now: at(1_000),
    ...change,
  };
  return nextRolloutStep(input, strategy);
}

test("a canary goes through its stages and ends with everything; without anyone to split with, at once", () => {
  expect(stagesOf(strategy, "dpl_old").map((stage) => stage.weight)).toEqual([10, 50, 100]);
  expect(stagesOf(strategy, null).map((stage) => stage.weight)).toEqual([100]);
  expect(stagesOf({ kind: "instant" }, "dpl_old").map((stage) => stage.weight)).toEqual([100]);
});

test("a weight that was asked for but is not observed is asked for again", () => {
  expect(look(fresh, { weight: 0 })).toMatchObject({ do: "shift", weight: 10 });
  expect(look(baking, { weight: 0 })).toMatchObject({ do: "shift", weight: 10 });
});

test("the bake time begins when the weight is observed, not when it was asked for", () => {
  const step = look(fresh, { weight: 10, now: at(5_000), counters: { requests: 7, errors5xx: 1 } });
  expect(step).toMatchObject({ do: "bake", until: at(35_000) });
  expect(step.rollout).toMatchObject({
    reachedAtMs: at(5_000).getTime(),
    baseline: { requests: 7, errors5xx: 1 },
  });
});

test("a stage is held for its bake time, then the next weight follows", () => {
  const counters = { requests: 150, errors5xx: 1 };
  expect(look(baking, { now: at(29_999), counters })).toMatchObject({ do: "bake", until: at(30_000) });
  expect(look(baking, { now: at(30_000), counters })).toMatchObject({ do: "shift", weight: 50 });
});

test.each([
  ["share above the limit", { requests: 200, errors5xx: 3 }, "abort"],
  ["share at the limit", { requests: 200, errors5xx: 2 }, "bake"],
  ["too few requests to judge", { requests: 119, errors5xx: 19 }, "bake"],
  ["just enough requests", { requests: 120, errors5xx: 1 }, "abort"],
])("the gateway's 5xx share decides: %s", (_name, counters, expected) => {
  expect(look(baking, { counters }).do).toBe(expected);
});

test("a gateway that restarted counts from zero, and its whole count is new", () => {
  expect(look(baking, { counters: { requests: 50, errors5xx: 10 } })).toMatchObject({ do: "abort" });
});

test("too few requests is no failure, but the result says so", () => {
  const step = look(baking, { now: at(30_000), counters: { requests: 103, errors5xx: 3 } });
  expect(step).toMatchObject({ do: "shift", weight: 50 });
  expect(step.rollout.notes).toEqual(["10 %: 3 requests, too few to judge the error share (20 needed)"]);
});

test("counters that cannot be read are no failure, but the result says so", () => {
  const step = look(baking, { now: at(30_000), counters: null });
  expect(step.rollout.notes[0]).toContain("could not be read");
});

test("three failed probes in a row take it back; a good one between starts the count again", () => {
  const once = look(baking, { probe: bad });
  const twice = look(once.rollout, { probe: bad });
  expect([once.do, twice.do]).toEqual(["bake", "bake"]);
  expect(look(twice.rollout, { probe: bad })).toMatchObject({
    do: "abort",
    reason: "3 probes in a row failed at 10 %: status 500",
  });
  const recovered = look(twice.rollout, { probe: good });
  expect(look(recovered.rollout, { probe: bad }).do).toBe("bake");
});

test("it is finished only once the public host was seen to answer from it", () => {
  const last: Rollout = { ...fresh, index: 2 };
  expect(look(last, { weight: 50 })).toMatchObject({ do: "shift", weight: 100 });
  expect(look(last, { weight: 100, publicAnswer: null }).do).toBe("bake");
  expect(look(last, { weight: 100, publicAnswer: bad }).do).toBe("bake");
  expect(look(last, { weight: 100, publicAnswer: good }).do).toBe("finish");
});

test("whatever is observed, a weight is never lowered and never skips a stage upwards", () => {
  const counters = fc.option(fc.record({ requests: fc.nat(500), errors5xx: fc.nat(20) }), { nil: null });
  const probe = fc.option(fc.constantFrom(good, bad), { nil: null });
  const weight = fc.constantFrom(0, 10, 50, 100);
  const input = fc.record({ weight, probe, publicAnswer: probe, counters, wait: fc.nat(70_000) });
  fc.assert(
    fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
      let rollout = fresh;
      let now = T0.getTime();
      for (const { wait, ...seen } of inputs) {
        now += wait;
        const before = rollout.index;
        const step = nextRolloutStep({ rollout, ...seen, now: new Date(now) }, strategy);
        if (step.do === "shift") expect(step.weight).toBeGreaterThan(seen.weight);
        expect(step.rollout.index - before).toBeOneOf([0, 1]);
        if (step.do === "abort" || step.do === "finish") return;
        rollout = step.rollout;
      }
    }),
  );
});
