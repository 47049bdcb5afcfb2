import { describe, expect, test } from "vitest";
import { reached, SERVICE, ship, trigger } from "../../test/scenarios/engine-stand.ts";
import { useProjects } from "../../test/scenarios/project-stand.ts";
import { aService, HEALTH } from "../../test/support/deployment-row.ts";
import {
  lowestWeight,
  mainRelease,
  movingServices,
  planServices,
  sameReleases,
  withTraffic,
} from "./services.ts";

const s = useProjects("s");
const { stand, here, traffic, view, stateOf } = s;

const two = (api: string, web: string) =>
  s.prepare({
    services: [
      { ...SERVICE, name: "api", inputs: api },
      { ...SERVICE, name: "web", inputs: web },
    ],
  });
const releasesOf = async (id: string) =>
  (await view(id)).services.map((each) => each.targetDeploymentId ?? "");

describe("several services", () => {
  test("are built, proven and shifted together, in their order, and serve together", async () => {
    two("a1", "w1");
    const before = stand().target.effects.length;
    const done = await ship(stand(), here());
    const [api, web] = await releasesOf(done.id);
    expect(stand().target.effects.slice(before)).toEqual([
      `build ${done.id}:1:build:api`,
      `build ${done.id}:1:build:web`,
      `shift ${api} 100`,
      `shift ${web} 100`,
    ]);
    expect([traffic("api"), traffic("web")]).toEqual([{ [api ?? ""]: 100 }, { [web ?? ""]: 100 }]);
    expect(done).toMatchObject({ targetDeploymentId: web, weight: 100 });
  });

  test("one whose build fails takes all along: none is live, the other build ends, the old ones serve", async () => {
    two("a1", "w1");
    const good = await ship(stand(), here());
    const [api, web] = await releasesOf(good.id);
    two("a2", "w2");
    s.holdBuilds();
    const id = await trigger(stand(), here());
    await s
      .eventually(() => releasesOf(id))
      .toEqual([expect.stringMatching(/dpl/), expect.stringMatching(/dpl/)]);
    const [hanging, broken] = await releasesOf(id);
    const build = stand().target.builds.get(broken ?? "");
    if (build) build.was.build = "error";
    await s.eventually(() => stateOf(id)).toBe("failed");
    expect((await view(id)).reason).toContain('"web"');
    await s.eventually(() => stand().target.effects).toContain(`cancel ${hanging}`);
    expect([traffic("api"), traffic("web")]).toEqual([{ [api ?? ""]: 100 }, { [web ?? ""]: 100 }]);
    expect(await stateOf(good.id)).toBe("live");
  });

  test("one with the same inputs keeps its release, neither built nor shifted; `force` builds it anew", async () => {
    two("a1", "w1");
    const first = await ship(stand(), here());
    two("a1", "w2");
    const before = stand().target.effects.length;
    const second = await ship(stand(), here());
    expect(second.services.map(({ name, unchanged }) => [name, unchanged])).toEqual([
      ["api", true],
      ["web", false],
    ]);
    const [api] = await releasesOf(first.id);
    expect((await releasesOf(second.id))[0]).toBe(api);
    expect(
      stand()
        .target.effects.slice(before)
        .filter((effect) => /^(build|shift)/.test(effect)),
    ).toEqual([`build ${second.id}:1:build:web`, `shift ${second.targetDeploymentId} 100`]);
    const forced = await ship(stand(), here({ force: true }));
    expect(forced.services.map((each) => each.unchanged)).toEqual([false, false]);
  });

  test("go back together, and one that did not change stays where it is", async () => {
    two("a1", "w1");
    const first = await ship(stand(), here());
    two("a2", "w2");
    const second = await ship(stand(), here());
    two("a2", "w3");
    const third = await ship(stand(), here());
    const [a1, w1] = await releasesOf(first.id);
    const [a2, w2] = await releasesOf(second.id);
    const before = stand().target.effects.length;
    expect((await s.rollback()).body).toMatchObject({ deploymentId: second.id, rolledBack: [third.id] });
    expect(stand().target.effects.slice(before)).toEqual([`rollback ${w2}`]);
    expect((await s.rollback()).body).toMatchObject({ deploymentId: first.id, rolledBack: [second.id] });
    expect([traffic("api"), traffic("web")]).toEqual([{ [a1 ?? ""]: 100 }, { [w1 ?? ""]: 100 }]);
    expect([await stateOf(first.id), a2 === a1]).toEqual(["live", false]);
    expect((await s.row(first.id)).services.map((each) => each.weight)).toEqual([100, 100]);
  });

  test("a release that another deployment still has is not let go with the one that failed", async () => {
    two("a1", "w1");
    const good = await ship(stand(), here());
    two("a1", "w2");
    stand().target.behaviour.build = "error";
    const id = await trigger(stand(), here());
    await reached(stand(), id, "failed");
    await s.eventually(async () => (await s.row(id)).cleanup).toBeNull();
    const [api] = await releasesOf(good.id);
    expect(stand().target.retired()).not.toContain(api);
  });
});

