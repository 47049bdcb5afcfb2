import { expect, test } from "vitest";
import { reached, SERVICE, ship, trigger, withStrategy } from "../../test/scenarios/engine-stand.ts";
import { useProjects } from "../../test/scenarios/project-stand.ts";
import { ANALYSIS } from "../../test/scenarios/stories.ts";
import type { Strategy } from "../rollouts/index.ts";

const s = useProjects();
const { stand, name, here, api, stateOf, traffic, audited, eventually, holdBuilds, rollback } = s;

const LONG_CANARY: Strategy = {
  kind: "canary",
  steps: [{ weight: 10, bakeMs: 600_000 }],
  analysis: ANALYSIS,
};

test("a rollback goes back to the previous good one, and again further back, never in a circle", async () => {
  const [a, b, c] = [await ship(stand(), here()), await ship(stand(), here()), await ship(stand(), here())];
  const first = await rollback({ reason: "checkout is broken" });
  expect(first).toMatchObject({
    status: 200,
    body: { deploymentId: b.id, rolledBack: [c.id], state: "live" },
  });
  expect(await Promise.all([a, b, c].map(({ id }) => stateOf(id)))).toEqual([
    "superseded",
    "live",
    "rolled_back",
  ]);
  expect(traffic()).toEqual({ [b.targetDeploymentId ?? ""]: 100 });
  expect((await api().get(`/status/${b.id}`)).body.deployment).toMatchObject({
    rollbackOf: c.id,
    weight: 100,
  });
  expect((await api().get(`/status/${c.id}`)).body.deployment.reason).toContain("checkout is broken");
  expect(await audited("deployment.rollback", b.id)).toHaveLength(1);
  expect((await rollback()).body).toMatchObject({ deploymentId: a.id, rolledBack: [b.id] });
  const nothing = await rollback();
  expect([nothing.status, nothing.body.error.hint]).toEqual([409, expect.any(String)]);
});

test("a rollback to a named one; not to the one that serves, nor to one that never was live", async () => {
  const [a, b, c] = [await ship(stand(), here()), await ship(stand(), here()), await ship(stand(), here())];
  expect((await rollback({ targetDeploymentId: c.id })).status).toBe(409);
  expect((await rollback({ targetDeploymentId: a.id })).body).toMatchObject({
    deploymentId: a.id,
    rolledBack: [c.id],
  });
  expect((await rollback({ targetDeploymentId: c.id })).body).toMatchObject({
    deploymentId: c.id,
    rolledBack: [a.id],
  });
  stand().target.behaviour.build = "error";
  const failed = await trigger(stand(), here());
  await reached(stand(), failed, "failed");
  expect((await rollback({ targetDeploymentId: failed })).body.error.message).toContain("never was live");
  expect((await rollback({ targetDeploymentId: "dep_none" })).status).toBe(404);
  expect(await stateOf(b.id)).toBe("superseded");
});

test("a rollback repeated with its key, answered or not, happens once", async () => {
  const [, b, c] = [await ship(stand(), here()), await ship(stand(), here()), await ship(stand(), here())];
  const key = { "idempotency-key": `rb${name()}` };
  await rollback({}, key);
  const settled = { status: null, body: null, created_at: new Date(0) };
  await stand().db.updateTable("idempotency_keys").set(settled).where("key", "=", `rb${name()}`).execute();
  expect((await rollback({}, key)).body).toMatchObject({ deploymentId: b.id, rolledBack: [c.id] });
  expect(await stateOf(b.id)).toBe("live");
});

test("a rollback stops what is being built and what waits, and leaves the live one alone", async () => {
  const live = await ship(stand(), here());
  holdBuilds();
  const building = await trigger(stand(), here());
  await reached(stand(), building, "building");
  const waiting = await trigger(stand(), here());
  expect((await rollback()).body).toMatchObject({ deploymentId: live.id, rolledBack: [building, waiting] });
  expect(await Promise.all([building, waiting, live.id].map(stateOf))).toEqual([
    "canceled",
    "canceled",
    "live",
  ]);
});

