import { expect, test } from "vitest";
import {
  type AnalysisPolicy,
  type Counters,
  nextRolloutStep,
  planRollout,
  type Rollout,
  type RolloutInput,
  type Signal,
  type Strategy,
  stagesOf,
} from "./index.ts";

const T0 = new Date("2026-01-01T00:00:00Z");
const at = (ms: number) => new Date(T0.getTime() + ms);
const good = { ok: true, detail: "" };
const bad = { ok: false, detail: "status 500" };

const analysis: AnalysisPolicy = {
  intervalMs: 10_000,
  maxErrorRate: 0.02,
  maxLatencyMs: null,
  compare: false,
  confidence: 0.95,
  tolerance: 0.25,
  effectSize: 1,
  minRequests: 20,
  failureLimit: 1,
  queries: [],
};
const canary = (steps: [number, number | null][], change: Partial<AnalysisPolicy> = {}): Strategy => ({
  kind: "canary",
  steps: steps.map(([weight, bakeMs]) => ({ weight, bakeMs })),
  analysis: { ...analysis, ...change },
});
const strategy = canary([
  [10, 30_000],
  [50, 60_000],
]);

/** Totals of which every answer came within `ms`. */
function counted(requests: number, errors5xx = 0, ms = 40): Counters {
  const bounds = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, Number.POSITIVE_INFINITY];
  const latency = bounds.map((bound) => (ms <= bound ? requests : 0));
  return { requests, errors5xx, latency, latencySumMs: requests * ms };
}
const web = (canary: Counters | null, baseline: Counters | null = counted(0)) => [
  { service: "web", canary, baseline },
];

function look(rollout: Rollout, change: Partial<RolloutInput>, by: Strategy = strategy) {
  const nothing = {
    baselineProbe: null,
    publicAnswer: null,
    counters: web(counted(0)),
    queries: null,
    signals: [],
    unwell: null,
  };
  return nextRolloutStep({ ...nothing, rollout, weight: 10, probe: good, now: at(1_000), ...change }, by);
}

const fresh = planRollout(strategy, "dpl_old");
/** At 10 %, reached at T0, when the gateway had counted 100 requests. */
const baking = look(fresh, { now: T0, counters: web(counted(100)) }).rollout;
let ids = 0;
const say = (kind: Signal["kind"], reason: string | null = null): Signal[] => [
  { id: ++ids, kind, by: "anna", reason },
];

test("a canary goes through its stages and ends with everything; without anyone to split with, at once", () => {
  expect(stagesOf(strategy, "dpl_old").map((stage) => stage.weight)).toEqual([10, 50, 100]);
  expect(stagesOf(strategy, null).map((stage) => stage.weight)).toEqual([100]);
  expect(stagesOf({ kind: "instant" }, "dpl_old").map((stage) => stage.weight)).toEqual([100]);
});

test("a weight that was asked for but is not observed is asked for again", () => {
  expect(look(fresh, { weight: 0 })).toMatchObject({ do: "shift", weight: 10 });
  expect(look(baking, { weight: 0 })).toMatchObject({ do: "shift", weight: 10 });
});

test("the bake time begins when the weight is observed, and anew when it was lost", () => {
  const step = look(fresh, { now: at(5_000) });
  expect(step).toMatchObject({
    do: "bake",
    until: at(15_000),
    rollout: { reachedAtMs: at(5_000).getTime() },
  });
  const lost = look(step.rollout, { weight: 0, now: at(20_000) });
  expect(look(lost.rollout, { now: at(25_000) }).rollout.reachedAtMs).toBe(at(25_000).getTime());
});

test("a stage is held for its bake time, then the next weight follows", () => {
  const counters = web(counted(150, 1));
  expect(look(baking, { now: at(29_999), counters })).toMatchObject({ do: "bake", until: at(30_000) });
  expect(look(baking, { now: at(30_000), counters })).toMatchObject({ do: "shift", weight: 50 });
});

test("weight 0 is asked for once, needs no request, and is then held for its bake time", () => {
  const hidden = canary([
    [0, 30_000],
    [10, 30_000],
  ]);
  const asked = look(planRollout(hidden, "dpl_old"), { weight: 0 }, hidden);
  expect(asked).toMatchObject({ do: "shift", weight: 0 });
  const reached = look(asked.rollout, { weight: 0, now: at(2_000) }, hidden);
  expect(reached.do).toBe("bake");
  expect(look(reached.rollout, { weight: 0, now: at(31_999) }, hidden).do).toBe("bake");
  expect(look(reached.rollout, { weight: 0, now: at(32_000) }, hidden)).toMatchObject({
    do: "shift",
    weight: 10,
  });
});

