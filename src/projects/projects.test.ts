import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { type AccessTables, type Actor, type ActorEnv, systemActor } from "../access/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { createApi } from "../foundation/http.ts";
import { randomIds } from "../foundation/ids.ts";
import { silentLog } from "../foundation/log.ts";
import {
  checkProjectName,
  createProject,
  type ProjectTables,
  projectRoutes,
  suggestProjectName,
} from "./index.ts";

const viewer: Actor = { kind: "token", id: "tok_v", name: "eve", role: "viewer" };
const deployer: Actor = { kind: "token", id: "tok_d", name: "dan", role: "deployer" };

type Answer = { project: { id: string }; projects: unknown[]; error: { hint: string } };

let fresh: FreshDatabase;
let db: Database<ProjectTables & AccessTables>;
beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
});
afterAll(() => fresh[Symbol.asyncDispose]());

const deps = () => ({ db, clock: systemClock, ids: randomIds });

function api(actor: Actor) {
  const root = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  root.use(async (c, next) => {
    c.set("actor", actor);
    await next();
  });
  root.route("/api", projectRoutes(deps()));
  const send = async (path: string, body?: unknown) => {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const response = await root.request(path, { ...init, headers: { "content-type": "application/json" } });
    const answer = (await response.json()) as Answer;
    return { status: response.status, body: answer };
  };
  return { send };
}

describe("making a project", () => {
  it("answers 201 for a new one and 200 with the same one afterwards", async () => {
    const first = await api(deployer).send("/api/projects", { name: "shop" });
    const again = await api(deployer).send("/api/projects", { name: "shop" });
    expect(first.status).toBe(201);
    expect(again).toEqual({ status: 200, body: first.body });
    const one = await api(viewer).send("/api/projects/shop");
    const all = await api(viewer).send("/api/projects");
    expect(one.body).toEqual(first.body);
    expect(all.body.projects).toContainEqual(first.body.project);
  });

  it("makes one project of ten requests at once, and one audit entry", async () => {
    const made = await Promise.all(
      Array.from({ length: 10 }, () => createProject(deps(), deployer, { name: "race" })),
    );
    expect(new Set(made.map(({ project }) => project.id)).size).toBe(1);
    expect(made.filter(({ created }) => created)).toHaveLength(1);
    const entries = await db
      .selectFrom("audit_log")
      .selectAll()
      .where("subject_id", "=", made[0]?.project.id ?? "")
      .execute();
    expect(entries.map(({ action, actor_name }) => [action, actor_name])).toEqual([
      ["project.create", "dan"],
    ]);
  });

  it("rejects a viewer", async () => {
    const answer = await api(viewer).send("/api/projects", { name: "forbidden" });
    expect(answer.status).toBe(403);
    await expect(createProject(deps(), viewer, { name: "x" })).rejects.toMatchObject({ code: "forbidden" });
  });

  it("answers an unknown name with the one that was meant", async () => {
    await createProject(deps(), systemActor("test"), { name: "warehouse" });
    const answer = await api(viewer).send("/api/projects/warehose");
    expect(answer.status).toBe(404);
    expect(answer.body.error.hint).toContain('"warehouse"');
  });
});

describe("a project's name", () => {
  it.each(["a", "shop", "my-shop-2", "x".repeat(52)])("may be %s", (name) => {
    expect(() => checkProjectName(name)).not.toThrow();
  });

  it.each([
    ["", "my-app"],
    ["My Shop!", "my-shop"],
    ["Café", "cafe"],
    ["-shop-", "shop"],
    ["shop_two", "shop-two"],
    ["x".repeat(53), "x".repeat(52)],
    ["shop-staging", "shop"],
    ["shop-git-main", "shop-main"],
    ["店", "my-app"],
    ["../etc", "etc"],
  ])("%j is refused, and %j suggested", (name, suggestion) => {
    expect(() => checkProjectName(name)).toThrow(expect.objectContaining({ code: "bad_request" }));
    expect(suggestProjectName(name)).toBe(suggestion);
    expect(() => checkProjectName(suggestion)).not.toThrow();
  });
});
