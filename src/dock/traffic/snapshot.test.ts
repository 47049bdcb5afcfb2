import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AliasTarget, buildSnapshot, type RoutedRelease, type TrafficState } from "./snapshot.ts";

const release = (id: string, socket: string | null = null): RoutedRelease => ({
  id,
  projectId: "prj_1",
  project: "shop",
  host: `shop-${id}.localhost`,
  manifest: `/artifacts/${id}.json`,
  socket,
  target: "production",
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
  ...parts,
});
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
      hosts: { "shop-a.localhost": { targets: [{ release: "a", weight: 100 }], rollout: null } },
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
});