test.each([
  ["share above the limit", counted(200, 3), "abort"],
  ["share at the limit", counted(200, 2), "bake"],
  ["too few requests to judge", counted(119, 19), "bake"],
  ["just enough requests", counted(120, 1), "abort"],
])("the gateway's 5xx share decides on any look: %s", (_name, counters, expected) => {
  expect(look(baking, { counters: web(counters) }).do).toBe(expected);
});

test("the reason has the numbers and the limit, and stays the reason", () => {
  const step = look(baking, { counters: web(counted(200, 3)) });
  const reason = "3 of 100 answers at 10 % were 5xx (3 %, allowed 2 %)";
  expect(step).toMatchObject({
    do: "abort",
    reason,
    rollout: { verdicts: [{ name: "errors", is: "fail", reason }] },
  });
  expect(look(step.rollout, { signals: say("promote") })).toMatchObject({ do: "abort", reason });
});

test("a gateway that restarted counts from zero, and its whole count is new", () => {
  expect(look(baking, { counters: web(counted(50, 10)) })).toMatchObject({ do: "abort" });
  const before = look(baking, { counters: web(counted(190, 1)) }).rollout;
  expect(look(before, { counters: web(counted(30, 2)) })).toMatchObject({
    reason: "3 of 120 answers at 10 % were 5xx (2.5 %, allowed 2 %)",
  });
});

test("several failed judgements in a row can be asked for; one that passes between them starts the row again", () => {
  const patient = canary([[10, 120_000]], { failureLimit: 2 });
  const begun = look(planRollout(patient, "dpl_old"), { now: T0 }, patient).rollout;
  const failed = look(begun, { now: at(10_000), counters: web(counted(100, 3)) }, patient);
  expect(failed).toMatchObject({ do: "bake", until: at(20_000), rollout: { failedInRow: 1 } });
  const between = look(failed.rollout, { now: at(15_000), counters: web(counted(100, 5)) }, patient);
  expect(between.do).toBe("bake");
  const twice = look(between.rollout, { now: at(20_000), counters: web(counted(100, 5)) }, patient);
  expect(twice).toMatchObject({
    do: "abort",
    reason: expect.stringContaining("(2 failed judgements in a row)"),
  });
  const well = look(failed.rollout, { now: at(20_000), counters: web(counted(500, 5)) }, patient);
  expect(well.rollout.failedInRow).toBe(0);
});

test("after a failed judgement, an end about which nothing more can be learned waits for a person", () => {
  const patient = canary([[10, 20_000]], { failureLimit: 3 });
  const begun = look(planRollout(patient, "dpl_old"), { now: T0 }, patient).rollout;
  const failed = look(begun, { now: at(10_000), counters: web(counted(100, 3)) }, patient).rollout;
  const step = look(failed, { now: at(20_000), counters: null }, patient);
  expect(step.rollout.paused?.reason).toBe(
    "10 %: after a failed judgement: the gateway's counters could not be read",
  );
  const again = look(failed, { now: at(20_000), counters: web(counted(100, 4)) }, patient);
  expect(again).toMatchObject({ do: "bake", rollout: { nextAnalysisAtMs: at(30_000).getTime() } });
});

test.each([
  ["too few requests", web(counted(103, 3)), "10 %: 3 requests, 20 needed"],
  ["counters that cannot be read", null, "10 %: the gateway's counters could not be read"],
  ["no service that is counted", [], "10 %: 0 requests, 20 needed"],
])("%s at the end of a bake: it waits for a person and says why", (_name, counters, reason) => {
  const step = look(baking, { now: at(30_000), counters });
  expect(step).toMatchObject({
    do: "paused",
    rollout: { paused: { kind: "inconclusive", by: "analysis", reason } },
  });
  expect(look(step.rollout, { now: at(90_000), counters: web(counted(900)) }).do).toBe("paused");
  const again = look(step.rollout, { now: at(90_000), counters: web(counted(900)), signals: say("resume") });
  expect(again).toMatchObject({ do: "bake", rollout: { reachedAtMs: at(90_000).getTime(), paused: null } });
  const counted150 = web(counted(950));
  expect(look(again.rollout, { now: at(119_999), counters: counted150 }).do).toBe("bake");
  expect(look(again.rollout, { now: at(120_000), counters: counted150 })).toMatchObject({
    do: "shift",
    weight: 50,
  });
});

