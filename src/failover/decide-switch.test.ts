import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideSwitch, type SwitchInput } from "./decide-switch.ts";
import { fold, type Health, NOT_LOOKED_AT } from "./health.ts";
import type { Side } from "./policy.ts";
import type { Verdict } from "./verdict.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const NOW = 1_800_000_000_000;

const policy: SwitchInput["policy"] = {
  automatic: true,
  switch: { kind: "webhook", url: "https://dns.example.com/" },
  away: { failures: 3, forMs: 30_000 },
  recovered: { successes: 5, forMs: 5 * MINUTE },
  minIntervalMs: 10 * MINUTE,
  maxPerDay: 4,
};
const health = (verdict: Verdict, count: number, forMs: number): Health => {
  const streak = { count, sinceMs: NOW - forMs };
  return {
    ...NOT_LOOKED_AT,
    verdict,
    reason: "It was so.",
    away: verdict === "away" ? streak : null,
    well: verdict === "well" ? streak : null,
  };
};
const input = (change: Partial<SwitchInput>): SwitchInput => ({
  policy,
  asked: true,
  automatic: true,
  serving: "primary",
  switchedBy: null,
  health: health("away", 3, 30_000),
  standbyReady: true,
  switchesMs: [],
  nowMs: NOW,
  ...change,
});
const back = { serving: "standby", switchedBy: "automatic", health: health("well", 5, 5 * MINUTE) } as const;

describe("the hostname goes to the standby", () => {
  it("after enough failed looks over enough time", () => {
    expect(decideSwitch(input({}))).toEqual({ do: "switch", to: "standby", why: "It was so." });
  });

  it.each<[string, Partial<SwitchInput>, RegExp, boolean]>([
    ["too few looks failed", { health: health("away", 2, 30_000) }, /not yet/, false],
    ["they failed for too short a time", { health: health("away", 9, 29_999) }, /not yet/, false],
    ["the release is bad", { health: health("release", 9, MINUTE) }, /primary is release/, false],
    ["the standby is not ready", { standbyReady: false }, /standby is not ready/, true],
    ["a person holds it", { automatic: false }, /person/, true],
    ["it is not automatic", { policy: { ...policy, automatic: false } }, /not automatic/, true],
    ["there is no switch", { policy: { ...policy, switch: null } }, /No switch/, true],
    ["nobody asks for it any more", { asked: false }, /asks for no failover/, true],
    ["the last switch is too short ago", { switchesMs: [NOW - 10 * MINUTE + 1] }, /too short ago/, true],
    [
      "the day has had enough",
      { switchesMs: [1, 2, 3, 4].map((hours) => NOW - hours * 3_600_000) },
      /4 switches/,
      true,
    ],
  ])("not when %s", (_name, change, why, held) => {
    const decision = decideSwitch(input(change));
    expect(decision).toMatchObject({ do: "stay", held });
    expect(decision.why).toMatch(why);
  });

  it("again when yesterday's switches are a day old", () => {
    const switchesMs = [0, 1, 2, 3].map((hours) => NOW - DAY - hours * 3_600_000);
    expect(decideSwitch(input({ switchesMs })).do).toBe("switch");
  });
});

describe("the hostname comes back", () => {
  it("after enough good looks over enough time, whether the standby is ready or not", () => {
    expect(decideSwitch(input({ ...back, standbyReady: false }))).toMatchObject({
      do: "switch",
      to: "primary",
    });
  });

  it.each<[string, Partial<SwitchInput>, RegExp]>([
    ["too few looks were good", { health: health("well", 4, 5 * MINUTE) }, /not yet/],
    ["they were good for too short a time", { health: health("well", 99, MINUTE) }, /not yet/],
    ["a person moved it here", { switchedBy: "person" }, /person/],
    ["the last switch is too short ago", { switchesMs: [NOW - MINUTE] }, /too short ago/],
  ])("not when %s", (_name, change, why) => {
    const decision = decideSwitch(input({ ...back, ...change }));
    expect(decision).toMatchObject({ do: "stay" });
    expect(decision.why).toMatch(why);
  });
});

