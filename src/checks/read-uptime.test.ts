import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { lastDays } from "./days.ts";
import { bucketOf } from "./histogram.ts";
import { readDays, readUptime, sumOfDays } from "./read-uptime.ts";
import { rollUp } from "./roll-up.ts";
import type { CheckTables } from "./tables.ts";
import { NOTHING } from "./uptime.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const START = Date.parse("2026-10-20T00:00:00Z");
/** 25 October has 25 hours in Berlin. */
const NOW = Date.parse("2026-10-28T09:30:00Z");
const ZONE = "Europe/Berlin";

let fresh: FreshDatabase;
let db: Database<CheckTables>;

/** Down for a quarter of an hour a day at noon UTC; maintenance from 12:10 to 12:20 on the 26th. */
beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  await query("insert into projects (id, name, created_at) values ('prj_1', 'shop', $1)", new Date(START));
  for (const id of ["chk_1", "chk_2"]) {
    await query(
      `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
         created_at, updated_at)
       values ($1, 'prj_1', 'production', $1, 'http', 'api', 'x', '', '{}', 0, $2, $2)`,
      id,
      new Date(START),
    );
  }
  const spans: [number, string][] = [[START, "up"]];
  for (let noon = START + DAY_MS / 2; noon < NOW; noon += DAY_MS) {
    spans.push([noon, "down"], [noon + 15 * MINUTE_MS, "up"]);
  }
  for (const [at, [from, state]] of spans.entries()) {
    const to = spans[at + 1]?.[0];
    await query(
      "insert into check_spans (check_id, from_at, to_at, state) values ('chk_1', $1, $2, $3)",
      new Date(from),
      to === undefined ? null : new Date(to),
      state,
    );
  }
  await query(
    `insert into maintenance_windows
       (id, project_id, environment, checks, from_at, to_at, reason, actor_name, created_at)
     values ('mnt_1', 'prj_1', 'production', '["chk_1"]', '2026-10-26T12:10Z', '2026-10-26T12:20Z', 'x', 'ann', $1)`,
    new Date(START),
  );
  await query(
    `insert into check_locations (check_id, location, fold, last_at, last_status)
     values ('chk_1', 'local', '{}', $1, 'up')`,
    new Date(NOW),
  );
  // One look a minute: 10 ms, and on the last day 100 ms.
  await query(
    `insert into check_samples (check_id, location, scheduled_at, started_at, late_ms, status, latency_bucket)
     select 'chk_1', 'local', at, at, 0, 'up', case when at < $3 then $4 else $5 end::smallint
     from generate_series($1::timestamptz, $2, '1 minute') at`,
    new Date(START),
    new Date(NOW),
    new Date(NOW - DAY_MS),
    bucketOf(10),
    bucketOf(100),
  );
  while ((await rollUp({ db, clock: systemClock, zoneOf: () => ZONE }, null, new Date(NOW))).more);
});
afterAll(() => fresh[Symbol.asyncDispose]());

const query = (text: string, ...values: unknown[]) => fresh.pool.query(text, values);

test("uptime of any window is exact, with and without what was planned", async () => {
  const window = {
    from: Date.parse("2026-10-26T12:00:00.250Z"),
    to: Date.parse("2026-10-26T13:00:00Z"),
    now: NOW,
  };
  const [with1, none] = await readUptime(db, ["chk_1", "chk_2"], window);
  expect(with1).toMatchObject({
    upMs: 40 * MINUTE_MS,
    downMs: 10 * MINUTE_MS - 250,
    maintenanceMs: 10 * MINUTE_MS,
    unknownMs: 0,
    ratio: 2_400_000 / 2_999_750,
  });
  expect(none).toMatchObject({ unknownMs: HOUR_MS - 250, ratio: null, latency: { p50Ms: null, looks: 0 } });
  const [all] = await readUptime(db, ["chk_1"], { ...window, excludeMaintenance: false });
  expect(all).toMatchObject({ upMs: 45 * MINUTE_MS, downMs: 15 * MINUTE_MS - 250, maintenanceMs: 0 });
  const [future] = await readUptime(db, ["chk_1"], { from: NOW - HOUR_MS, to: NOW + DAY_MS, now: NOW });
  expect(future).toMatchObject({ upMs: HOUR_MS, unknownMs: 0, ratio: 1 });
});

