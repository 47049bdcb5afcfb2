import { expect, test } from "vitest";
import { PLAN, reached, SERVICE, ship, trigger, withStrategy } from "../../test/scenarios/engine-stand.ts";
import { useProjects } from "../../test/scenarios/project-stand.ts";
import { ANALYSIS } from "../../test/scenarios/stories.ts";
import { aDeployment, at, T0 } from "../../test/support/deployment-row.ts";
import { notify } from "../foundation/notify.ts";
import type { Unwell } from "./ports.ts";
import { reasonToGoBack } from "./watch-verdicts.ts";

const s = useProjects("v");
const { stand, here, view, stateOf, traffic, audited, eventually } = s;

const WATCHED = { ...PLAN, watchMs: 600_000 };
/** The prober's word, and the sign that it gave it. */
const say = async (unwell: readonly Unwell[]) => {
  stand().world.unwell = unwell;
  await notify(stand().db, "check_state_changed", "chk_1");
};
const web = (since: Date): Unwell => ({ name: "web", of: "service", since, message: "status 500" });

test("a built release waits while a data store is down, says so, and goes on when it is up", async () => {
  await say([{ name: "database", of: "dependency", since: new Date(), message: "refused" }]);
  const id = await trigger(stand(), here());
  await reached(stand(), id, "awaiting_approval");
  expect((await view(id)).reason).toMatch(/Waits for database to be up again: down since .* \(refused\)/);
  expect(traffic()).toEqual({});
  await say([]);
  await reached(stand(), id, "live");
});

test("a canary is taken back when a check goes down while it takes traffic, not for an older fault", async () => {
  const first = await ship(stand(), here());
  stand().world.preparation = withStrategy({
    kind: "canary",
    steps: [{ weight: 10, bakeMs: 600_000 }],
    analysis: { ...ANALYSIS, minRequests: 0 },
  });
  const before = web(new Date());
  await say([before]);
  const id = await trigger(stand(), here());
  await eventually(() => traffic()).toMatchObject({ [first.targetDeploymentId ?? ""]: 90 });
  expect(await stateOf(id)).toBe("shifting");
  await say([before, { ...web(new Date()), name: "checkout" }]);
  await reached(stand(), id, "rolled_back");
  expect((await view(id)).reason).toContain("the check checkout went down while it took traffic: status 500");
  expect(traffic()).toEqual({ [first.targetDeploymentId ?? ""]: 100 });
});

test("a live one is taken back within its watch, once, however many control planes look", async () => {
  const other = await stand().startAnother();
  const first = await ship(stand(), here());
  s.prepare({ plan: WATCHED, services: [{ ...SERVICE, inputs: "second" }] });
  const second = await ship(stand(), here());
  s.prepare({ plan: WATCHED, services: [{ ...SERVICE, inputs: "third" }] });
  const third = await ship(stand(), here());
  await say([web(new Date())]);
  await eventually(() => stateOf(third.id)).toBe("rolled_back");
  await eventually(() => stateOf(second.id)).toBe("live");
  await say([web(new Date())]);
  expect(await stateOf(second.id)).toBe("live");
  // By hand it goes further back; by itself it never does.
  expect((await s.rollback()).body).toMatchObject({ deploymentId: first.id, rolledBack: [second.id] });
  const health = { actor_name: "health", action: "deployment.rollback" };
  expect(await audited("deployment.rollback", second.id)).toEqual([health]);
  expect(await audited("deployment.rollback", first.id)).not.toContainEqual(health);
  await other.close();
});

test.each([
  ["within its watch", {}, at(1_000), true],
  ["while it took traffic, and confirmed only later", {}, at(-500), true],
  ["before it took traffic", {}, at(-2_000), false],
  ["after its watch", {}, at(60_000), false],
  ["of one that a rollback put back", { rollbackOf: "dep_9" }, at(1_000), false],
  ["of one that is not watched", { plan: { ...PLAN, watchMs: 0 } }, at(1_000), false],
  ["of one that does not serve", { state: "superseded" as const }, at(1_000), false],
])("a check that went down %s", (_name, change, since, goesBack) => {
  const facts = { shifting: { atMs: at(-1_000).getTime(), leaseToken: 1 } };
  const live = aDeployment("live", { liveAt: T0, plan: { ...PLAN, watchMs: 60_000 }, facts, ...change });
  expect(reasonToGoBack(live, [web(since)]) !== null).toBe(goesBack);
  const store = { ...web(since), of: "dependency" as const };
  expect(reasonToGoBack(live, [store])).toBeNull();
});
