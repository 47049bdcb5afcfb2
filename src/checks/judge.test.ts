import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aPolicy, REFUSED, roundOf } from "../../test/support/check-rounds.ts";
import { fold } from "./fold.ts";
import { type Facts, judge, unknownSince } from "./judge.ts";
import { judgeRow } from "./judge-checks.ts";
import { type Displayed, type LocationState, maxAgeMs, type Policy, type State } from "./model.ts";

const T0 = 1_000_000;
const policy = aPolicy({ locations: ["a", "b", "c"] });
const QUIET: Omit<Facts, "voices"> = { parents: [], grace: null, maintenance: null, nextMaintenanceAt: null };

const says = (location: string, state: State, since = T0, lastAt: number | null = T0 + 5_000) => ({
  location,
  fold: {
    ...(fold(null, roundOf(true, since, null), policy) satisfies LocationState),
    state,
    since,
    lastAt,
    failure: state === "up" ? null : REFUSED,
  },
});
const UP: Displayed = { ...unknownSince(T0 - 60_000), state: "up", reporting: ["a", "b", "c"] };
const NOW = T0 + 5_000;
const judged = (
  voices: Facts["voices"],
  change: Partial<Facts> = {},
  previous = UP,
  now = NOW,
  over = policy,
) => judge(previous, { ...QUIET, voices, ...change }, over, now);

describe("of several locations", () => {
  it.each<[string, Facts["voices"], State, boolean]>([
    [
      "one of three that is down is disputed",
      [says("a", "down"), says("b", "up"), says("c", "up")],
      "up",
      true,
    ],
    ["two of three make it down", [says("a", "down"), says("b", "down"), says("c", "up")], "down", false],
    ["one of two is disputed", [says("a", "down"), says("b", "up")], "up", true],
    [
      "only those that report count",
      [says("a", "down"), says("b", "unknown"), says("c", "up", T0, null)],
      "down",
      false,
    ],
    [
      "a majority in trouble is degraded",
      [says("a", "down"), says("b", "degraded"), says("c", "up")],
      "degraded",
      true,
    ],
    ["none that reports is unknown", [says("a", "unknown"), says("b", "unknown")], "unknown", false],
    [
      "those that are not asked any more are left out",
      [says("a", "up"), says("x", "down"), says("y", "down")],
      "up",
      false,
    ],
  ])("%s", (_name, voices, state, isDisputed) => {
    const { displayed } = judged(voices);
    expect([displayed.state, displayed.disputedSince !== null]).toEqual([state, isDisputed]);
  });

  it("it is down since there was a majority, and up since there was none", () => {
    const down = judged([says("a", "down", T0), says("b", "down", T0 + 2_000), says("c", "up", T0 - 9_000)]);
    expect(down.transition).toMatchObject({ from: "up", to: "down", at: T0 + 2_000, failure: REFUSED });
    const up = judged(
      [says("a", "up", T0 + 3_000), says("b", "down", T0 + 2_000), says("c", "up", T0 - 9_000)],
      {},
      down.displayed,
    );
    expect(up.transition).toMatchObject({ from: "down", to: "up", at: T0 + 3_000 });
  });

  it("one that falls silent ends an outage only as of then", () => {
    const before = { ...UP, state: "down" as const, since: T0, down: ["a", "b"] };
    const silent = says("b", "down", T0, T0 + 1_000);
    const now = T0 + 1_000 + maxAgeMs(policy);
    const later = judged(
      [says("a", "down", T0, now), silent, says("c", "up", T0 - 9_000, now)],
      {},
      before,
      now + 50,
    );
    expect(later.transition).toMatchObject({ to: "up", at: now });
  });

  it("the first that reports after a start does not decide alone before the others could", () => {
    const first = judged([says("a", "down")], {}, unknownSince(T0));
    expect(first).toMatchObject({ transition: null, judgeAt: T0 + maxAgeMs(policy) });
    const alone = [says("a", "down", T0, T0 + maxAgeMs(policy))];
    expect(judged(alone, {}, unknownSince(T0), T0 + maxAgeMs(policy)).displayed.state).toBe("down");
    expect(judged([says("a", "down"), says("b", "down")], {}, unknownSince(T0)).displayed.state).toBe("down");
  });
});

