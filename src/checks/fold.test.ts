import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aPolicy, aRound, bad, good, REFUSED, roundOf } from "../../test/support/check-rounds.ts";
import { fold } from "./fold.ts";
import { type Attempt, type LocationState, maxAgeMs, NO_VERDICT, type Policy, type Round } from "./model.ts";

const policy = aPolicy();
const T0 = 1_000_000;
const STEP = 10_000;

/** Rounds ten seconds apart, each given by its attempts' offsets; the states after each. */
function states(rounds: readonly Partial<Round>[], over: Policy = policy): LocationState[] {
  let state: LocationState | null = null;
  return rounds.map((change, n) => {
    state = fold(state, aRound(T0 + n * STEP, [], change), over);
    return state;
  });
}

const at = (n: number, pause = 0) => T0 + n * STEP + pause;
const up = (n: number, change: Partial<Attempt> = {}) => ({
  attempts: [good(at(n), change)],
  endedAt: at(n, 20),
});
const down = (n: number, pauses: readonly number[] = [0, 100, 300]) => ({
  attempts: pauses.map((pause) => bad(at(n, pause))),
  endedAt: at(n, 305),
});
const last = (rounds: readonly Partial<Round>[], over?: Policy) => states(rounds, over).at(-1);

describe("a location", () => {
  it("says what it says since the first attempt that said so, although it is believed later", () => {
    expect(last([up(0), down(1)])).toMatchObject({ state: "down", since: at(1), failure: REFUSED });
    expect(last([up(0), down(1), down(2, [0]), { attempts: [good(at(3)), good(at(3, 100))] }])).toMatchObject(
      {
        state: "up",
        since: at(3),
        failure: null,
      },
    );
  });

  it("counts failures across rounds, from the first one", () => {
    const seen = states([up(0), down(1, [0]), down(2, [0]), down(3, [0])]);
    expect(seen.map(({ state }) => state)).toEqual(["up", "up", "up", "down"]);
    expect(seen[3]?.since).toBe(at(1));
  });

  it("begins anew after a round in which it worked, whatever failed beside it", () => {
    const mixed = { attempts: [bad(at(2)), good(at(2, 100))], endedAt: at(2, 120) };
    expect(last([up(0), down(1, [0]), mixed, down(3, [0])])).toMatchObject({ state: "up", failures: 1 });
  });

  it("is up after as many good attempts as are asked for, with none that failed among them", () => {
    expect(last([down(0), up(1)])?.state).toBe("down");
    expect(last([down(0), up(1), up(2)])).toMatchObject({ state: "up", since: at(1) });
    expect(last([down(0), up(1), down(2, [0]), up(3)])).toMatchObject({ state: "down", since: at(0) });
  });

  it("is up with the first good answer, when nothing was known", () =>
    expect(last([up(0)])?.state).toBe("up"));

  it("forgets what it said before a gap", () => {
    const gap = Math.ceil(maxAgeMs(policy) / STEP) + 1;
    const late = aRound(at(gap), [good(at(gap))]);
    expect(fold(states([down(0)])[0] ?? null, late, policy)).toMatchObject({ state: "up", since: at(gap) });
    const failed = aRound(at(gap), [bad(at(gap))]);
    expect(fold(states([up(0)])[0] ?? null, failed, policy)).toMatchObject({
      state: "unknown",
      since: at(0, 20) + maxAgeMs(policy),
      failures: 1,
    });
  });

  it("that is never asked with a verdict is unknown, and shows why", () => {
    const failure = { class: "blocked", message: "10.0.0.1 is in a private network." } as const;
    const blocked = (n: number) => ({ attempts: [bad(at(n), failure)] });
    expect(last([blocked(0), blocked(1), blocked(2)])).toMatchObject({
      state: "unknown",
      failure,
      lastAt: null,
    });
    expect(last([up(0), blocked(1)])).toMatchObject({ state: "up", failure: null, lastAt: at(0, 20) });
  });

  it("takes no failure for a verdict until its grace is over, or it was well once", () => {
    const patient = aPolicy({ graceMs: 25_000 });
    expect(last([down(0), down(1), down(2)], patient)).toMatchObject({ state: "unknown", failure: REFUSED });
    expect(last([down(0), down(1), down(2), down(3)], patient)).toMatchObject({
      state: "down",
      since: at(3),
    });
    expect(last([up(0), down(1)], patient)).toMatchObject({ state: "down", since: at(1) });
  });
});

