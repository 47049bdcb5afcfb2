import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AnalysisPolicy,
  type Answer,
  analysisDue,
  type Counters,
  nextRolloutStep,
  planRollout,
  type Rollout,
  type RolloutInput,
  type RolloutStep,
  type Signal,
  type Strategy,
} from "./index.ts";

const T0 = Date.parse("2026-01-01T00:00:00Z");
const good: Answer = { ok: true, detail: "" };
const bad: Answer = { ok: false, detail: "status 500" };

const policy: fc.Arbitrary<AnalysisPolicy> = fc.record({
  intervalMs: fc.constantFrom(1_000, 10_000),
  maxErrorRate: fc.constantFrom(null, 0.02),
  maxLatencyMs: fc.constantFrom(null, 300),
  compare: fc.boolean(),
  confidence: fc.constant(0.95),
  tolerance: fc.constant(0.25),
  effectSize: fc.constant(1),
  minRequests: fc.constantFrom(0, 20),
  failureLimit: fc.constantFrom(1, 3),
  queries: fc.constantFrom([], [{ name: "q", endpoint: "http://p", query: "q", max: 5, min: null }]),
});
const bakeMs = fc.constantFrom(5_000, 30_000, null);
const canaryOf = (analysis: fc.Arbitrary<AnalysisPolicy>): fc.Arbitrary<Strategy> =>
  fc.record({
    kind: fc.constant("canary" as const),
    steps: fc
      .uniqueArray(fc.constantFrom(0, 10, 25, 50, 90), { minLength: 1, maxLength: 4 })
      .chain((weights) =>
        fc
          .array(bakeMs, { minLength: weights.length, maxLength: weights.length })
          .map((bakes) =>
            weights.sort((a, b) => a - b).map((weight, at) => ({ weight, bakeMs: bakes[at] ?? null })),
          ),
      ),
    analysis,
  });
const strategy: fc.Arbitrary<Strategy> = fc.oneof(
  fc.constant<Strategy>({ kind: "instant" }),
  fc.record({
    kind: fc.constant("blue_green" as const),
    watchMs: fc.constantFrom(0, 30_000),
    analysis: policy,
  }),
  canaryOf(policy),
);

const probe = fc.option(fc.constantFrom(good, good, good, bad), { nil: null });
const counters = (max: number) =>
  fc.record({ requests: fc.nat(max), errors5xx: fc.nat(2), latencySumMs: fc.nat(max * 50) });
const look = fc.record({
  wait: fc.nat(20_000),
  probe,
  baselineProbe: probe,
  publicAnswer: probe,
  increase: fc.option(fc.record({ canary: counters(60), baseline: counters(300) }), { nil: null }),
  value: fc.option(fc.nat(6), { nil: null }),
  /** Whether the shift that was asked for is seen, is not seen yet, or is lost again. */
  applied: fc.constantFrom("yes", "yes", "yes", "no", "lost"),
  says: fc.option(fc.constantFrom("pause", "resume", "advance", "promote", "abort"), { nil: null, freq: 8 }),
});
type Look = typeof look extends fc.Arbitrary<infer T> ? T : never;
type Seen = { readonly input: RolloutInput; readonly step: RolloutStep; readonly before: Rollout };

const zero: Counters = {
  requests: 0,
  errors5xx: 0,
  latency: Array.from({ length: 14 }, () => 0),
  latencySumMs: 0,
};
function grown(
  before: Counters,
  more: { requests: number; errors5xx: number; latencySumMs: number },
): Counters {
  return {
    requests: before.requests + more.requests,
    errors5xx: before.errors5xx + Math.min(more.requests, more.errors5xx),
    latency: before.latency.map((count, at) => count + (at >= 6 ? more.requests : 0)),
    latencySumMs: before.latencySumMs + (more.requests === 0 ? 0 : more.latencySumMs),
  };
}

/** A world that does what it is told, more or less: everything that was looked at and decided, in order. */
function run(by: Strategy, looks: readonly Look[], splitWith: string | null = "dpl_old"): Seen[] {
  const seen: Seen[] = [];
  let rollout = planRollout(by, splitWith);
  let [now, weight, asked, id] = [T0, 0, 0, 0];
  let [canary, baseline] = [zero, zero];
  for (const { wait, increase, value, applied, says, ...probes } of looks) {
    now += wait;
    if (applied === "yes") weight = Math.max(weight, asked);
    if (applied === "lost") weight = 0;
    if (increase) [canary, baseline] = [grown(canary, increase.canary), grown(baseline, increase.baseline)];
    const due = analysisDue(rollout, by, new Date(now));
    const signals: Signal[] = says ? [{ id: ++id, kind: says, by: "anna", reason: null }] : [];
    const input: RolloutInput = {
      ...probes,
      rollout: JSON.parse(JSON.stringify(rollout)) as Rollout,
      weight,
      publicAnswer: weight === 100 ? probes.publicAnswer : null,
      counters: increase && [{ service: "web", canary, baseline: splitWith === null ? null : baseline }],
      queries: due ? [{ name: "q", value, error: value === null ? "no answer" : null }] : null,
      signals,
      unwell: null,
      now: new Date(now),
    };
    const step = nextRolloutStep(input, by);
    seen.push({ input, step, before: rollout });
    rollout = step.rollout;
    if (step.do === "shift") asked = step.weight;
    if (step.do === "abort" || step.do === "finish") break;
  }
  return seen;
}

