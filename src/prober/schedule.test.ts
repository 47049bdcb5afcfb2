import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextTick, phaseOf } from "./phase.ts";
import { Schedule, type Scheduled, type Skipped, type Tick } from "./schedule.ts";

const T0 = 1_800_000_000_000;

function check(id: string, more: Partial<Scheduled> = {}): Scheduled {
  const intervalMs = more.intervalMs ?? 10_000;
  return { id, intervalMs, phase: phaseOf(id, intervalMs), host: null, priority: 0, pace: 1, ...more };
}

type Begun = Tick & { readonly at: number };

/** Virtual time: every turn when the schedule asks for it, each round taking `roundMs`. */
function simulate(
  schedule: Schedule,
  options: { from: number; until: number; roundMs?: number; host?: string; stall?: [number, number] },
) {
  const { until, roundMs = 5, host = null, stall } = options;
  const begun: Begun[] = [];
  const skipped: Skipped[] = [];
  const ends: { id: string; at: number }[] = [];
  let now = options.from;
  const settle = () => {
    for (const { id } of ends.splice(0)) {
      schedule.ended(id);
      schedule.limits.give(host);
    }
  };
  while (now < until) {
    while (ends[0] && ends[0].at <= now) {
      schedule.ended((ends.shift() as { id: string }).id);
      schedule.limits.give(host);
    }
    const turn = schedule.turn(now);
    skipped.push(...turn.skipped);
    for (const tick of turn.start) {
      begun.push({ ...tick, at: now });
      ends.push({ id: tick.id, at: now + roundMs });
    }
    const next = Math.min(turn.next ?? Number.POSITIVE_INFINITY, ends[0]?.at ?? Number.POSITIVE_INFINITY);
    now = Math.max(next, turn.next === now ? now : now + 1);
    if (stall && now >= stall[0] && now < stall[1]) now = stall[1];
  }
  settle();
  return { begun, skipped };
}

function filled(count: number, more: Partial<Scheduled> = {}, now = T0): Schedule {
  const schedule = new Schedule();
  for (let n = 0; n < count; n++) schedule.set(check(`chk_${n}`, more), now);
  return schedule;
}

/** How many ticks of so many checks lie between. */
function ticksOf(count: number, from: number, until: number): number {
  let total = 0;
  for (let n = 0; n < count; n++) {
    const first = nextTick(from, phaseOf(`chk_${n}`, 10_000), 10_000);
    total += Math.max(0, Math.ceil((until - first) / 10_000));
  }
  return total;
}

