import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Answer } from "./answer.ts";
import { nextAttemptAt, type RoundUnderWay } from "./confirm.ts";

const policy = { timeoutMs: 5_000, failures: 3, successes: 2 };
const at = (change: Partial<RoundUnderWay>, now = 1_050, over = {}) =>
  nextAttemptAt(
    { startedAt: 1_000, answers: [], running: 0, isDown: false, ...change },
    { ...policy, ...over },
    now,
  );

describe("of a service that is not down", () => {
  it("the first attempt begins with the round", () => expect(at({})).toBe(1_000));
  it("a good attempt ends the round, whatever still runs", () =>
    expect(at({ answers: ["failed", "good"], running: 1 })).toBe("done"));
  it("a failed one is tried again after 100 ms, and after 300 ms", () => {
    expect(at({ answers: ["failed"] })).toBe(1_100);
    expect(at({ answers: ["failed", "failed"] })).toBe(1_300);
  });
  it("pauses are never longer than a third of the timeout", () =>
    expect(at({ answers: ["failed"] }, 1_010, { timeoutMs: 150 })).toBe(1_050));
  it("a second connection does not wait for the first one's timeout, nor a third", () => {
    expect(at({ running: 1 })).toBeCloseTo(1_000 + 5_000 / 3);
    expect(at({ running: 2 })).toBeCloseTo(1_000 + 10_000 / 3);
    expect(at({ answers: ["failed"], running: 1 })).toBeCloseTo(1_000 + 10_000 / 3);
  });
  it("as many failures as make it down end the round", () => {
    expect(at({ answers: ["failed", "failed", "failed"] })).toBe("done");
    expect(at({ answers: ["failed", "failed"], running: 1 })).toBe(null);
    expect(at({ answers: ["failed"] }, 1_001, { failures: 1 })).toBe("done");
  });
  it("an attempt that says nothing of the service ends it", () =>
    expect(at({ answers: ["nothing"] })).toBe("done"));
  it("its time is the timeout", () => expect(at({ running: 3 }, 6_000)).toBe("done"));
});

describe("of a service that is down", () => {
  it("a failed attempt ends the round", () => expect(at({ answers: ["failed"], isDown: true })).toBe("done"));
  it("a good one is confirmed", () => {
    expect(at({ answers: ["good"], isDown: true })).toBe(1_100);
    expect(at({ answers: ["good", "good"], isDown: true })).toBe("done");
  });
  it("one without an answer is waited for", () => expect(at({ running: 1, isDown: true })).toBe(null));
  it("a good answer so slow that a second one would be cut off is confirmed by the next round", () =>
    expect(at({ answers: ["good"], isDown: true }, 4_600)).toBe("done"));
});

it("every round ends within its timeout, with a verdict on what always fails, whenever the answers come", () => {
  const delays = fc.array(fc.integer({ min: 1, max: 8_000 }), { minLength: 6, maxLength: 6 });
  const sizes = fc.record({
    timeoutMs: fc.integer({ min: 50, max: 10_000 }),
    failures: fc.integer({ min: 1, max: 6 }),
    successes: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(delays, sizes, (delayMs, sizes) => {
      const { endedAt, begun } = play(delayMs, sizes, () => "failed");
      expect(endedAt).toBeLessThanOrEqual(sizes.timeoutMs);
      expect(begun).toBe(sizes.failures);
    }),
  );
});

/** Plays one round in virtual time: the n-th attempt answers `delayMs[n]` after its start. */
function play(delayMs: readonly number[], sizes: typeof policy, answer: (n: number) => Answer) {
  const ends: number[] = [];
  let now = 0;
  for (let turns = 0; turns < 50; turns++) {
    const answered = ends.flatMap((end, n) => (end <= now ? [answer(n)] : []));
    const round = { startedAt: 0, answers: answered, running: ends.length - answered.length, isDown: false };
    const next = nextAttemptAt(round, sizes, now);
    if (next === "done") return { endedAt: now, begun: ends.length };
    if (next !== null && next <= now) {
      ends.push(now + (delayMs[ends.length] ?? 0));
      continue;
    }
    now = Math.min(next ?? sizes.timeoutMs, sizes.timeoutMs, ...ends.filter((end) => end > now));
  }
  throw new Error("the round does not end");
}
