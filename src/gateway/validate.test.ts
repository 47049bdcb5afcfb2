import { describe, expect, it } from "vitest";
import { parseSnapshot, snapshotProblems } from "./validate.ts";

const release = (id: string) => ({ id, project: "p", manifest: "/m.json", socket: null });
const valid = {
  version: 1,
  generation: 3,
  hosts: { "shop.localhost": { targets: [{ release: "dpl_a", weight: 100 }], rollout: null } },
  releases: { dpl_a: release("dpl_a") },
};
const withRoute = (route: unknown) => ({ ...valid, hosts: { "shop.localhost": route } });

describe("a snapshot", () => {
  it("is accepted when it can be served", () => {
    expect(parseSnapshot(valid)).toBe(valid);
  });

  it.each<[string, unknown, RegExp]>([
    ["null", null, /must be an object/],
    ["another version", { ...valid, version: 2 }, /version: must be 1/],
    ["hosts that are gone and no list", { ...valid, gone: { a: 1 } }, /gone/],
    ["generation 0", { ...valid, generation: 0 }, /generation/],
    ["a host with a port", { ...valid, hosts: { "a:80": valid.hosts["shop.localhost"] } }, /without port/],
    ["an upper-case host", { ...valid, hosts: { Shop: valid.hosts["shop.localhost"] } }, /lower-case/],
    ["no target", withRoute({ targets: [], rollout: null }), /must have an entry/],
    [
      "an unknown release",
      withRoute({ targets: [{ release: "x", weight: 100 }], rollout: null }),
      /not in releases/,
    ],
    [
      "a sum of 99",
      withRoute({ targets: [{ release: "dpl_a", weight: 99 }], rollout: null }),
      /sum to 100, not 99/,
    ],
    [
      "half a percent",
      withRoute({ targets: [{ release: "dpl_a", weight: 99.5 }], rollout: null }),
      /whole percent/,
    ],
    [
      "a prototype's key",
      withRoute({ targets: [{ release: "constructor", weight: 100 }], rollout: null }),
      /not in/,
    ],
    [
      "a draining release of another project",
      {
        ...valid,
        releases: { ...valid.releases, dpl_b: { ...release("dpl_b"), project: "q" } },
        hosts: { h: { ...valid.hosts["shop.localhost"], draining: [{ release: "dpl_b", untilMs: 1 }] } },
      },
      /draining\[0\]\.release: "dpl_b" is no release of the host's project/,
    ],
    [
      "a release to name that is not there",
      withRoute({ ...valid.hosts["shop.localhost"], nameable: [{ release: "x", untilMs: 1 }] }),
      /nameable\[0\]/,
    ],
    [
      "a hold without end",
      withRoute({ ...valid.hosts["shop.localhost"], hold: { id: "h", maxMs: 1, maxRequests: 1 } }),
      /hold\.untilMs/,
    ],
    [
      "a relative path",
      { ...valid, releases: { dpl_a: { ...release("dpl_a"), manifest: "m" } } },
      /absolute/,
    ],
    [
      "an id with a dot",
      { ...valid, releases: { ...valid.releases, "a.b": release("a.b") } },
      /the id must be/,
    ],
    [
      "a socket path that no socket can have",
      { ...valid, releases: { dpl_a: { ...release("dpl_a"), socket: `/${"s".repeat(110)}` } } },
      /longer than/,
    ],
  ])("with %s is refused", (_, snapshot, problem) => {
    expect(snapshotProblems(snapshot).join("\n")).toMatch(problem);
  });

  it("has all of its problems named at once", () => {
    const problems = snapshotProblems({ version: 2, generation: -1, hosts: { A: {} }, releases: { x: {} } });
    expect(problems.length).toBeGreaterThanOrEqual(7);
    expect(() => parseSnapshot({})).toThrow(/problem/);
  });
});