test("latencies come from minutes for a day, from hours and the open hour for more", async () => {
  const [day] = await readUptime(db, ["chk_1"], { from: NOW - HOUR_MS, to: NOW, now: NOW });
  expect(day?.latency.looks).toBe(58);
  expect((day?.latency.p50Ms ?? 0) / 100).toBeCloseTo(1, 1);
  const [week] = await readUptime(db, ["chk_1"], { from: START, to: NOW, now: NOW });
  expect(week?.latency.looks).toBe((NOW - START) / MINUTE_MS - 2);
  expect((week?.latency.p50Ms ?? 0) / 10).toBeCloseTo(1, 1);
  expect((week?.latency.p95Ms ?? 0) / 100).toBeCloseTo(1, 1);
});

test("a bar a day of the zone: frozen ones and the open one, each as long as its day", async () => {
  const bars = (await readDays(db, ["chk_1"], { zone: ZONE, now: NOW, days: 10 })).get("chk_1") ?? [];
  expect(bars.map(({ day }) => day)).toEqual(lastDays(ZONE, NOW, 10).map(({ day }) => day));
  expect(bars.map(({ day: _, from, to, ratio, ...of }) => Object.values(of).reduce((a, b) => a + b))).toEqual(
    [24, 24, 24, 24, 24, 24, 25, 24, 24, 10.5].map((hours) => hours * HOUR_MS),
  );
  expect(bars[6]).toMatchObject({ ...NOTHING, upMs: 24.75 * HOUR_MS, downMs: HOUR_MS / 4 });
  expect(bars[7]).toMatchObject({ downMs: 10 * MINUTE_MS, maintenanceMs: 10 * MINUTE_MS });
  expect(bars[9]).toMatchObject({ upMs: 10.5 * HOUR_MS, ratio: 1 });
  const [whole] = await readUptime(db, ["chk_1"], { from: bars[0]?.from ?? 0, to: NOW, now: NOW });
  expect(whole).toMatchObject(sumOfDays(bars));
});

test("frozen days do not change with the spans; another zone, or another policy, is counted anew", async () => {
  await query("update check_spans set state = 'degraded' where state = 'down'");
  const days = async (options: object) =>
    (await readDays(db, ["chk_1"], { zone: ZONE, now: NOW, days: 3, ...options })).get("chk_1") ?? [];
  expect((await days({}))[0]?.downMs).toBe(10 * MINUTE_MS);
  expect((await days({ excludeMaintenance: false }))[0]).toMatchObject({
    downMs: 0,
    degradedMs: 15 * MINUTE_MS,
  });
  expect((await days({ zone: "America/New_York" }))[0]).toMatchObject({
    downMs: 0,
    degradedMs: 10 * MINUTE_MS,
  });
  await query("update check_spans set state = 'down' where state = 'degraded'");
});

test("what should have been judged again, and was not, is unknown since", async () => {
  await query(
    "insert into check_states (check_id, state, since, displayed, judge_at) values ('chk_1', 'up', $1, '{}', $2)",
    new Date(START),
    new Date(NOW - 10 * MINUTE_MS),
  );
  const window = { from: NOW - HOUR_MS, to: NOW, now: NOW };
  expect((await readUptime(db, ["chk_1"], window))[0]).toMatchObject({
    upMs: 50 * MINUTE_MS,
    unknownMs: 10 * MINUTE_MS,
  });
  await query("update check_states set judge_at = $1", new Date(NOW - 500));
  expect((await readUptime(db, ["chk_1"], window))[0]).toMatchObject({ upMs: HOUR_MS });
});