describe("what is decided of services", () => {
  const prepared = (name: string, inputs = "inputs") =>
    ({
      name,
      inputs,
      targetProject: `shop-${name}`,
      targetProjectId: `prj_${name}`,
      settings: {},
      env: {},
      health: HEALTH,
    }) as const;
  const live = { services: [aService("api", { weight: 100 }), aService("web", { weight: 100 })] };

  test("one keeps its release only when its inputs and its place are those of one that serves", () => {
    const unchanged = (...args: Parameters<typeof planServices>) =>
      planServices(...args).map((each) => each.unchanged);
    expect(unchanged([prepared("api"), prepared("web", "other")], live, false)).toEqual([true, false]);
    expect(unchanged([prepared("api"), prepared("web")], live, true)).toEqual([false, false]);
    expect(unchanged([prepared("api"), prepared("web")], null, false)).toEqual([false, false]);
    expect(
      unchanged([prepared("api"), { ...prepared("web"), targetProjectId: "prj_new" }], live, false),
    ).toEqual([true, false]);
    // The only one that is asked for again is deployed again.
    expect(unchanged([prepared("web")], live, false)).toEqual([false]);
  });

  test("what is not yet has no weight, and what keeps its release does not count for the lowest", () => {
    const [api, web] = planServices([prepared("api"), prepared("web", "other")], live, false);
    if (!api || !web) throw new Error("two were planned");
    expect([api.weight, api.targetDeploymentId, web.weight, web.targetDeploymentId]).toEqual([
      100,
      "dpl_api_2",
      0,
      null,
    ]);
    expect(lowestWeight([api, web])).toBe(0);
    expect(lowestWeight([api])).toBe(100);
    expect(movingServices({ services: [api, web] })).toEqual([web]);
  });

  test("weights are what the target reports; of what nobody looked at they stay", () => {
    const [api, web] = live.services;
    if (!api || !web) throw new Error("two are live");
    const weights = withTraffic([api, web], { api: { dpl_api_2: 40, x: 60 } }).map((each) => each.weight);
    expect(weights).toEqual([40, 100]);
    expect(withTraffic([api], { api: {} })[0]?.weight).toBe(0);
  });

  test("the same releases are the same whatever their order; one more is another", () => {
    const [api, web] = live.services;
    if (!api || !web) throw new Error("two are live");
    expect(sameReleases({ services: [api, web] }, { services: [web, api] })).toBe(true);
    expect(sameReleases({ services: [api, web] }, { services: [api] })).toBe(false);
    expect(sameReleases({ services: [api] }, { services: [{ ...api, targetDeploymentId: "x" }] })).toBe(
      false,
    );
  });

  test("who serves beside a release is who has most of the rest", () => {
    expect(mainRelease({ own: 50, a: 20, b: 30 }, "own")).toBe("b");
    expect(mainRelease({ own: 100, a: 0 }, "own")).toBeNull();
  });
});