test("a rollback takes back a canary that has some of the traffic", async () => {
  const live = await ship(stand(), here());
  stand().world.preparation = withStrategy(LONG_CANARY);
  const canary = await trigger(stand(), here());
  await eventually(traffic).toHaveProperty(live.targetDeploymentId ?? "", 90);
  expect((await rollback()).body).toMatchObject({ deploymentId: live.id, rolledBack: [canary] });
  expect(traffic()).toEqual({ [live.targetDeploymentId ?? ""]: 100 });
  await reached(stand(), canary, "rolled_back");
  expect(await stateOf(live.id)).toBe("live");
});

test("a rollback to a named one while a canary is under way leaves the named one as the only live one", async () => {
  const [named, live] = [await ship(stand(), here()), await ship(stand(), here())];
  stand().world.preparation = withStrategy(LONG_CANARY);
  const canary = await trigger(stand(), here());
  await eventually(traffic).toHaveProperty(live.targetDeploymentId ?? "", 90);
  expect((await rollback({ targetDeploymentId: named.id })).body).toMatchObject({
    deploymentId: named.id,
    rolledBack: [canary],
  });
  await reached(stand(), canary, "rolled_back");
  expect(await Promise.all([named.id, live.id].map(stateOf))).toEqual(["live", "superseded"]);
  expect(traffic()).toEqual({ [named.targetDeploymentId ?? ""]: 100 });
});

test("a canary that answers 5xx to visitors is taken back by itself", async () => {
  const live = await ship(stand(), here());
  stand().world.preparation = withStrategy(LONG_CANARY);
  const canary = await trigger(stand(), here());
  await eventually(traffic).toHaveProperty(live.targetDeploymentId ?? "", 90);
  const { targetDeploymentId } = (await api().get(`/status/${canary}`)).body.deployment;
  // They go on coming: the engine's first reading, whenever it is, is only where it begins to count.
  let requests = 0;
  const get = () => {
    requests += 100;
    return { requests, errors5xx: requests / 2 };
  };
  Object.defineProperty(stand().world.counters, targetDeploymentId, { get });
  const back = await reached(stand(), canary, "rolled_back");
  expect(back.reason).toContain("were 5xx");
  expect(back.hint).not.toBeNull();
  expect(traffic()).toEqual({ [live.targetDeploymentId ?? ""]: 100 });
});

test("releases too old to be rolled back to are let go at the target", async () => {
  const first = await ship(stand(), here());
  for (let more = 0; more < 5; more++) await ship(stand(), here());
  await eventually(() => stand().target.retired()).toContain(first.targetDeploymentId);
  const answer = await rollback({ targetDeploymentId: first.id });
  expect([answer.status, answer.body.error.message]).toEqual([
    409,
    expect.stringContaining("no longer kept"),
  ]);
});

test("one that is the same releases as what serves is passed by: going there would help nobody", async () => {
  const two = (inputs: string) =>
    s.prepare({
      services: ["api", "web"].map((each) => ({ ...SERVICE, name: each, inputs: `${each} ${inputs}` })),
    });
  two("1");
  const first = await ship(stand(), here());
  two("2");
  const second = await ship(stand(), here());
  const same = await ship(stand(), here());
  expect(same.services.map((each) => each.unchanged)).toEqual([true, true]);
  expect((await rollback()).body).toMatchObject({ deploymentId: first.id, rolledBack: [same.id] });
  expect(await stateOf(second.id)).toBe("superseded");
});

test("a release that does not answer is waited for before traffic goes back to it", async () => {
  const [good, bad] = [await ship(stand(), here()), await ship(stand(), here())];
  const release = good.targetDeploymentId ?? "";
  stand().world.status.set(release, 503);
  const asked = rollback();
  await eventually(() => stateOf(bad.id)).toBe("rolling_back");
  await eventually(async () => (await s.row(bad.id)).facts.rollback?.ready).toBe(false);
  expect(traffic()).toEqual({ [bad.targetDeploymentId ?? ""]: 100 });
  stand().world.status.set(release, 200);
  expect((await asked).body).toMatchObject({ deploymentId: good.id, state: "live" });
  expect(traffic()).toEqual({ [release]: 100 });
});