/** The most that began within any window of so long. */
function densest(begun: readonly Begun[], windowMs: number): number {
  let [most, from] = [0, 0];
  for (let to = 0; to < begun.length; to++) {
    while ((begun[to] as Begun).at - (begun[from] as Begun).at >= windowMs) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

describe("ticks", () => {
  test("are phase + k × interval, whatever happened before: they do not drift", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 600_000 }),
        fc.string({ minLength: 1 }),
        fc.integer({ min: 0, max: 1e9 }),
        (intervalMs, id, offset) => {
          const phase = phaseOf(id, intervalMs);
          const tick = nextTick(T0 + offset, phase, intervalMs);
          expect(tick).toBeGreaterThan(T0 + offset);
          expect(tick - (T0 + offset)).toBeLessThanOrEqual(intervalMs);
          expect((tick - phase) % intervalMs).toBe(0);
        },
      ),
    );
  });

  test("of ten thousand checks are spread: no tenth of the interval has much more than a tenth of them", () => {
    const tenths = new Array<number>(10).fill(0);
    for (let n = 0; n < 10_000; n++) {
      const tenth = Math.floor(phaseOf(`chk_${n}`, 10_000) / 1_000);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    expect(Math.min(...tenths)).toBeGreaterThan(900);
    expect(Math.max(...tenths)).toBeLessThan(1_100);
  });

  test("all run within one interval, on time, each once", () => {
    const { begun, skipped } = simulate(filled(2_000), { from: T0, until: T0 + 30_000 });
    expect(skipped).toEqual([]);
    expect(begun.length).toBe(6_000);
    expect(Math.max(...begun.map(({ at, scheduledAt }) => at - scheduledAt))).toBeLessThanOrEqual(2);
    expect(new Set(begun.slice(0, 2_000).map(({ id }) => id)).size).toBe(2_000);
  });

  test("that come while the round before is still running are busy, and do not pile up", () => {
    const schedule = new Schedule();
    schedule.set(check("slow", { intervalMs: 1_000 }), T0);
    const { begun, skipped } = simulate(schedule, { from: T0, until: T0 + 10_000, roundMs: 2_500 });
    expect(skipped.every(({ why }) => why === "busy")).toBe(true);
    expect(begun.length + skipped.length).toBe(10);
    expect(begun.length).toBe(4);
  });

  test("wait a moment for a round that takes just as long as the interval, so that none is left out", () => {
    const schedule = new Schedule();
    schedule.set(check("hanging", { intervalMs: 1_000 }), T0);
    const { begun, skipped } = simulate(schedule, { from: T0, until: T0 + 10_000, roundMs: 1_005 });
    expect(begun.length).toBe(10);
    expect(skipped).toEqual([]);
  });

  test("at every second interval only, for a check that is backed off; at once at its own pace when it is not", () => {
    const schedule = new Schedule();
    const one = check("dead", { intervalMs: 1_000, pace: 2 });
    schedule.set(one, T0);
    const slow = simulate(schedule, { from: T0, until: T0 + 10_000 });
    expect(slow.begun.length).toBe(5);
    expect(slow.skipped).toEqual([]);
    schedule.set({ ...one, pace: 1 }, T0 + 10_000);
    expect(simulate(schedule, { from: T0 + 10_000, until: T0 + 20_000 }).begun.length).toBe(10);
  });
});

describe("after a stall", () => {
  test.each([
    3_000, 12_000, 65_000,
  ])("of %i ms what is too late is missed, and nothing comes in a burst", (ms) => {
    const stall: [number, number] = [T0 + 20_000, T0 + 20_000 + ms];
    const until = stall[1] + 30_000;
    const { begun, skipped } = simulate(filled(2_000), { from: T0, until, stall });
    // Twice the pace of 200 a second, and a tenth of a second's reserve.
    expect(densest(begun, 1_000)).toBeLessThanOrEqual(2 * 200 + 20 + 1);
    expect(Math.max(...begun.map(({ at, scheduledAt }) => at - scheduledAt))).toBeLessThanOrEqual(5_000);
    expect(skipped.every(({ why }) => why === "missed")).toBe(true);
    // Every tick is accounted for, once.
    const ticks = [...begun, ...skipped]
      .filter(({ scheduledAt }) => scheduledAt < until - 6_000)
      .map(({ id, scheduledAt }) => `${id} ${scheduledAt}`);
    expect(new Set(ticks).size).toBe(ticks.length);
    expect(ticks.length).toBe(ticksOf(2_000, T0, until - 6_000));
  });

  test("of a night, only the newest missed ticks are told one by one", () => {
    const schedule = filled(1, { intervalMs: 1_000 });
    schedule.turn(T0);
    const { skipped, start } = schedule.turn(T0 + 36_000_000);
    expect(skipped.length).toBeLessThanOrEqual(12);
    expect(start.length).toBeLessThanOrEqual(1);
  });

  test("the clock set back: no tick comes twice, and none is late", () => {
    const schedule = filled(100, { intervalMs: 1_000 });
    const before = simulate(schedule, { from: T0, until: T0 + 5_000 });
    schedule.replan(T0);
    const after = simulate(schedule, { from: T0, until: T0 + 5_000 });
    const ticks = [...before.begun, ...after.begun].map(({ id, scheduledAt }) => `${id} ${scheduledAt}`);
    expect(new Set(ticks).size).toBe(ticks.length);
    expect(after.begun.length).toBeGreaterThan(490);
    expect(after.skipped).toEqual([]);
  });
});

