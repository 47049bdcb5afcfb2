import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CheckStand, checkStand } from "../../test/support/check-stand.ts";
import { aService, HEALTH } from "../../test/support/deployment-row.ts";
import { AppError } from "../foundation/errors.ts";
import { silentLog } from "../foundation/log.ts";
import { createSecretBox } from "../foundation/secret-box.ts";
import { listChecks } from "./load-checks.ts";
import { completePolicy } from "./policy.ts";
import type { ChecksPlan } from "./seeds.ts";
import { startCheckSync } from "./start-sync.ts";

let stand: CheckStand;
let project: string;
let count = 0;
beforeAll(async () => {
  stand = await checkStand();
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(async () => {
  project = `shop${++count}`;
  await stand.makeProject(project);
});

const EMPTY: ChecksPlan = { configured: {}, uses: {}, env: {} };
const SERVICE = aService("app", { urls: ["http://shop.localhost:8080"] });
const redis = (url: unknown) => ({ type: "redis", settings: { url }, policy: completePolicy() }) as const;

async function goLive(
  id: string,
  plan: ChecksPlan | Error = EMPTY,
  slot = "production",
  services = [SERVICE],
) {
  stand.plans.set(`${project}_${id}`, plan);
  await stand.goLive(`${project}_${id}`, project, { slot, services });
  await stand.sync();
}

async function checks() {
  const loaded = await listChecks(stand.deps);
  return loaded.filter(({ projectId }) => projectId === `prj_${project}`);
}
const names = async () => (await checks()).map(({ name }) => name).sort();
const syncRow = async () =>
  (await stand.rows("select * from check_syncs where project_id = $1", [`prj_${project}`]))[0];
const audited = () =>
  stand.rows("select details from audit_log where action = 'check.sync' and subject_id = $1 order by id", [
    `prj_${project}`,
  ]);

describe("the checks of a place", () => {
  test("are made of the live deployment and its configuration, unguarded behind our gateway", async () => {
    await goLive("1", {
      ...EMPTY,
      uses: { redis: { url: "redis://cache:6379" }, database: {} },
      configured: { extra: redis({ variable: "CACHE" }) },
      env: { CACHE: "redis://other:1" },
    });
    expect(await names()).toEqual(["app", "extra", "redis"]);
    const all = Object.fromEntries((await checks()).map((check) => [check.name, check]));
    expect(all.app).toMatchObject({
      type: "http",
      source: "deployment",
      network: null,
      policy: { critical: true },
    });
    expect(all.extra).toMatchObject({ settings: { url: "redis://other:1" }, network: { allowNetworks: [] } });
    const [row] = await stand.rows("select subject from checks where name = 'app' and project_id = $1", [
      `prj_${project}`,
    ]);
    expect(row?.subject).toBe("http://shop.localhost:8080/");
    expect((await syncRow())?.gaps).toMatchObject([{ subject: "database" }]);
    expect(await audited()).toMatchObject([{ details: { made: ["app", "redis", "extra"], retired: [] } }]);
  });

  test("leave out nothing that an environment uses, where a deployed service has its name", async () => {
    const store = aService("redis", { urls: ["http://redis.localhost:8080"] });
    await goLive("1", { ...EMPTY, uses: { redis: { url: "redis://cache:6379" } } }, "production", [store]);
    expect(await names()).toEqual(["redis", "services.redis"]);
  });

  test("are not touched by a deployment that says the same, and are followed on", async () => {
    const plan = { ...EMPTY, uses: { redis: { url: "redis://cache:6379" } } };
    await goLive("1", plan);
    const read = () =>
      stand.rows("select id, name, settings, updated_at from checks where project_id = $1 order by id", [
        `prj_${project}`,
      ]);
    const before = await read();
    stand.clock.move(60_000);
    await goLive("2", plan);
    expect(await read()).toEqual(before);
    const followed = await stand.rows("select distinct deployment_id from checks where project_id = $1", [
      `prj_${project}`,
    ]);
    expect(followed).toEqual([{ deployment_id: `${project}_2` }]);
    expect(await audited()).toHaveLength(1);
  });

  test("change where they are asked otherwise, and end where they are no longer wanted; history stays", async () => {
    await goLive("1", { ...EMPTY, configured: { a: redis("redis://a"), b: redis("redis://b") } });
    const [before] = (await checks()).filter(({ name }) => name === "a");
    await goLive("2", { ...EMPTY, configured: { a: redis("redis://c"), app: null } });
    expect(await checks()).toMatchObject([{ id: before?.id, name: "a", settings: { url: "redis://c" } }]);
    const retired = await stand.rows(
      "select name from checks where retired_at is not null and project_id = $1 order by 1",
      [`prj_${project}`],
    );
    expect(retired).toEqual([{ name: "app" }, { name: "b" }]);
  });

  test("stay as they were where a configuration cannot be read, and the place says so until it can", async () => {
    await goLive("1", { ...EMPTY, configured: { a: redis("redis://a") } });
    await goLive("2", new AppError("not_found", "The tree was not sent."));
    expect(await names()).toEqual(["a", "app"]);
    expect(await syncRow()).toMatchObject({
      failure: "The tree was not sent.",
      deployment_id: `${project}_2`,
    });
    stand.plans.set(`${project}_2`, { ...EMPTY, configured: { b: redis("redis://b") } });
    await stand.sync();
    expect(await names()).toEqual(["a", "app"]);
    stand.clock.move(61_000);
    await stand.sync();
    expect(await names()).toEqual(["app", "b"]);
    expect(await syncRow()).toMatchObject({ failure: null, failed_at: null });
  });

  test("an error that is not ours to show does not bring a line of the file along", async () => {
    await goLive("1", new Error("redis://:hunter2@cache is odd"));
    expect(await names()).toEqual(["app"]);
    expect((await syncRow())?.failure).toBe("it could not be read");
  });

  test("leave the name to a check that was made by hand", async () => {
    const body = {
      project,
      environment: "production",
      name: "a",
      type: "redis",
      settings: { url: "redis://mine" },
    };
    expect((await stand.request("deployer", "POST", "/api/checks", body)).status).toBe(201);
    await goLive("1", { ...EMPTY, configured: { a: redis("redis://a") } });
    expect((await checks()).find(({ name }) => name === "a")).toMatchObject({
      settings: { url: "redis://mine" },
    });
    expect((await syncRow())?.gaps).toMatchObject([{ subject: "a" }]);
  });

  test("are sealed anew when they were sealed with another key", async () => {
    await goLive("1", { ...EMPTY, configured: { a: redis("redis://a") } });
    const other = createSecretBox(new Uint8Array(32).fill(9));
    const [check] = (await checks()).filter(({ name }) => name === "a");
    await stand.rows("update checks set settings = $1 where id = $2", [other.seal("{}", "x"), check?.id]);
    await goLive("2", { ...EMPTY, configured: { a: redis("redis://a") } });
    expect((await checks()).find(({ name }) => name === "a")).toMatchObject({ id: check?.id, problem: null });
  });

  test("of two control planes at the same time are made once", async () => {
    await stand.goLive(`${project}_1`, project, { services: [SERVICE] });
    await Promise.all([stand.sync(), stand.sync(), stand.sync()]);
    expect(await names()).toEqual(["app"]);
  });
});

test("a preview is checked while it lives, beside others, and what it uses is not", async () => {
  const plan = { ...EMPTY, uses: { redis: { url: "redis://cache" } } };
  for (const pr of ["pr-1", "pr-2"]) await goLive(pr, { ...plan, uses: {} }, `preview:${pr}`);
  expect(await names()).toEqual(["app@pr-1", "app@pr-2"]);
  await stand.rows("update deployments set state = 'superseded' where id = $1", [`${project}_pr-1`]);
  await stand.rows("update deployments set state = 'rolling_back' where id = $1", [`${project}_pr-2`]);
  const running = startCheckSync({ ...stand.deps, log: silentLog }, 20);
  await expect.poll(names).toEqual(["app@pr-2"]);
  await running.close();
});

test("a new release is followed by itself", async () => {
  const running = startCheckSync({ ...stand.deps, log: silentLog }, 20);
  await stand.goLive(`${project}_1`, project, {
    services: [
      aService("api", { urls: ["http://a.localhost"], health: { ...HEALTH, checks: [{ type: "tcp" }] } }),
    ],
  });
  await expect.poll(names).toEqual(["api"]);
  await running.close();
});
