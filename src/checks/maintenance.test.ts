import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import type { Actor, ActorEnv } from "../access/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { createApi } from "../foundation/http.ts";
import { randomIds } from "../foundation/ids.ts";
import { silentLog } from "../foundation/log.ts";
import { type CreateMaintenanceInput, createMaintenance } from "./create-maintenance.ts";
import { endMaintenance } from "./end-maintenance.ts";
import { listMaintenance } from "./list-maintenance.ts";
import type { MaintenanceDeps } from "./maintenance.ts";
import { maintenanceRoutes } from "./maintenance-routes.ts";
import type { CheckTables } from "./tables.ts";

const HOUR_MS = 3_600_000;
const BEGINNING = Date.parse("2026-11-24T12:00:00Z");

const as = (name: string, role: Actor["role"]): Actor =>
  ({ kind: "token", id: `tok_${name}`, name, role }) as Actor;
const [dan, viewer] = [as("dan", "deployer"), as("vic", "viewer")];

let fresh: FreshDatabase;
let db: Database<CheckTables>;
let deps: MaintenanceDeps;
let now: Date;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  const at = new Date(BEGINNING);
  await fresh.pool.query("insert into projects (id, name, created_at) values ('prj_shop', 'shop', $1)", [at]);
  for (const name of ["database", "web"]) {
    await fresh.pool.query(
      `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
         created_at, updated_at)
       values ($1, 'prj_shop', 'production', $1, 'http', 'api', 'x', '', '{}', 0, $2, $2)`,
      [name, at],
    );
    await fresh.pool.query(
      "insert into check_states (check_id, state, since, displayed) values ($1, 'up', $2, '{}')",
      [name, at],
    );
  }
});
afterAll(() => fresh[Symbol.asyncDispose]());

beforeEach(async () => {
  now = new Date(BEGINNING);
  deps = {
    db,
    clock: { ...systemClock, now: () => now },
    ids: randomIds,
    projectIdOf: async (name) => {
      if (name === "shop") return "prj_shop";
      throw new AppError("not_found", `There is no project "${name}".`);
    },
  };
  await fresh.pool.query("delete from maintenance_windows");
  await fresh.pool.query("update check_states set judge_at = null");
});

const atHour = (hours: number) => new Date(BEGINNING + hours * HOUR_MS);
const create = (input: Partial<CreateMaintenanceInput> = {}, actor = dan, project = "shop") =>
  createMaintenance(deps, actor, project, {
    environment: "production",
    from: atHour(1),
    to: atHour(3),
    reason: "A larger disk",
    ...input,
  });
const audited = async (id: string) => {
  const rows = await db
    .selectFrom("audit_log")
    .select(["action", "actor_name"])
    .where("subject_id", "=", id)
    .execute();
  return rows.map((row) => `${row.action} by ${row.actor_name}`);
};
const toJudge = async () => {
  const rows = await db.selectFrom("check_states").select("check_id").where("judge_at", "<=", now).execute();
  return rows.map(({ check_id }) => check_id).sort();
};

