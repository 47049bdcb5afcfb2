import { afterAll, beforeAll, expect, test } from "vitest";
import {
  engineStand,
  makeProject,
  reached,
  type Stand,
  ship,
  trigger,
} from "../../test/scenarios/engine-stand.ts";

let stand: Stand;
beforeAll(async () => {
  stand = await engineStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

const metrics = (query: string) => stand.http(stand.as.viewer).get(`/metrics?${query}`);

test("the measures of real rows: three live, one of them taken back by hand, one failed build", async () => {
  await makeProject(stand.pool, "measured");
  await makeProject(stand.pool, "other");
  await ship(stand, { project: "measured" });
  const second = await ship(stand, { project: "measured" });
  const third = await ship(stand, { project: "measured" });
  const request = { environment: "production", project: "measured" };
  expect((await stand.http(stand.as.deployer).post("/rollback", request)).status).toBe(200);
  stand.target.behaviour.build = "error";
  await expect(reached(stand, await trigger(stand, { project: "measured" }), "live")).rejects.toThrow(
    "failed",
  );
  stand.target.behaviour.build = "ready";
  await ship(stand, { project: "other" });
  await ship(stand, { project: "measured", environment: "staging" });

  const { status, body } = await metrics("project=measured");
  expect(status).toBe(200);
  expect(body).toMatchObject({
    project: "measured",
    environment: "production",
    deploymentFrequency: { count: 3, activeDays: 1 },
    changeFailRate: { changes: 3, failed: 1, rate: 1 / 3 },
    recoveryTime: { count: 1, open: 0 },
    outcomes: { success: 2, failure: 2, error: 0, timeout: 0, cancellation: 0, skip: 0, unfinished: 0 },
  });
  expect(body.leadTime.total.count).toBe(3);
  // The slowest of the three, to the millisecond of its own events.
  const slowest = Math.max(...[second, third].map(leadMs));
  expect(body.leadTime.total.p90Ms).toBeGreaterThanOrEqual(slowest);
  expect(body.recoveryTime.p50Ms).toBe(await rollbackMs(third.id));

  expect((await metrics("")).body).toMatchObject({ project: null, deploymentFrequency: { count: 4 } });
  expect((await metrics("project=measured&environment=staging")).body.deploymentFrequency.count).toBe(1);
  const past = await metrics("project=measured&from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z");
  expect(past.body).toMatchObject({ deploymentFrequency: { count: 0 }, changeFailRate: { rate: null } });
});

function leadMs({ createdAt, phases }: Awaited<ReturnType<typeof ship>>): number {
  return Date.parse(phases.find(({ state }) => state === "live")?.at ?? "") - Date.parse(createdAt);
}

async function rollbackMs(id: string): Promise<number> {
  const { phases } = (await stand.http(stand.as.viewer).get(`/status/${id}`)).body.deployment;
  return phases.find((phase: { state: string }) => phase.state === "rolling_back").durationMs;
}

test("a time that ends before it begins, and an unknown project, are refused with a sentence", async () => {
  const backwards = await metrics("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z");
  expect(backwards.status).toBe(400);
  expect(backwards.body.error.message).toContain("is not before");
  expect((await metrics("from=yesterday")).status).toBe(400);
  expect((await metrics("project=nobody")).status).toBe(404);
});