test("every service that changes needs its requests; the reason names the one that has none", () => {
  const counters = (n: number) => [
    { service: "api", canary: counted(n), baseline: null },
    { service: "web", canary: counted(2), baseline: null },
  ];
  const begun = look(fresh, { now: T0, counters: counters(0) }).rollout;
  expect(look(begun, { now: at(30_000), counters: counters(80) }).rollout.paused?.reason).toBe(
    "10 %: web: 0 requests, 20 needed",
  );
});

test("where no requests are asked for, it goes on, and the result says that nothing was judged", () => {
  const trusting = canary([[10, 30_000]], { minRequests: 0 });
  const begun = look(planRollout(trusting, "dpl_old"), { now: T0 }, trusting).rollout;
  const step = look(begun, { now: at(30_000) }, trusting);
  expect(step).toMatchObject({ do: "shift", weight: 100 });
  expect(step.rollout.notes).toEqual(["10 %: errors not judged, as no requests are asked for"]);
  expect(look(begun, { counters: web(counted(1, 1)) }, trusting).do).toBe("abort");
});

test("a day without an error does not hide that the last ten minutes have nothing else", () => {
  const long = canary([[10, null]]);
  let rollout = look(planRollout(long, "dpl_old"), { now: T0 }, long).rollout;
  for (let minute = 1; minute <= 70; minute++) {
    rollout = look(
      rollout,
      { now: at(minute * 10_000), counters: web(counted(minute * 1_000)) },
      long,
    ).rollout;
  }
  const step = look(rollout, { now: at(705_000), counters: web(counted(71_300, 1_300)) }, long);
  expect(step).toMatchObject({
    do: "abort",
    reason: "1300 of 61300 answers at 10 % in the last 60 intervals were 5xx (2.12 %, allowed 2 %)",
  });
});

test("the 95th percentile has a limit of its own", () => {
  const quick = canary([[10, 30_000]], { maxErrorRate: null, maxLatencyMs: 60 });
  const begun = look(planRollout(quick, "dpl_old"), { now: T0 }, quick).rollout;
  const slow = look(begun, { now: at(10_000), counters: web(counted(100, 0, 80)) }, quick);
  expect(slow).toMatchObject({
    do: "abort",
    reason: "the 95th percentile of 100 answers at 10 % is 97.5 ms (allowed 60 ms)",
  });
  expect(look(begun, { now: at(10_000), counters: web(counted(100, 0, 20)) }, quick).do).toBe("bake");
  expect(look(begun, { now: at(30_000), counters: web(counted(100, 0, 20)) }, quick).do).toBe("shift");
});

test("a query's number has limits; without a number nothing passes", () => {
  const queries = [{ name: "queue", endpoint: "http://prom", query: "q", min: 1, max: 5 }];
  const asking = canary([[10, 20_000]], { maxErrorRate: null, queries });
  const begun = look(planRollout(asking, "dpl_old"), { now: T0 }, asking).rollout;
  const answered = (value: number | null, error: string | null, ms = 20_000) =>
    look(begun, { now: at(ms), queries: [{ name: "queue", value, error }] }, asking);
  expect(answered(3, null).do).toBe("shift");
  expect(answered(6, null)).toMatchObject({
    do: "abort",
    reason: 'query "queue" is 6 (at least 1 and at most 5)',
  });
  expect(answered(0, null).do).toBe("abort");
  const unknown = answered(null, "the host is unknown");
  expect(unknown.rollout.paused?.reason).toBe('10 %: query "queue": the host is unknown');
  expect(look(begun, { now: at(20_000), queries: [] }, asking).rollout.paused?.reason).toContain(
    "not answered",
  );
  // Not asked, because nobody knew that it was due: asked at the next look.
  expect(look(begun, { now: at(20_000), queries: null }, asking).do).toBe("bake");
});

/** Six intervals of 10 s, in which both answer 50 requests, the canary at `slow` times the baseline's pace. */
function compared(slow: number, errorsEach = 0) {
  const comparing = canary([[10, 60_000]], { maxErrorRate: null, compare: true });
  let rollout = look(planRollout(comparing, "dpl_old"), { now: T0 }, comparing).rollout;
  const canarySums = [0, 0];
  let step: ReturnType<typeof look> | undefined;
  for (let interval = 1; interval <= 6; interval++) {
    const pace = 40 + ((interval * 7) % 5);
    canarySums[0] = (canarySums[0] ?? 0) + 50 * pace * slow;
    canarySums[1] = (canarySums[1] ?? 0) + 50 * (40 + ((interval * 3) % 5));
    const own = { ...counted(interval * 50, interval * errorsEach), latencySumMs: canarySums[0] };
    const other = { ...counted(interval * 50), latencySumMs: canarySums[1] };
    step = look(rollout, { now: at(interval * 10_000), counters: web(own, other) }, comparing);
    if (step.do === "abort") return step;
    rollout = step.rollout;
  }
  return step;
}