test("by steps: the request answers at once, and the weights of the canary come back one after the other", async () => {
  const strategy: Strategy = {
    kind: "canary",
    steps: [
      { weight: 20, bakeMs: 0 },
      { weight: 60, bakeMs: 0 },
    ],
    analysis: { ...ANALYSIS, minRequests: 0, maxErrorRate: null },
  };
  s.prepare(withStrategy(strategy));
  const [good, bad] = [await ship(stand(), here()), await ship(stand(), here())];
  const before = stand().target.effects.length;
  const answer = await rollback({ stepped: true });
  expect(answer.body).toMatchObject({ deploymentId: good.id, rolledBack: [bad.id], state: "rolling_back" });
  await reached(stand(), bad.id, "rolled_back");
  const to = good.targetDeploymentId;
  expect(stand().target.effects.slice(before)).toEqual([
    `shift ${to} 20`,
    `shift ${to} 60`,
    `shift ${to} 100`,
  ]);
  expect(await stateOf(good.id)).toBe("live");
});

test("a rollback that would cross a contract migration is refused, by its name, and nothing happens", async () => {
  const [, live] = [await ship(stand(), here()), await ship(stand(), here())];
  stand().world.barrier = { name: "0007_drop_carts.sql", by: "dep_9", at: new Date("2026-01-01T00:00:00Z") };
  const answer = await rollback();
  expect([answer.status, answer.body.error.message]).toEqual([
    409,
    expect.stringContaining("0007_drop_carts.sql"),
  ]);
  expect(answer.body.error.hint).toMatch(/./);
  expect(await stateOf(live.id)).toBe("live");
  expect(traffic()).toEqual({ [live.targetDeploymentId ?? ""]: 100 });
});

test("each way of ending has its outcome", async () => {
  const outcome = async (id: string) => (await s.row(id)).outcome;
  const first = await ship(stand(), here());
  expect(await outcome(first.id)).toBe("success");
  const second = await ship(stand(), here());
  expect([await stateOf(first.id), await outcome(first.id)]).toEqual(["superseded", "success"]);
  await rollback();
  expect([await stateOf(second.id), await outcome(second.id)]).toEqual(["rolled_back", "failure"]);
  holdBuilds();
  const building = await trigger(stand(), here());
  await reached(stand(), building, "building");
  const skipped = await trigger(stand(), here());
  const newest = await trigger(stand(), here());
  expect([await stateOf(skipped), await outcome(skipped)]).toEqual(["superseded", "skip"]);
  await api().post(`/cancel/${newest}`, {});
  await api().post(`/cancel/${building}`, {});
  expect([await outcome(newest), await outcome(building)]).toEqual(["cancellation", "cancellation"]);
  stand().target.behaviour.build = "error";
  const failed = await trigger(stand(), here());
  await reached(stand(), failed, "failed");
  expect(await outcome(failed)).toBe("failure");
  stand().target.behaviour.build = "hangs";
  const late = await trigger(stand(), here());
  await reached(stand(), late, "building");
  await stand().pool.query("update deployments set deadline_at = $2 where id = $1", [late, new Date(0)]);
  stand().engine.deps.wake(late);
  await eventually(() => outcome(late)).toBe("timeout");
  expect(await stateOf(late)).toBe("failed");
});

test("canceled while traffic moves it is taken back, which is a cancellation and no failure", async () => {
  const live = await ship(stand(), here());
  s.prepare(withStrategy(LONG_CANARY));
  const canary = await trigger(stand(), here());
  await eventually(traffic).toHaveProperty(live.targetDeploymentId ?? "", 90);
  await api().post(`/cancel/${canary}`, {});
  await reached(stand(), canary, "rolled_back");
  expect((await s.row(canary)).outcome).toBe("cancellation");
  expect(traffic()).toEqual({ [live.targetDeploymentId ?? ""]: 100 });
});