const looks = fc.array(look, { maxLength: 60 });
const runs = { numRuns: 300 };

test("a weight is never lowered, and stages only follow one another", () => {
  fc.assert(
    fc.property(strategy, looks, (by, all) => {
      for (const { input, step, before } of run(by, all)) {
        if (step.do === "shift") expect(step.weight === 0 || step.weight > input.weight).toBe(true);
        if (step.do === "shift") expect(step.weight).toBeGreaterThanOrEqual(input.weight);
        expect(step.rollout.index).toBeGreaterThanOrEqual(before.index);
      }
    }),
    runs,
  );
});

test("it never finishes without all traffic and a good public answer", () => {
  fc.assert(
    fc.property(strategy, fc.constantFrom(null, "dpl_old"), looks, (by, splitWith, all) => {
      for (const { input, step } of run(by, all, splitWith)) {
        if (step.do !== "finish") continue;
        expect(input.weight).toBe(100);
        expect(input.publicAnswer).toEqual(good);
      }
    }),
    runs,
  );
});

test("an abort is final, whatever is seen or said afterwards", () => {
  fc.assert(
    fc.property(strategy, looks, look, (by, all, more) => {
      const last = run(by, all).at(-1);
      if (last?.step.do !== "abort") return;
      const says: Signal = { id: 1_000, kind: more.says ?? "promote", by: "anna", reason: null };
      const after = { ...last.input, rollout: last.step.rollout, probe: good, weight: 100, signals: [says] };
      const step = nextRolloutStep({ ...after, publicAnswer: good }, by);
      expect(step).toMatchObject({ do: "abort", reason: last.step.reason });
    }),
    runs,
  );
});

test("a paused rollout goes nowhere until a person says so", () => {
  fc.assert(
    fc.property(strategy, looks, (by, all) => {
      for (const { input, step, before } of run(by, all)) {
        if (before.paused === null) continue;
        const said = input.signals.map(({ kind }) => kind);
        if (said.some((kind) => ["resume", "advance", "promote"].includes(kind))) continue;
        expect(step.do).toBeOneOf(["paused", "abort"]);
        expect(step.rollout.index).toBe(before.index);
      }
    }),
    runs,
  );
});

test("no silent pass: where requests are asked for and none comes, the first judged stage is the last", () => {
  const judged = canaryOf(
    policy.map((asked) => ({ ...asked, maxErrorRate: 0.02, minRequests: 20, queries: [] })),
  );
  fc.assert(
    fc.property(judged, looks, (by, all) => {
      const first = by.kind === "canary" ? by.steps.find(({ weight }) => weight > 0)?.weight : undefined;
      if (first === undefined) return;
      const silent = all.map((one) => ({ ...one, increase: null, says: null, baselineProbe: good }));
      for (const { step } of run(by, silent)) {
        if (step.do === "shift") expect(step.weight).toBeLessThanOrEqual(first);
        expect(step.do).not.toBe("finish");
      }
    }),
    runs,
  );
});

test("promote reaches everything, and the end, if the release is healthy", () => {
  fc.assert(
    fc.property(strategy, looks, (by, all) => {
      const well = all.map((one) => ({ ...one, probe: good, publicAnswer: good, increase: null, value: 1 }));
      const before = well.map((one) => ({ ...one, says: one.says === "abort" ? null : one.says }));
      const calm = {
        wait: 1_000,
        probe: good,
        baselineProbe: null,
        publicAnswer: good,
        increase: null,
        value: 1,
      };
      const end = [0, 1, 2].map((at) => ({
        ...calm,
        applied: "yes" as const,
        says: at === 0 ? ("promote" as const) : null,
      }));
      const last = run(by, [...before, ...end]).at(-1);
      expect(last?.step.do).toBe("finish");
    }),
    runs,
  );
});

test("what it remembers is JSON and stays small", () => {
  fc.assert(
    fc.property(strategy, fc.array(look, { minLength: 200, maxLength: 200 }), (by, all) => {
      for (const { step } of run(by, all)) {
        const { verdicts, notes, windows } = step.rollout;
        expect(JSON.parse(JSON.stringify(step.rollout))).toEqual(step.rollout);
        expect([verdicts.length <= 50, notes.length <= 20]).toEqual([true, true]);
        for (const { samples } of windows) expect(samples.length).toBeLessThanOrEqual(60);
      }
    }),
    { numRuns: 20 },
  );
});
