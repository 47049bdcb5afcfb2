import { afterEach, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { DAY_MS } from "../foundation/zone.ts";
import { keepPartitions } from "./partitions.ts";
import { rollUp } from "./roll-up.ts";
import type { CheckTables } from "./tables.ts";

const NOW = Date.parse("2026-11-24T13:00:00Z");

let fresh: FreshDatabase;
let db: Database<CheckTables>;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  return () => fresh[Symbol.asyncDispose]();
});
// As it is after the migrations: a database of its own for each test takes longer than the tests.
afterEach(async () => {
  const { rows } = await fresh.pool.query(
    "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'check_samples'::regclass",
  );
  const days = rows.map(({ name }) => name).filter((name) => name !== "check_samples_default");
  if (days.length > 0) await fresh.pool.query(`drop table ${days.join(", ")}`);
  await fresh.pool.query("truncate check_samples, projects cascade");
});

const keep = (now: number) => keepPartitions({ db, clock: systemClock }, new Date(now));
const sample = (at: number, location = "local") =>
  fresh.pool.query(
    `insert into check_samples (check_id, location, scheduled_at, started_at, late_ms, status)
     values ('chk_1', $2, $1, $1, 0, 'up')`,
    [new Date(at), location],
  );
async function kept() {
  const { rows } = await fresh.pool.query(
    "select tableoid::regclass::text as in, scheduled_at as at from check_samples order by scheduled_at",
  );
  return rows.map(
    ({ in: table, at }) => `${table.replace("check_samples_", "")} ${at.toISOString().slice(5, 13)}`,
  );
}

test("samples have somewhere to go before the first call, from each of many at once, and after", async () => {
  await sample(NOW);
  const all = await Promise.all(Array.from({ length: 5 }, () => keep(NOW)));
  expect(all.flatMap(({ created }) => created)).toEqual([
    "check_samples_20261124",
    "check_samples_20261125",
    "check_samples_20261126",
  ]);
  for (const days of [0, 1, 2]) await sample(NOW + days * DAY_MS + 1);
  expect(await kept()).toEqual([
    "20261124 11-24T13",
    "20261124 11-24T13",
    "20261125 11-25T13",
    "20261126 11-26T13",
  ]);
  expect(await keep(NOW)).toEqual({ created: [], dropped: [], done: true });
  expect((await keep(NOW + DAY_MS)).created).toEqual(["check_samples_20261127"]);
});

test("late results are put into their days; what is too old, or of the future, is not kept", async () => {
  await keep(NOW);
  for (const days of [-30, -8, -7, -1, 5]) await sample(NOW + days * DAY_MS);
  expect((await keep(NOW)).created).toEqual(["check_samples_20261117", "check_samples_20261123"]);
  expect(await kept()).toEqual(["20261117 11-17T13", "20261123 11-23T13"]);
  await sample(NOW - 9 * DAY_MS);
  await keep(NOW);
  expect(await kept()).toHaveLength(2);
  const { dropped, created } = await keep(NOW + 2 * DAY_MS);
  expect(dropped).toEqual(["check_samples_20261117"]);
  expect(created).toEqual(["check_samples_20261127", "check_samples_20261128"]);
  // One that is sent twice is still one, wherever it was put.
  await expect(sample(NOW - DAY_MS)).rejects.toMatchObject({ code: "23505" });
});

test("inserts go on while partitions are changed; a table that is in use is left for the next time", async () => {
  await keep(NOW);
  const reader = await fresh.pool.connect();
  await reader.query("begin");
  await reader.query("select from check_samples");
  const busy = keep(NOW + DAY_MS);
  await expect(busy).resolves.toMatchObject({ done: false, created: [] });
  await sample(NOW + DAY_MS);
  await reader.query("commit");
  reader.release();
  const [{ created }] = await Promise.all([
    keep(NOW + DAY_MS),
    ...Array.from({ length: 50 }, (_, at) => sample(NOW + (at % 4) * DAY_MS, `at ${at}`)),
  ]);
  expect(created).toContain("check_samples_20261127");
  const { rows } = await fresh.pool.query("select count(*)::int as n from check_samples");
  expect(rows[0].n).toBe(51);
});

test("rollups are kept as long as they are for: minutes 48 h, hours 90 days", async () => {
  await fresh.pool.query("insert into projects (id, name, created_at) values ('prj_1', 'shop', $1)", [
    new Date(NOW),
  ]);
  await fresh.pool.query(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
       created_at, updated_at) values ('chk_1', 'prj_1', 'production', 'a', 'http', 'api', 'x', '', '{}', 0, $1, $1)`,
    [new Date(NOW)],
  );
  const oldest = async (table: string) => {
    const { rows } = await fresh.pool.query(`select min(at) as at from ${table}`);
    return (NOW - rows[0].at.getTime()) / DAY_MS;
  };
  const later = NOW + 4 * DAY_MS;
  while ((await rollUp({ db, clock: systemClock }, null, new Date(later))).more);
  await keep(later);
  expect(await oldest("check_minutes")).toBe(-2);
  expect(await oldest("check_hours")).toBe(0);
  await fresh.pool.query("update check_rollups set pruned_to = $1", [new Date(NOW)]);
  await keep(NOW + 92 * DAY_MS);
  expect(await oldest("check_hours")).toBe(-2);
  // Whose day may still change keeps its minutes.
  const { rows } = await fresh.pool.query("select min(at) as at from check_minutes");
  expect(rows[0].at).toEqual(new Date("2026-11-28T00:00:00Z"));
});
