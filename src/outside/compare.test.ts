import { describe, expect, test } from "vitest";
import type { ListedDeployment, PlatformState } from "../targets/target.ts";
import { compare, type Ours } from "./compare.ts";

const QUIET: PlatformState = {
  production: "dpl_1",
  lastMove: { kind: "promote", from: null, to: "dpl_1", at: new Date(1_000), failed: false },
  pinned: false,
  autoAssign: true,
  teamAutoAssign: true,
  rolling: null,
  paused: false,
  deployments: [],
};
const OURS: Ours = { expected: new Set(["dpl_1"]), moving: false };

function listed(id: string, change: Partial<ListedDeployment> = {}): ListedDeployment {
  const base = {
    state: "ready",
    environment: "production",
    url: "https://x",
    createdAt: new Date(0),
  } as const;
  const nobody = { by: "ann", commit: null, branch: "main", error: null, inspectorUrl: null };
  return { id, ours: false, ...base, ...nobody, ...change };
}

const first = compare(null, QUIET, OURS);
const events = (change: Partial<PlatformState>, ours: Partial<Ours> = {}) =>
  compare(first.seen, { ...QUIET, ...change }, { ...OURS, ...ours }).events;
const moved = (kind: "promote" | "rollback", to: string) => ({
  production: to,
  lastMove: { kind, from: "dpl_1", to, at: new Date(2_000), failed: false },
});

test("the first look remembers, and tells nothing of what was before it", () => {
  expect(first.events).toEqual([]);
  expect(compare(null, { ...QUIET, deployments: [listed("dpl_9")] }, OURS).events).toEqual([]);
});

test.each([
  ["a pause", { paused: true }],
  ["a switched setting", { autoAssign: false }],
  ["a domain that is given away by hand", { production: "dpl_3" }],
  ["a rolling release of the same deployment", { rolling: { canary: "dpl_6", percent: 10 } }],
] as const)("%s is another one each time", (_name, change) => {
  const keys: string[] = [];
  let { seen } = first;
  for (const state of [change, {}, change, {}, change]) {
    const found = compare(seen, { ...QUIET, lastMove: null, ...state }, OURS);
    keys.push(...found.events.map(({ key }) => key));
    seen = found.seen;
  }
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.length).toBeGreaterThanOrEqual(3);
});

describe("a change that was not ours", () => {
  test.each([
    ["promoted", moved("promote", "dpl_2"), /promoted to dpl_2 from dpl_1, outside of Signalbox/],
    ["rolled_back", moved("rollback", "dpl_0"), /rolled back to dpl_0/],
    ["moved", { production: "dpl_3" }, /given to dpl_3/],
    ["deployed", { deployments: [listed("dpl_4")] }, /of main by ann was built outside/],
    [
      "build_failed",
      { deployments: [listed("dpl_5", { state: "error", error: "It broke." })] },
      /: It broke\./,
    ],
    ["rolling_release", { rolling: { canary: "dpl_6", percent: 10 } }, /dpl_6 was begun at 10 %/],
    ["paused", { paused: true }, /paused at Vercel/],
    ["pinned", { pinned: true, autoAssign: false }, /pinned to dpl_1 by a rollback/],
    ["auto_assign", { autoAssign: false }, /switched off, outside/],
  ] as const)("is told as %s, once", (kind, change, summary) => {
    const found = compare(first.seen, { ...QUIET, ...change }, OURS);
    expect(found.events).toMatchObject([{ kind, summary: expect.stringMatching(summary) }]);
    expect(compare(found.seen, { ...QUIET, ...change }, OURS).events).toEqual([]);
  });

  test("is told each time that it happens again", () => {
    const there = compare(first.seen, { ...QUIET, ...moved("promote", "dpl_2") }, OURS);
    const back = compare(there.seen, QUIET, OURS);
    const again = {
      ...moved("promote", "dpl_2"),
      lastMove: { ...QUIET.lastMove, to: "dpl_2", at: new Date(9_000) },
    };
    const second = compare(back.seen, { ...QUIET, ...again } as PlatformState, OURS);
    expect(second.events).toHaveLength(1);
    expect(second.events[0]?.key).not.toBe(there.events[0]?.key);
  });

  test("of a rolling release is told at each stage, and how it ended", () => {
    const begun = compare(first.seen, { ...QUIET, rolling: { canary: "dpl_6", percent: 10 } }, OURS);
    const more = compare(begun.seen, { ...QUIET, rolling: { canary: "dpl_6", percent: 50 } }, OURS);
    expect(more.events).toMatchObject([{ summary: expect.stringContaining("at 50 % now") }]);
    expect(compare(more.seen, QUIET, OURS).events).toMatchObject([
      { key: expect.stringMatching(/^rolling:dpl_6:aborted:/) },
    ]);
  });
});

describe("a change that was ours", () => {
  test("is no surprise: a promotion, a canary, a build", () => {
    const ours = { expected: new Set(["dpl_1", "dpl_2"]), moving: true };
    expect(events({ ...moved("promote", "dpl_2") }, ours)).toEqual([]);
    expect(events({ rolling: { canary: "dpl_2", percent: 5 } }, ours)).toEqual([]);
    expect(events({ deployments: [listed("dpl_2", { ours: true, state: "error" })] }, ours)).toEqual([]);
  });

  test("leaves settings in between that mean nothing", () => {
    const promoting = compare(first.seen, { ...QUIET, autoAssign: false }, { ...OURS, moving: true });
    expect(promoting.events).toEqual([]);
    expect(compare(promoting.seen, QUIET, OURS).events).toEqual([]);
  });

  test("and yet the pin of a rollback is told", () => {
    const back = { ...moved("rollback", "dpl_0"), pinned: true, autoAssign: false };
    const ours = { expected: new Set(["dpl_0", "dpl_1"]) };
    expect(events(back, ours)).toMatchObject([{ kind: "pinned" }]);
  });
});

test("previews of every push are not told, unless they fail", () => {
  expect(events({ deployments: [listed("dpl_7", { environment: "preview" })] })).toEqual([]);
  const failed = listed("dpl_8", { environment: "preview", state: "error" });
  expect(events({ deployments: [failed] })).toHaveLength(1);
  expect(events({ deployments: [listed("dpl_7", { state: "building" })] })).toEqual([]);
});
