import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Former } from "./former.ts";
import {
  type AliasTarget,
  buildSnapshot as build,
  NO_SETTINGS,
  type RoutedRelease,
  type TrafficState,
} from "./snapshot.ts";

const release = (id: string, socket: string | null = null): RoutedRelease => ({
  id,
  projectId: "prj_1",
  project: "shop",
  host: `shop-${id}.localhost`,
  manifest: `/artifacts/${id}.json`,
  socket,
  target: "production",
  branch: null,
  createdAt: new Date(0),
  readyAt: new Date(0),
  promotedAt: null,
});
const state = (parts: Partial<TrafficState>): TrafficState => ({
  generation: 7,
  releases: new Map(),
  aliases: new Map(),
  rollouts: new Map(),
  manual: new Set(),
  former: new Map(),
  settings: new Map(),
  holds: new Map(),
  domains: new Map(),
  gone: new Map(),
  ...parts,
});
const NOW = new Date(100_000);
const buildSnapshot = (state: TrafficState) => build(state, { now: NOW, skewMaxAgeS: 60 });
const routed = (ids: readonly string[]) =>
  new Map(ids.map((id): [string, RoutedRelease] => [id, release(id)]));
const production = (deploymentId: string) => ({
  deploymentId,
  projectId: "prj_1",
  kind: "production" as const,
});

describe("the snapshot", () => {
  it("routes every ready release by its immutable host", () => {
    const snapshot = buildSnapshot(state({ releases: new Map([["a", release("a", "/run/a.sock")]]) }));
    expect(snapshot).toEqual({
      version: 1,
      generation: 7,
      hosts: { "shop-a.localhost": { targets: [{ release: "a", weight: 100 }], rollout: null, own: true } },
      releases: { a: { id: "a", project: "shop", manifest: "/artifacts/a.json", socket: "/run/a.sock" } },
    });
  });

  it("splits production, and nothing else, while a rolling release is active", () => {
    const snapshot = buildSnapshot(
      state({
        releases: routed(["a", "b"]),
        aliases: new Map<string, AliasTarget>([
          ["shop.localhost", production("a")],
          ["other.localhost", { ...production("a"), kind: "custom" }],
        ]),
        rollouts: new Map([["prj_1", { id: "rr_1", stable: "a", canary: "b", weight: 10 }]]),
      }),
    );
    expect(snapshot.hosts["shop.localhost"]).toEqual({
      targets: [
        { release: "a", weight: 90 },
        { release: "b", weight: 10 },
      ],
      rollout: "rr_1",
      nameable: [],
    });
    expect(snapshot.hosts["other.localhost"]?.targets).toEqual([{ release: "a", weight: 100 }]);
  });

  it("has no route for an alias whose release is gone", () => {
    expect(buildSnapshot(state({ aliases: new Map([["x.localhost", production("gone")]]) })).hosts).toEqual(
      {},
    );
  });

  it("weights always sum to 100 and name only releases that are in it", () => {
    const ids = ["a", "b", "c", "gone"];
    fc.assert(
      fc.property(
        fc.subarray(["a", "b", "c"]),
        fc.constantFrom(...ids),
        fc.constantFrom(...ids),
        fc.constantFrom(...ids),
        fc.integer({ min: 0, max: 100 }),
        (ready, aliased, stable, canary, weight) => {
          const snapshot = buildSnapshot(
            state({
              releases: routed(ready),
              aliases: new Map([["shop.localhost", production(aliased)]]),
              rollouts: new Map([["prj_1", { id: "rr", stable, canary, weight }]]),
            }),
          );
          for (const route of Object.values(snapshot.hosts)) {
            expect(route.targets.reduce((sum, target) => sum + target.weight, 0)).toBe(100);
            for (const target of route.targets) expect(snapshot.releases[target.release]).toBeDefined();
          }
        },
      ),
    );
  });

  it("keeps a canary of weight 0 in the split", () => {
    const rollouts = new Map([["prj_1", { id: "rr_1", stable: "a", canary: "b", weight: 0 }]]);
    expect(shop({ rollouts })?.targets).toEqual([
      { release: "a", weight: 100 },
      { release: "b", weight: 0 },
    ]);
  });
});

/** The route of `shop.localhost`, where `b` serves. */
function shop(parts: Partial<TrafficState>) {
  const aliases = new Map([["shop.localhost", production("b")]]);
  return buildSnapshot(state({ releases: routed(["a", "b", "c"]), aliases, ...parts })).hosts[
    "shop.localhost"
  ];
}
const former = (parts: Partial<Former> = {}) =>
  new Map([
    [
      "shop.localhost",
      [{ deploymentId: "a", supersededAt: NOW, drainUntil: null, rolledBack: false, ...parts }],
    ],
  ]);

describe("beyond weights", () => {
  it("there is nothing for a host that had one release only: its requests are not looked at", () => {
    expect(shop({})).toEqual({ targets: [{ release: "b", weight: 100 }], rollout: null });
  });

  it("a former release may be named until its age is over", () => {
    expect(shop({ former: former() })?.nameable).toEqual([{ release: "a", untilMs: 160_000 }]);
    expect(shop({ former: former({ supersededAt: new Date(40_000) }) })).not.toHaveProperty("nameable");
  });

  it.each<[string, Partial<TrafficState>]>([
    ["one that was rolled back", { former: former({ rolledBack: true }) }],
    ["one that is gone", { former: former({ deploymentId: "gone" }) }],
    [
      "one whose process was stopped",
      {
        former: former(),
        releases: new Map(
          ["b", "n1", "n2", "a"].map((id, index): [string, RoutedRelease] => {
            return [id, { ...release(id, `/run/${id}`), readyAt: new Date(9 - index) }];
          }),
        ),
        aliases: new Map([["shop.localhost", { ...production("b"), kind: "custom" }]]),
      },
    ],
    [
      "one where the project switched it off",
      { former: former(), settings: new Map([["prj_1", { ...NO_SETTINGS, skewMaxAgeS: 0 }]]) },
    ],
    [
      "one of another project",
      {
        former: former(),
        releases: new Map([...routed(["b"]), ["a", { ...release("a"), projectId: "prj_2" }]]),
      },
    ],
  ])("%s may not be named", (_, parts) => {
    expect(shop(parts)).not.toHaveProperty("nameable");
  });

  it("a project's own age wins over the dock's", () => {
    const settings = new Map([["prj_1", { ...NO_SETTINGS, skewMaxAgeS: 100 }]]);
    expect(shop({ former: former(), settings })?.nameable?.[0]?.untilMs).toBe(200_000);
  });

  it("a project that lets visitors stay gives them a cookie, and drains what lost the host", () => {
    const settings = new Map([["prj_1", { ...NO_SETTINGS, skewMaxAgeS: 0, drainMs: 5_000 }]]);
    expect(shop({ settings, former: former({ drainUntil: new Date(105_000) }) })).toMatchObject({
      sticky: true,
      draining: [{ release: "a", untilMs: 105_000 }],
    });
    expect(shop({ settings, former: former({ drainUntil: NOW }) })).not.toHaveProperty("draining");
  });

  it("a hold is there until it ends", () => {
    const hold = { id: "hold_1", projectId: "prj_1", maxMs: 1_000, maxRequests: 5 };
    const holds = (ms: number) => new Map([["shop.localhost", { ...hold, until: new Date(ms) }]]);
    expect(shop({ holds: holds(100_500) })?.hold).toEqual({
      id: "hold_1",
      untilMs: 100_500,
      maxMs: 1_000,
      maxRequests: 5,
    });
    expect(shop({ holds: holds(100_000) })).not.toHaveProperty("hold");
  });
});