describe("time", () => {
  const all = (state: State) => ["a", "b", "c"].map((location) => says(location, state));

  it("ends what nobody repeats, as of the end of the last word", () => {
    const { judgeAt } = judged(all("up"));
    expect(judgeAt).toBe(T0 + 5_000 + maxAgeMs(policy));
    expect(judged(all("up"), {}, UP, T0 + 9_000_000).transition).toMatchObject({
      to: "unknown",
      at: judgeAt,
    });
  });

  it("what fails while a deployment starts is no verdict, and counts from the end of the grace if it goes on", () => {
    const grace = { from: T0 - 1_000, until: T0 + 8_000 };
    expect(judged(all("down"), { grace })).toMatchObject({ transition: null, judgeAt: T0 + 8_000 });
    expect(judged(all("down"), { grace }, UP, T0 + 8_000).transition).toMatchObject({
      to: "down",
      at: T0 + 8_000,
    });
    const old = { from: T0 + 1_000, until: T0 + 8_000 };
    expect(judged(all("down"), { grace: old }).transition).toMatchObject({ to: "down", at: T0 });
  });

  it("a window of maintenance is looked at when it begins and when it ends, and marks what happens in it", () => {
    expect(judged(all("up"), { nextMaintenanceAt: T0 + 6_000 }).judgeAt).toBe(T0 + 6_000);
    const inside = judged(all("down"), { maintenance: { id: "mnt_1", until: T0 + 7_000 } });
    expect(inside).toMatchObject({ judgeAt: T0 + 7_000, transition: { to: "down", suppressedBy: "mnt_1" } });
  });

  it("what depends on a check that is down has no incident of its own, nor while it recovers", () => {
    const parent = { id: "chk_p", state: "down" as const, since: T0 };
    const down = judged(all("down"), { parents: [parent] });
    expect(down).toMatchObject({
      transition: { suppressedBy: "chk_p" },
      displayed: { suppressedBy: "chk_p" },
    });
    const risen = { ...parent, state: "up" as const, since: T0 + 4_000 };
    const recovering = judged(all("down"), { parents: [risen] }, down.displayed);
    expect(recovering).toMatchObject({ displayed: { suppressedBy: "chk_p" }, judgeAt: T0 + 15_000 });
    expect(
      judged(all("down"), { parents: [risen] }, down.displayed, T0 + 15_000).displayed.suppressedBy,
    ).toBe(null);
    const well = judged(all("up"), { parents: [risen] }, down.displayed);
    expect(well.transition).toMatchObject({ to: "up", suppressedBy: "chk_p" });
  });
});

/** One location's rounds through fold and judge, with no round while `asked` is false. */
function play(ticks: readonly { at: number; isUp: boolean; isAsked?: boolean }[], over: Policy) {
  const events: { to: State; at: number }[] = [];
  const turns: { state: State; from: number }[] = [];
  let row = aRow(unknownSince(ticks[0]?.at ?? 0), over);
  let state: LocationState | null = null;
  for (const { at, isUp, isAsked } of ticks) {
    if (isAsked === false) continue;
    const round = roundOf(isUp, at, state);
    const after: LocationState = fold(state, round, over);
    const step = { location: "local", startedAt: at, endedAt: round.endedAt, after };
    const judged = judgeRow(row, [step], round.endedAt);
    state = after;
    events.push(...judged.transitions);
    turns.push(...judged.turns);
    row = {
      ...row,
      displayed: judged.displayed,
      judge_at: judged.judgeAt === null ? null : new Date(judged.judgeAt),
      voices: [{ location: "local", fold: after, lastAt: round.endedAt }],
    };
  }
  return { events, turns, displayed: row.displayed };
}