describe("where not everything can run at once", () => {
  test("a host gets no more than its limit, and others do not wait for it", () => {
    const schedule = new Schedule({ running: 100, perHost: 2 });
    for (let n = 0; n < 10; n++) schedule.set(check(`a${n}`, { host: "a" }), T0, T0);
    schedule.set(check("b", { host: "b" }), T0, T0);
    const { start } = schedule.turn(T0);
    expect(start.filter(({ id }) => id.startsWith("a")).length).toBe(2);
    expect(start.map(({ id }) => id)).toContain("b");
    schedule.limits.give("a");
    schedule.ended(start.find(({ id }) => id.startsWith("a"))?.id ?? "");
    expect(schedule.turn(T0 + 1).start.length).toBe(1);
  });

  test("the more important goes first", () => {
    const schedule = new Schedule({ running: 1, perHost: 10 });
    schedule.set(check("plain"), T0, T0);
    schedule.set(check("critical", { priority: 10 }), T0, T0 + 1);
    expect(schedule.turn(T0 + 1).start.map(({ id }) => id)).toEqual(["critical"]);
  });

  test("who went without goes first the next time: nobody starves", () => {
    const schedule = new Schedule({ running: 5, perHost: 5 });
    for (let n = 0; n < 20; n++) schedule.set(check(`chk_${n}`, { intervalMs: 1_000 }), T0);
    // Half of what is asked for can be done.
    const { begun, skipped } = simulate(schedule, { from: T0, until: T0 + 60_000, roundMs: 500 });
    const counts = new Map<string, number>();
    for (const { id } of begun) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect(skipped.length).toBeGreaterThan(0);
    expect(Math.min(...Array.from({ length: 20 }, (_, n) => counts.get(`chk_${n}`) ?? 0))).toBeGreaterThan(
      20,
    );
  });

  test("what a person asks for begins at once, and after the round under way if there is one", () => {
    const schedule = new Schedule({ running: 1, perHost: 1 });
    schedule.set(check("a", { host: "h" }), T0, T0);
    schedule.set(check("b", { host: "h" }), T0);
    expect(schedule.turn(T0).start.map(({ id }) => id)).toEqual(["a"]);
    expect(schedule.ask("a")).toBe(true);
    expect(schedule.ask("b")).toBe(true);
    expect(schedule.turn(T0 + 1).start.map(({ id }) => id)).toEqual(["b"]);
    schedule.ended("a");
    expect(schedule.turn(T0 + 2).start.map(({ id }) => id)).toEqual(["a"]);
    expect(schedule.ask("unknown")).toBe(false);
  });

  test("random loads: never above the limits, and every tick is begun or told", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ interval: fc.integer({ min: 100, max: 5_000 }), priority: fc.constantFrom(0, 10) }),
          {
            minLength: 1,
            maxLength: 40,
          },
        ),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 900 }),
        (checks, running, roundMs) => {
          const schedule = new Schedule({ running, perHost: 100 });
          checks.forEach(({ interval, priority }, n) => {
            schedule.set(check(`c${n}`, { intervalMs: interval, priority }), T0);
          });
          const { begun, skipped } = simulate(schedule, { from: T0, until: T0 + 10_000, roundMs });
          expect(densest(begun, roundMs)).toBeLessThanOrEqual(running);
          const ticks = [...begun, ...skipped].map(({ id, scheduledAt }) => `${id} ${scheduledAt}`);
          expect(new Set(ticks).size).toBe(ticks.length);
          const due = checks.map(({ interval }) => Math.floor(10_000 / interval)).reduce((a, b) => a + b, 0);
          // The last tick of each may still be in line.
          expect(ticks.length).toBeGreaterThanOrEqual(due - checks.length);
        },
      ),
      { numRuns: 60 },
    );
  });
});