describe("a window of maintenance", () => {
  test("is planned, listed, and gone when it is over", async () => {
    const window = await create({ checks: ["web", "web"] });
    expect(window).toMatchObject({
      checks: ["web"],
      from: atHour(1),
      to: atHour(3),
      actorName: "dan",
      endedAt: null,
    });
    expect(await listMaintenance(deps, viewer, "shop")).toEqual([window]);
    expect(await audited(window.id)).toEqual(["maintenance.create by dan"]);
    expect(await toJudge()).toEqual(["web"]);
    now = atHour(3);
    expect(await listMaintenance(deps, viewer, "shop")).toEqual([]);
    expect(await listMaintenance(deps, viewer, "shop", { past: true })).toEqual([window]);
  });

  test("about no check in particular is about all, those of later too, and begins now", async () => {
    expect(await create({ from: undefined })).toMatchObject({ checks: null, from: now });
    expect(await toJudge()).toEqual(["database", "web"]);
    expect(await create({ environment: "staging", from: new Date(BEGINNING - 60_000) })).toMatchObject({
      from: now,
    });
  });

  test("ends before its time, or is called off, once", async () => {
    const { id } = await create();
    now = atHour(2);
    await fresh.pool.query("update check_states set judge_at = null");
    const ended = await endMaintenance(deps, dan, "shop", id);
    expect(ended.endedAt).toEqual(now);
    expect(await toJudge()).toEqual(["database", "web"]);
    now = atHour(2.5);
    expect(await endMaintenance(deps, dan, "shop", id)).toEqual(ended);
    expect(await audited(id)).toEqual(["maintenance.create by dan", "maintenance.end by dan"]);
    expect(await listMaintenance(deps, viewer, "shop")).toEqual([]);
  });

  test("that is over stays as it is", async () => {
    const window = await create();
    now = atHour(4);
    expect(await endMaintenance(deps, dan, "shop", window.id)).toEqual(window);
    expect(await audited(window.id)).toHaveLength(1);
  });

  test("does not put off what is overdue to be judged", async () => {
    await fresh.pool.query("update check_states set judge_at = $1", [atHour(-5)]);
    await create();
    const rows = await db.selectFrom("check_states").select("judge_at").execute();
    expect(rows.map(({ judge_at }) => judge_at)).toEqual([atHour(-5), atHour(-5)]);
  });

  test.each([
    ["an end before its beginning", { from: atHour(3), to: atHour(1) }, /before it begins/],
    ["an end at its beginning", { to: atHour(1) }, /before it begins/],
    ["an end in the past", { from: undefined, to: atHour(-1) }, /before it begins|past/],
    ["a beginning in the past", { from: atHour(-1) }, /past/],
    ["more than 31 days", { to: atHour(1 + 31 * 24 + 0.01) }, /31 days/],
    ["no reason", { reason: "  " }, /reason/],
    ["no checks", { checks: [] }, /no check at all/],
    ["unknown checks", { checks: ["web", "wbe"] }, /"wbe" in production/],
    [
      "checks of another environment",
      { checks: ["web"], environment: "staging" as const },
      /"web" in staging/,
    ],
  ])("with %s is refused", async (_name, input, message) => {
    await expect(create(input)).rejects.toMatchObject({
      code: "bad_request",
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
    expect(await listMaintenance(deps, viewer, "shop")).toEqual([]);
  });

  test("of 31 days is allowed; of an unknown project there is none", async () => {
    await create({ to: atHour(1 + 31 * 24) });
    await expect(create({}, dan, "shp")).rejects.toMatchObject({ code: "not_found" });
    await expect(endMaintenance(deps, dan, "shop", "mnt_none")).rejects.toMatchObject({ code: "not_found" });
  });
});

test("a viewer plans and ends nothing", async () => {
  const { id } = await create();
  await expect(create({}, viewer)).rejects.toMatchObject({ code: "forbidden" });
  await expect(endMaintenance(deps, viewer, "shop", id)).rejects.toMatchObject({ code: "forbidden" });
  expect(await listMaintenance(deps, viewer, "shop")).toHaveLength(1);
  expect(await audited(id)).toEqual(["maintenance.create by dan"]);
});

test("over HTTP", async () => {
  const api = (actor: Actor) => {
    const root = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
    root.use(async (c, next) => {
      c.set("actor", actor);
      await next();
    });
    root.route("/", maintenanceRoutes(deps));
    return async (method: string, path: string, body?: object) => {
      const headers = { "content-type": "application/json" };
      const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
      const answer = await root.request(`/projects/shop/maintenance-windows${path}`, init);
      return [answer.status, await answer.json()] as [number, { id: string; windows: unknown[] }];
    };
  };
  const input = {
    environment: "production",
    from: "2026-11-24T14:00:00+01:00",
    to: atHour(3),
    reason: "disk",
  };
  const [made, window] = await api(dan)("POST", "", input);
  expect([made, window]).toMatchObject([
    201,
    { from: "2026-11-24T13:00:00.000Z", checks: null, createdBy: "dan" },
  ]);
  expect(await api(viewer)("GET", "")).toEqual([200, { windows: [window] }]);
  expect(await api(dan)("POST", `/${window.id}/end`)).toMatchObject([200, { endedAt: now.toISOString() }]);
  expect((await api(viewer)("GET", "?past=true"))[1].windows).toHaveLength(1);
  expect((await api(viewer)("POST", "", input))[0]).toBe(403);
  expect((await api(dan)("POST", "", { ...input, to: "tomorrow" }))[0]).toBe(400);
  expect((await api(dan)("POST", "", { ...input, check: ["web"] }))[0]).toBe(400);
});