function aRow(displayed: Displayed, over: Policy): Parameters<typeof judgeRow>[0] {
  return {
    id: "chk_1",
    policy: over,
    displayed,
    judge_at: null,
    voices: [],
    parents: [],
    maintenance: null,
    next_maintenance: null,
    deployment_id: null,
    deployment_since: null,
  };
}

describe("flapping", () => {
  const flappy = aPolicy({ flapChanges: 4, flapWindowMs: 100_000 });
  const every10s = (pattern: string) =>
    [...pattern].map((c, n) => ({ at: T0 + n * 10_000, isUp: c === "u" }));

  it("is shown as degraded, with one event to enter and one to leave, over spans that stay true", () => {
    const pattern = "uduududduduuuuuuuuuuu";
    const { events, turns, displayed } = play(every10s(pattern), flappy);
    expect(events.map(({ to }) => to)).toEqual(["up", "down", "up", "down", "degraded", "up"]);
    const runs = pattern.match(/u+|d+/g) ?? [];
    expect(turns.map(({ state }) => state)).toEqual(runs.map(([first]) => (first === "u" ? "up" : "down")));
    expect(displayed).toMatchObject({ state: "up", flappingSince: null, changes: [] });
    expect(events.at(-1)?.at).toBe(turns.at(-1)?.from);
  });

  it("is never said where it is turned off", () => {
    const { events } = play(every10s("udududududu"), aPolicy({ flapChanges: 0 }));
    expect(events).toHaveLength(11);
  });
});

describe("for any history", () => {
  const minute = fc.record({
    isUp: fc.boolean(),
    isAsked: fc.constantFrom(true, true, true, true, false),
    for: fc.integer({ min: 1, max: 20 }),
  });

  it("spans follow one another, say what was true, and leave what nobody saw unknown", () => {
    fc.assert(
      fc.property(fc.array(minute, { minLength: 1, maxLength: 20 }), fc.boolean(), (parts, flaps) => {
        const over = aPolicy({ flapChanges: flaps ? 4 : 0 });
        const ticks = parts
          .flatMap((part) => Array.from({ length: part.for }, () => part))
          .map((part, n) => ({ ...part, at: T0 + n * 10_000 }));
        const asked = ticks.filter(({ isAsked }) => isAsked);
        const { turns } = play(ticks, over);
        turns.slice(1).forEach(({ from, state }, n) => {
          expect(from).toBeGreaterThanOrEqual(turns[n]?.from ?? 0);
          expect(state).not.toBe(turns[n]?.state);
        });
        for (const [n, { at, isUp }] of asked.entries()) {
          const before = asked[n - 1];
          const isLate = before !== undefined && at - before.at > maxAgeMs(over);
          // The first look after a gap does not confirm what it fails at.
          if (isLate) continue;
          const said = turns.findLast(({ from }) => from <= at)?.state;
          expect(said).toBe(isUp ? "up" : "down");
        }
        for (const [n, { at }] of asked.entries()) {
          const next = asked[n + 1];
          if (next === undefined || next.at - at <= maxAgeMs(over) + 1_000) continue;
          const middle = turns.findLast(({ from }) => from < next.at)?.state;
          expect(middle).toBe("unknown");
        }
      }),
    );
  });

  it("judging again without news changes nothing", () => {
    const state = fc.constantFrom<State>("up", "degraded", "down", "unknown");
    fc.assert(
      fc.property(state, state, state, (a, b, c) => {
        const voices = [says("a", a), says("b", b), says("c", c)];
        const first = judged(voices);
        const second = judged(voices, {}, first.displayed);
        expect([second.transition, second.turn, second.displayed]).toEqual([null, null, first.displayed]);
        if ([a, b, c].filter((one) => one === "down").length >= 2) expect(first.displayed.state).toBe("down");
      }),
    );
  });
});
