import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import type { Actor, ActorEnv } from "../access/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { createApi } from "../foundation/http.ts";
import { randomIds } from "../foundation/ids.ts";
import { silentLog } from "../foundation/log.ts";
import { createSecretBox } from "../foundation/secret-box.ts";
import { getProject, type ProjectTables } from "../projects/index.ts";
import { networksOf, readNetworks, readSecrets, type SettingsTables, settingsRoutes } from "./index.ts";

const box = createSecretBox(new Uint8Array(32).fill(7));
let fresh: FreshDatabase;
let db: Database<SettingsTables & ProjectTables>;
let changes = 0;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  for (const name of ["shop", "blog"])
    await fresh.pool.query("insert into projects (id, name, created_at) values ($1, $2, $3)", [
      `prj_${name}`,
      name,
      systemClock.now(),
    ]);
});
afterAll(() => fresh[Symbol.asyncDispose]());

async function request(as: Actor["role"], method: string, path: string, body?: unknown) {
  const api = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  api.use("/api/*", async (c, next) => {
    c.set("actor", { kind: "token", id: `tok_${as}`, name: as, role: as });
    await next();
  });
  const projectIdOf = async (name: string) => (await getProject(db, name)).id;
  const changed = async () => void changes++;
  const deps = { db, box, clock: systemClock, projectIdOf, changed, allowNetworks: ["192.168.7.0/24"] };
  api.route("/api", settingsRoutes(deps));
  const response = await api.request(`/api/projects/${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

async function audited(action: string) {
  const { rows } = await fresh.pool.query("select * from audit_log where action = $1 order by id", [action]);
  return rows;
}

describe("a secret", () => {
  test("is set, used, listed by name and taken away; its value is in no answer, row or audit entry", async () => {
    const value = "p4ss-of-the-database";
    const put = (body: object) => request("deployer", "PUT", "shop/secrets/DB_PASSWORD", body);
    expect(await put({ value: "first" })).toMatchObject({ status: 201, body: { created: true } });
    expect(await put({ value })).toMatchObject({ status: 200, body: { created: false } });
    expect(changes).toBe(2);
    const listed = await request("deployer", "GET", "shop/secrets");
    expect(listed.body.secrets).toMatchObject([{ name: "DB_PASSWORD", environment: null, by: "deployer" }]);
    const find = await readSecrets({ db, box }, ["prj_shop"]);
    expect(find({ projectId: "prj_shop", environment: "staging" }, "DB_PASSWORD")).toBe(value);
    const { rows } = await fresh.pool.query("select sealed::text, a.* from project_secrets, audit_log a");
    expect(JSON.stringify([rows, listed])).not.toContain(value);
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(value).toString("hex"));
    expect((await request("deployer", "DELETE", "shop/secrets/DB_PASSWORD")).status).toBe(204);
    expect((await request("deployer", "DELETE", "shop/secrets/DB_PASSWORD")).status).toBe(404);
    expect((await audited("secret.set")).at(-1)).toMatchObject({
      actor_name: "deployer",
      subject_id: "prj_shop",
      details: { name: "DB_PASSWORD", environment: null },
    });
    expect(await audited("secret.delete")).toHaveLength(1);
  });

  test("of an environment goes before the project's, and another project has neither", async () => {
    await request("owner", "PUT", "shop/secrets/KEY", { value: "for all" });
    await request("owner", "PUT", "shop/secrets/KEY", { value: "of production", environment: "production" });
    const find = await readSecrets({ db, box }, ["prj_shop", "prj_blog"]);
    const of = (environment: string, projectId = "prj_shop") => find({ projectId, environment }, "KEY");
    expect([of("production"), of("staging"), of("production", "prj_blog")]).toEqual([
      "of production",
      "for all",
      null,
    ]);
    expect((await request("owner", "DELETE", "shop/secrets/KEY?environment=production")).status).toBe(204);
    expect((await request("owner", "DELETE", "shop/secrets/KEY?environment=staging")).status).toBe(404);
    expect((await request("deployer", "GET", "shop/secrets")).body.secrets).toHaveLength(1);
  });

  test("that was moved to another row does not open", async () => {
    await request("owner", "PUT", "shop/secrets/MOVED", { value: "x" });
    await fresh.pool.query("update project_secrets set project_id = 'prj_blog' where name = 'MOVED'");
    const find = await readSecrets({ db, box }, ["prj_blog"]);
    expect(() => find({ projectId: "prj_blog", environment: "staging" }, "MOVED")).toThrow(/does not open/);
    await fresh.pool.query("delete from project_secrets where name = 'MOVED'");
  });

  test.each([
    ["a viewer who sets", "viewer", "PUT", "shop/secrets/A", { value: "x" }, 403],
    ["a viewer who lists", "viewer", "GET", "shop/secrets", undefined, 403],
    ["a viewer who deletes", "viewer", "DELETE", "shop/secrets/KEY", undefined, 403],
    ["a name with a dash", "owner", "PUT", "shop/secrets/A-B", { value: "x" }, 400],
    ["no value", "owner", "PUT", "shop/secrets/A", {}, 400],
    ["an empty value", "owner", "PUT", "shop/secrets/A", { value: "" }, 400],
    ["a value of 64 KiB and more", "owner", "PUT", "shop/secrets/A", { value: "x".repeat(65_537) }, 400],
    ["an unknown environment", "owner", "PUT", "shop/secrets/A", { value: "x", environment: "prod" }, 400],
    ["an unknown project", "owner", "PUT", "nobody/secrets/A", { value: "x" }, 404],
  ] as const)("%s is refused", async (_name, as, method, path, body, status) => {
    expect((await request(as, method, path, body)).status).toBe(status);
  });
});

describe("an allowed network", () => {
  test("is an owner's word, with its reason on record, in one spelling, and taken back", async () => {
    const allow = (cidr: string) =>
      request("owner", "POST", "shop/networks", { cidr, reason: "the database" });
    const allowed = networksOf(db, ["192.168.7.0/24"]);
    expect(await allowed("prj_shop")).toEqual(["192.168.7.0/24"]);
    expect(await allow("10.20.30.40/16")).toMatchObject({ status: 201, body: { cidr: "10.20.0.0/16" } });
    expect((await allow("fd00:AB::/32")).body.cidr).toBe("fd00:ab::/32");
    expect((await readNetworks(db, ["prj_shop", "prj_blog"])).get("prj_shop")).toEqual([
      "10.20.0.0/16",
      "fd00:ab::/32",
    ]);
    expect(await allowed("prj_shop")).toEqual(["192.168.7.0/24", "10.20.0.0/16", "fd00:ab::/32"]);
    expect(await allowed("prj_blog")).toEqual(["192.168.7.0/24"]);
    expect((await request("viewer", "GET", "shop/networks")).body.networks).toMatchObject([
      { cidr: "192.168.7.0/24", by: null },
      { cidr: "10.20.0.0/16", by: "owner", reason: "the database" },
      { cidr: "fd00:ab::/32" },
    ]);
    const path = `shop/networks?cidr=${encodeURIComponent("10.20.0.0/16")}`;
    expect((await request("deployer", "DELETE", path)).status).toBe(403);
    expect((await request("owner", "DELETE", path)).status).toBe(204);
    expect(await allowed("prj_shop")).toEqual(["192.168.7.0/24", "fd00:ab::/32"]);
    expect((await request("owner", "DELETE", path)).status).toBe(404);
    expect((await audited("network.allow"))[0]).toMatchObject({
      actor_name: "owner",
      details: { cidr: "10.20.0.0/16", reason: "the database" },
    });
    expect(await audited("network.deny")).toHaveLength(1);
  });

  test.each([
    ["a deployer", "deployer", { cidr: "10.0.0.0/8", reason: "x" }, 403],
    ["no network", "owner", { cidr: "10.0.0.0", reason: "x" }, 400],
    ["a host name", "owner", { cidr: "db.internal/32", reason: "x" }, 400],
    ["every address", "owner", { cidr: "0.0.0.0/0", reason: "x" }, 400],
    ["every IPv6 address", "owner", { cidr: "::/0", reason: "x" }, 400],
    ["no reason", "owner", { cidr: "10.0.0.0/8", reason: " " }, 400],
  ] as const)("is refused of %s", async (_name, as, body, status) => {
    expect((await request(as, "POST", "shop/networks", body)).status).toBe(status);
  });
});
