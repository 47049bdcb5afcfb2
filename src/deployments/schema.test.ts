import { expect, test } from "vitest";
import { PLAN, reached, ship, trigger } from "../../test/scenarios/engine-stand.ts";
import { useProjects } from "../../test/scenarios/project-stand.ts";

const s = useProjects("m");
const { stand, here, stateOf, eventually } = s;

const schema = (change: Partial<NonNullable<typeof PLAN.schema>> = {}) =>
  s.prepare({
    plan: {
      ...PLAN,
      schema: { expand: ["1.sql"], contract: ["2.sql"], timeoutMs: 5_000, hold: null, ...change },
    },
  });
const hold = { maxMs: 5_000, maxRequests: 10 };
const place = () => `${s.name()}/production`;

/** As if its window were over. */
async function windowOver(id: string): Promise<void> {
  await stand().pool.query("update deployments set contract_at = $2, wake_at = null where id = $1", [
    id,
    new Date(0),
  ]);
  stand().engine.deps.wake(id);
}

test("the schema is expanded before traffic, with requests held for just that", async () => {
  schema({ hold });
  const before = stand().target.effects.length;
  const done = await ship(stand(), here());
  expect(stand().world.migrated).toContain(`expand ${done.id}`);
  const effects = stand().target.effects.slice(before);
  expect(effects).toEqual([
    `build ${done.id}:1:build:app`,
    `hold ${place()}`,
    `unhold ${place()}`,
    `shift ${done.targetDeploymentId} 100`,
  ]);
  expect(done.phases.map((phase) => phase.state)).toContain("migrating");
  expect(stand().world.migrated).not.toContain(`contract ${done.id}`);
});

test("one that cannot be expanded fails with the reason, gets no traffic and lets all go", async () => {
  const good = await ship(stand(), here());
  schema({ hold });
  stand().world.failing = "expand";
  const id = await trigger(stand(), here());
  const failed = await reached(stand(), id, "failed");
  expect([failed.reason, failed.hint, failed.outcome]).toEqual(["expand failed.", "Mend it.", "failure"]);
  await eventually(async () => (await s.row(id)).cleanup).toBeNull();
  expect([...stand().target.held]).not.toContain(place());
  expect(stand().target.retired()).toContain(failed.targetDeploymentId);
  expect(s.traffic()).toEqual({ [good.targetDeploymentId ?? ""]: 100 });
});

test("the contract runs when the window is over, once, and not before", async () => {
  schema();
  const done = await ship(stand(), here());
  expect(done.contractAt).not.toBeNull();
  stand().engine.deps.wake(done.id);
  expect(stand().world.migrated).not.toContain(`contract ${done.id}`);
  await windowOver(done.id);
  // Woken at each look: whoever looked before the window was over may only now write down when to come again.
  await eventually(async () => {
    stand().engine.deps.wake(done.id);
    return (await s.row(done.id)).contractAt;
  }).toBeNull();
  expect(stand().world.migrated.filter((each) => each === `contract ${done.id}`)).toHaveLength(1);
  expect(await s.row(done.id)).toMatchObject({ state: "live", leaseOwner: null });
});

test("a contract that cannot run leaves the release live, and says so", async () => {
  schema({ expand: [] });
  const done = await ship(stand(), here());
  stand().world.failing = "contract";
  await windowOver(done.id);
  await eventually(async () => {
    stand().engine.deps.wake(done.id);
    return (await s.view(done.id)).problem;
  }).toMatch(/contract failed/);
  expect(await stateOf(done.id)).toBe("live");
});

test("what is superseded or rolled back before its window is over never contracts", async () => {
  schema();
  const [a, b] = [await ship(stand(), here()), await ship(stand(), here())];
  expect((await s.row(a.id)).contractAt).toBeNull();
  await s.rollback();
  await eventually(() => stateOf(b.id)).toBe("rolled_back");
  expect((await s.row(b.id)).contractAt).toBeNull();
  expect(
    stand().world.migrated.filter(
      (each) => each.startsWith("contract") && [a.id, b.id].some((id) => each.endsWith(id)),
    ),
  ).toEqual([]);
});