describe("degraded", () => {
  const limited = aPolicy({ degradedMs: 500 });
  const slow = (n: number) => up(n, { latencyMs: 800 });

  it("by its limit: in the second slow round, since the first", () => {
    expect(last([up(0), slow(1)], limited)?.state).toBe("up");
    expect(last([up(0), slow(1), slow(2)], limited)).toMatchObject({
      state: "degraded",
      since: at(1),
      failure: { class: "slow", message: "It took 800 ms; the limit is 500 ms." },
    });
    expect(last([up(0), slow(1), up(2), slow(3)], limited)?.state).toBe("up");
  });

  it("until it was quick for as long as it takes to be up", () => {
    expect(last([slow(0), slow(1), up(2)], limited)?.state).toBe("degraded");
    expect(last([slow(0), slow(1), up(2), up(3)], limited)).toMatchObject({
      state: "up",
      since: at(2),
      failure: null,
    });
  });

  it("at once where the probe says so itself", () => {
    const failure = { class: "certificate", message: "It ends in 3 days." } as const;
    expect(last([up(0), up(1, { status: "degraded", failure })])).toMatchObject({
      state: "degraded",
      since: at(1),
      failure,
    });
    expect(
      last([down(0), { attempts: [0, 100].map((p) => good(at(1, p), { status: "degraded", failure })) }]),
    ).toMatchObject({ state: "degraded", since: at(1), failure });
  });

  it("by its own habit, once there is one", () => {
    const watched = aPolicy({ baselineFactor: 3 });
    const quick = Array.from({ length: 40 }, (_, n) => up(n, { latencyMs: 40 + (n % 5) }));
    const off = (n: number) => up(n, { latencyMs: 200 });
    expect(last([...quick.slice(0, 20), off(20), off(21)], watched)?.state).toBe("up");
    expect(last([...quick, off(40)], watched)?.state).toBe("up");
    expect(last([...quick, off(40), off(41)], watched)).toMatchObject({ state: "degraded", since: at(40) });
    const forGood = Array.from({ length: 600 }, (_, n) => off(40 + n));
    expect(last([...quick, ...forGood], watched)?.state).toBe("up");
    expect(last([...quick, ...forGood.slice(0, 100)], watched)?.state).toBe("degraded");
  });

  it("never by 1 ms that becomes 5 ms", () => {
    const quick = Array.from({ length: 40 }, (_, n) => up(n, { latencyMs: n < 38 ? 1 : 5 }));
    expect(last(quick, aPolicy({ baselineFactor: 3 }))?.state).toBe("up");
  });
});

describe("whatever happens", () => {
  const round = fc.record({
    isUp: fc.boolean(),
    untrusted: fc.constantFrom(null, null, null, "lag" as const, "offline" as const, "missed" as const),
    class: fc.constantFrom(null, null, ...NO_VERDICT),
    gap: fc.constantFrom(1, 1, 1, 2, 9),
  });

  it("rounds without a verdict never make a state, and no state begins before the one before it", () => {
    fc.assert(
      fc.property(fc.array(round, { maxLength: 40 }), (rounds) => {
        let state: LocationState | null = null;
        let now = T0;
        for (const { isUp, untrusted, class: none, gap } of rounds) {
          now += gap * STEP;
          const made = roundOf(isUp, now, state, { untrusted });
          const attempts = none ? [bad(now, { class: none, message: "Ours." })] : made.attempts;
          const before: LocationState | null = state;
          state = fold(before, { ...made, attempts: untrusted === "missed" ? [] : attempts }, policy);
          if (untrusted || none) expect([before?.state ?? "unknown", "unknown"]).toContain(state.state);
          else if (isUp && before?.state !== "down") expect(state.state).toBe("up");
          else if (!isUp && now < (before?.lastAt ?? now) + maxAgeMs(policy))
            expect(state.state).toBe("down");
          if (before) expect(state.since).toBeGreaterThanOrEqual(before.since);
          expect(state.since).toBeLessThanOrEqual(now + 300);
        }
      }),
    );
  });
});