describe("a streak", () => {
  const at = (nowMs: number) => ({ nowMs, intervalMs: 10_000, indicator: null });
  const judged = (verdict: Verdict) => ({ verdict, reason: "." });

  it("ends with any other verdict", () => {
    const one = fold(NOT_LOOKED_AT, judged("away"), at(NOW));
    const two = fold(one, judged("away"), at(NOW + 10_000));
    expect(two).toMatchObject({ away: { count: 2, sinceMs: NOW }, sinceMs: NOW });
    const ended = fold(two, judged("unclear"), at(NOW + 20_000));
    expect(ended).toMatchObject({ away: null, well: null, sinceMs: NOW + 20_000 });
    expect(fold(ended, judged("away"), at(NOW + 30_000)).away).toEqual({ count: 1, sinceMs: NOW + 30_000 });
  });

  it("ends with a gap, since nobody knows what was between", () => {
    const one = fold(NOT_LOOKED_AT, judged("well"), at(NOW));
    expect(fold(one, judged("well"), at(NOW + 51_000)).well).toEqual({ count: 1, sinceMs: NOW + 51_000 });
  });
});

/** One look of a run: what was judged, whether the standby was ready, and how long until the next one. */
const look = fc.record({
  verdict: fc.constantFrom<Verdict>("well", "well", "away", "away", "away", "release", "unclear", "cut_off"),
  repeat: fc.integer({ min: 1, max: 60 }),
  ready: fc.boolean(),
  pauseMs: fc.constantFrom(5_000, 10_000, 45_000),
});

describe("over any sequence of looks", () => {
  it("it switches at most once in the minimum time, seldom enough in a day, and never to a standby not ready", () => {
    fc.assert(
      fc.property(fc.array(look, { maxLength: 60 }), (looks) => {
        const switches = run(looks);
        for (const [index, one] of switches.entries()) {
          const before = switches[index - 1];
          if (before) expect(one.atMs - before.atMs).toBeGreaterThanOrEqual(policy.minIntervalMs);
          if (before) expect(one.to).not.toBe(before.to);
          const day = switches.filter(({ atMs }) => atMs <= one.atMs && one.atMs - atMs < DAY);
          expect(day.length).toBeLessThanOrEqual(policy.maxPerDay);
          if (one.to === "standby") expect(one).toMatchObject({ ready: true, verdict: "away" });
          else expect(one.verdict).toBe("well");
        }
      }),
      { numRuns: 300 },
    );
  });

  it("a primary that alternates between away and well moves nobody", () => {
    const flapping = Array.from({ length: 400 }, (_, index) => ({
      verdict: index % 2 === 0 ? ("away" as const) : ("well" as const),
      repeat: 2,
      ready: true,
      pauseMs: 10_000,
    }));
    expect(run(flapping)).toEqual([]);
  });
});

type Look = { verdict: Verdict; repeat: number; ready: boolean; pauseMs: number };

function run(looks: readonly Look[]) {
  const switches: { to: Side; atMs: number; ready: boolean; verdict: Verdict }[] = [];
  let state = { serving: "primary" as Side, health: NOT_LOOKED_AT, nowMs: NOW };
  for (const { verdict, repeat, ready, pauseMs } of looks) {
    for (let count = 0; count < repeat; count++) {
      const nowMs = state.nowMs + pauseMs;
      const at = { nowMs, intervalMs: 10_000, indicator: null };
      const folded = fold(state.health, { verdict, reason: "." }, at);
      const decision = decideSwitch({
        policy,
        asked: true,
        automatic: true,
        switchedBy: state.serving === "standby" ? "automatic" : null,
        serving: state.serving,
        health: folded,
        standbyReady: ready,
        switchesMs: switches.map(({ atMs }) => atMs),
        nowMs,
      });
      if (decision.do === "switch") switches.push({ to: decision.to, atMs: nowMs, ready, verdict });
      const serving = decision.do === "switch" ? decision.to : state.serving;
      state = { serving, health: folded, nowMs };
    }
  }
  return switches;
}
