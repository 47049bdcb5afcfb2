import fc from "fast-check";
import { expect, test } from "vitest";
import { type DoraDeployment, leadTimeOf, measureDelivery } from "./dora.ts";
import type { DoraEvent } from "./dora-outcome.ts";
import { isState, type State } from "./state.ts";

const MINUTE = 60_000;
const T0 = Date.parse("2026-01-05T00:00:00Z");
const minute = (count: number) => new Date(T0 + count * MINUTE);
/** Ten days. */
const WINDOW = { from: minute(0), to: minute(14_400) };

/** `"queued 0, building 1, live 5"`: states entered at these minutes. */
function history(text: string): DoraEvent[] {
  let from: State | null = null;
  return text.split(", ").map((step) => {
    const [to = "", at] = step.split(" ");
    if (!isState(to)) throw new Error(`"${to}" is no state`);
    const event = { at: minute(Number(at)), from, to, reason: null };
    from = to;
    return event;
  });
}

let count = 0;
function deployment(text: string, change: Partial<DoraDeployment> = {}): DoraDeployment {
  const events = history(text);
  return {
    id: `dep_${++count}`,
    place: "shop/production",
    createdAt: events[0]?.at ?? minute(0),
    committedAt: null,
    state: events.at(-1)?.to ?? "queued",
    outcome: null,
    rolledBackByHand: false,
    attempts: 0,
    events,
    ...change,
  };
}

test("how often: first times live in the window, a release put back not again", () => {
  const { deploymentFrequency } = measureDelivery(
    [
      deployment("queued -20, shifting -10, live -5, superseded 10"),
      deployment("queued 0, shifting 8, live 10, superseded 100, live 200"),
      deployment("queued 90, shifting 95, live 100, rolling_back 199, rolled_back 200"),
      deployment("queued 1440, shifting 1441, live 1442"),
      deployment("queued 14399, shifting 14399, live 14400"),
      deployment("queued 50, failed 51"),
    ],
    WINDOW,
  );
  expect(deploymentFrequency).toEqual({ count: 3, perDay: 0.3, activeDays: 2 });
});

test("lead time: from the commit where it is known, and where the time went", () => {
  const { leadTime } = measureDelivery(
    [
      // 10 min, no commit time: 10 of the machine.
      deployment("queued 0, building 1, shifting 9, live 10"),
      // 60 min: 20 before the trigger, 30 waiting for an approval, 10 of the machine.
      deployment(
        "queued 20, building 21, verifying 25, awaiting_approval 26, migrating 56, shifting 58, live 60",
        {
          committedAt: minute(0),
        },
      ),
      // A commit from the future took no time. 4 min of the machine.
      deployment("queued 100, shifting 103, live 104", { committedAt: minute(500) }),
    ],
    WINDOW,
  );
  expect(leadTime).toEqual({
    total: { count: 3, p50Ms: 10 * MINUTE, p90Ms: 60 * MINUTE },
    beforeTrigger: { count: 2, p50Ms: 0, p90Ms: 20 * MINUTE },
    machine: { count: 3, p50Ms: 10 * MINUTE, p90Ms: 10 * MINUTE },
    approvalWait: { count: 1, p50Ms: 30 * MINUTE, p90Ms: 30 * MINUTE },
  });
});

test("change fail rate: of what took traffic, less what a person canceled and what we broke", () => {
  const { changeFailRate, outcomes } = measureDelivery(
    [
      deployment("queued 0, shifting 1, live 2, superseded 11"),
      deployment("queued 10, shifting 10, live 11, superseded 21"),
      deployment("queued 20, shifting 20, live 21, rolling_back 30, rolled_back 31", {
        rolledBackByHand: true,
      }),
      deployment("queued 40, shifting 40, rolling_back 41, rolled_back 42"),
      deployment("queued 50, shifting 50, rolling_back 51, rolled_back 52", { attempts: 10 }),
      deployment("queued 60, shifting 60, rolling_back 61, rolled_back 62", { outcome: "cancellation" }),
      deployment("queued 70, building 71, failed 72"),
      deployment("queued 80, superseded 81"),
      deployment("queued 90, building 91"),
    ],
    WINDOW,
  );
  expect(changeFailRate).toEqual({ changes: 4, failed: 2, rate: 0.5 });
  expect(outcomes).toEqual({
    success: 2,
    failure: 3,
    error: 1,
    timeout: 0,
    cancellation: 1,
    skip: 1,
    unfinished: 1,
  });
});

test("recovery time: from the detection until the place is good again, by whichever way came first", () => {
  const { recoveryTime } = measureDelivery(
    [
      // Taken back within a minute, though it had served for an hour.
      deployment("queued 0, shifting 1, live 2, rolling_back 62, rolled_back 63", { rolledBackByHand: true }),
      // Its traffic could not be taken back; the next release made the place good 30 minutes later.
      deployment("queued 100, shifting 101, rolling_back 102, failed 117"),
      deployment("queued 118, shifting 130, live 132"),
      // A first release that failed while it took traffic, in a place of its own: not good yet.
      deployment("queued 200, shifting 201, failed 202", { place: "blog/production" }),
      // Another place being good helps nobody.
      deployment("queued 203, shifting 204, live 205", { place: "docs/production" }),
    ],
    WINDOW,
  );
  expect(recoveryTime).toEqual({ count: 2, p50Ms: MINUTE, p90Ms: 30 * MINUTE, open: 1 });
});

test("nothing measured is null, never zero", () => {
  const nothing = { count: 0, p50Ms: null, p90Ms: null };
  expect(measureDelivery([], WINDOW)).toMatchObject({
    deploymentFrequency: { count: 0, perDay: 0, activeDays: 0 },
    leadTime: { total: nothing, machine: nothing, approvalWait: nothing },
    changeFailRate: { changes: 0, failed: 0, rate: null },
    recoveryTime: { ...nothing, open: 0 },
  });
});

test("whatever the history, the parts of a lead time add up to it and none is negative", () => {
  const stay = fc.record({
    to: fc.constantFrom<State>(
      "preparing",
      "building",
      "verifying",
      "awaiting_approval",
      "migrating",
      "shifting",
    ),
    ms: fc.nat(1e9),
  });
  const commit = fc.option(fc.integer({ min: -1e9, max: 1e9 }), { nil: null });
  fc.assert(
    fc.property(fc.array(stay, { maxLength: 12 }), commit, fc.nat(1e9), (stays, committed, last) => {
      let now = T0;
      let from: State = "queued";
      const events: DoraEvent[] = [{ at: new Date(now), from: null, to: "queued", reason: null }];
      for (const { to, ms } of stays) {
        now += ms;
        events.push({ at: new Date(now), from, to, reason: null });
        from = to;
      }
      const liveAt = new Date(now + last);
      events.push({ at: liveAt, from, to: "live", reason: null });
      const committedAt = committed === null ? null : new Date(T0 + committed);
      const lead = leadTimeOf(deployment("queued 0", { events, committedAt }), liveAt);
      expect(lead.machineMs + lead.approvalWaitMs).toBe(liveAt.getTime() - T0);
      expect((lead.beforeTriggerMs ?? 0) + lead.machineMs + lead.approvalWaitMs).toBe(lead.totalMs);
      expect(Math.min(lead.beforeTriggerMs ?? 0, lead.machineMs, lead.approvalWaitMs)).toBeGreaterThanOrEqual(
        0,
      );
    }),
  );
});