test("a canary like the release before it passes the comparison; one that is slower or errs more does not", () => {
  expect(compared(1)).toMatchObject({ do: "shift", weight: 100 });
  expect(compared(2)).toMatchObject({
    do: "abort",
    reason: expect.stringMatching(
      /^it answers after 8[\d.]+ ms on average, the release before it after 4[\d.]+ ms \(.+ in 4 intervals at 95 %/,
    ),
  });
  expect(compared(1, 4)).toMatchObject({
    do: "abort",
    reason: expect.stringMatching(/^8 % of its answers are 5xx, 0 % of those of the release before it/),
  });
});

test("what cannot be compared is not passed: too few intervals in which both had requests", () => {
  const comparing = canary([[10, 60_000]], { maxErrorRate: null, compare: true });
  const begun = look(planRollout(comparing, "dpl_old"), { now: T0 }, comparing).rollout;
  const step = look(begun, { now: at(60_000), counters: web(counted(100), counted(0)) }, comparing);
  expect(step.rollout.paused?.reason).toBe("10 %: both releases had requests in 0 of 1 intervals, 4 needed");
  const alone = look(
    planRollout(comparing, "dpl_old"),
    { now: T0, counters: web(counted(0), null) },
    comparing,
  );
  const first = look(alone.rollout, { now: at(60_000), counters: web(counted(100), null) }, comparing);
  expect(first).toMatchObject({ do: "shift", weight: 100 });
  expect(first.rollout.notes[0]).toContain("no release before it to compare with");
});

test("a short bake that is compared is judged often enough to say something", () => {
  const short = canary([[10, 12_000]], { compare: true });
  const step = look(planRollout(short, "dpl_old"), { now: T0 }, short);
  expect(step).toMatchObject({ do: "bake", until: at(2_000) });
});

test("three failed probes in a row take it back, also while paused; a good one between starts the count again", () => {
  const once = look(baking, { probe: bad, signals: say("pause") });
  const twice = look(once.rollout, { probe: bad });
  expect([once.do, twice.do]).toEqual(["paused", "paused"]);
  const thrice = look(twice.rollout, { probe: bad });
  expect(thrice).toMatchObject({ do: "abort", reason: "3 probes in a row failed at 10 %: status 500" });
  expect(thrice.rollout.verdicts).toMatchObject([{ name: "probe", is: "fail" }]);
  const recovered = look(twice.rollout, { probe: good });
  expect(look(recovered.rollout, { probe: bad }).do).toBe("paused");
});

test("when the release before it is down and this one answers, it takes over at once and says so", () => {
  let step = look(baking, { baselineProbe: bad });
  step = look(step.rollout, { baselineProbe: bad });
  expect(step.do).toBe("bake");
  step = look(step.rollout, { baselineProbe: bad });
  expect(step).toMatchObject({ do: "shift", weight: 100 });
  expect(step.rollout.verdicts).toMatchObject([{ name: "probe", is: "pass" }]);
  expect(step.rollout.notes[0]).toContain("failed 3 probes in a row (status 500), while this one answered");
});

test("when both are down, the release before it is no reason to go on; nor is it while a person paused", () => {
  let both = baking;
  for (let n = 0; n < 2; n++) both = look(both, { probe: bad, baselineProbe: bad }).rollout;
  expect(both.baselineFailures).toBe(0);
  let held = look(baking, { signals: say("pause") });
  for (let n = 0; n < 5; n++) held = look(held.rollout, { baselineProbe: bad });
  expect(held.do).toBe("paused");
});

test("it is finished only once the public host was seen to answer from it", () => {
  const last: Rollout = { ...fresh, index: 2 };
  expect(look(last, { weight: 50 })).toMatchObject({ do: "shift", weight: 100 });
  expect(look(last, { weight: 100, publicAnswer: null }).do).toBe("bake");
  expect(look(last, { weight: 100, publicAnswer: bad }).do).toBe("bake");
  expect(look(last, { weight: 100, publicAnswer: good }).do).toBe("finish");
});
