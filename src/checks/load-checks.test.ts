import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { createSecretBox } from "../foundation/secret-box.ts";
import type { SettingsTables } from "../settings/index.ts";
import { listChecks } from "./load-checks.ts";
import { type CheckSource, DEFAULT_POLICY } from "./model.ts";
import { sealSettings } from "./sealed-settings.ts";
import { shardOf } from "./shard.ts";
import type { CheckTables } from "./tables.ts";

const box = createSecretBox(new Uint8Array(32).fill(7));
let fresh: FreshDatabase;
let db: Database<CheckTables & SettingsTables>;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  const now = systemClock.now();
  await fresh.pool.query("insert into projects (id, name, created_at) values ('prj_1', 'shop', $1)", [now]);
  await add("chk_a", "deployment", { url: "http://shop.localhost:8080/" });
  await add("chk_b", "deployment", { url: "https://shop.example.com/" });
  await add("chk_f", "deployment", { host: "shop.localhost", port: 8080 });
  await add("chk_g", "config", { host: "shop.localhost", port: 8080 });
  await add("chk_c", "config", { url: { secret: "REDIS_URL" }, tls: [{ key: { secret: "TLS_KEY" } }] });
  await add("chk_d", "api", { url: "https://x.example" }, sealSettings(box, "chk_other", {}));
  await add("chk_e", "api", { url: "https://x.example" });
  await db.updateTable("checks").set({ retired_at: now }).where("id", "=", "chk_e").execute();
});
afterAll(() => fresh[Symbol.asyncDispose]());

async function add(
  id: string,
  source: CheckSource,
  settings: unknown,
  sealed = sealSettings(box, id, settings),
) {
  const at = systemClock.now();
  await db
    .insertInto("checks")
    .values({
      id,
      project_id: "prj_1",
      environment: "production",
      name: id,
      type: "http",
      source,
      subject: id,
      settings: sealed,
      policy: JSON.stringify(DEFAULT_POLICY),
      deployment_id: null,
      shard: shardOf(id),
      created_at: at,
      updated_at: at,
      retired_at: null,
    })
    .execute();
}

const load = (options?: Parameters<typeof listChecks>[1]) =>
  listChecks({ db, box, allowNetworks: ["10.9.0.0/16"] }, options);

async function one(id: string) {
  const [check] = await load({ ids: [id] });
  if (!check) throw new Error(`${id} is not loaded`);
  return check;
}

test("a release behind our own gateway is not guarded; every other address is", async () => {
  expect((await one("chk_a")).network).toBeNull();
  expect((await one("chk_f")).network).toBeNull();
  for (const id of ["chk_b", "chk_g"])
    expect((await one(id)).network).toEqual({ allowNetworks: ["10.9.0.0/16"] });
});

test("a check whose secrets are missing stays, with what to do; once they are set it has their values", async () => {
  expect((await one("chk_c")).problem).toEqual({
    class: "unsupported",
    message:
      "The secrets REDIS_URL, TLS_KEY are not set. " +
      "Set them: signalbox secret set REDIS_URL; signalbox secret set TLS_KEY.",
  });
  for (const [name, environment] of [
    ["REDIS_URL", "production"],
    ["TLS_KEY", null],
  ] as const) {
    const context = `secret:prj_1:${environment ?? ""}:${name}`;
    const sealed = box.seal(`value of ${name}`, context);
    await db
      .insertInto("project_secrets")
      .values({
        project_id: "prj_1",
        environment,
        name,
        sealed,
        updated_at: systemClock.now(),
        actor_name: "a",
      })
      .execute();
  }
  const check = await one("chk_c");
  expect(check.problem).toBeNull();
  expect(check.settings).toEqual({ url: "value of REDIS_URL", tls: [{ key: "value of TLS_KEY" }] });
});

test("a row that does not open is a problem of its own check alone", async () => {
  const checks = await load();
  expect(checks.map(({ id }) => id)).toEqual(["chk_a", "chk_b", "chk_c", "chk_d", "chk_f", "chk_g"]);
  expect(checks.filter(({ problem }) => problem !== null).map(({ id }) => id)).toEqual(["chk_d"]);
});

test("each check is in one shard", async () => {
  const { shard } = await one("chk_a");
  expect((await load({ shards: [shard] })).map(({ id }) => id)).toContain("chk_a");
  expect(await load({ shards: [(shard + 1) % 64] }).then((all) => all.map(({ id }) => id))).not.toContain(
    "chk_a",
  );
  expect(await load({ shards: [] })).toEqual([]);
});
