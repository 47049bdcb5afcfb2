import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { daysIn } from "./days.ts";
import { merge } from "./histogram.ts";
import type { State } from "./model.ts";
import { FREEZE_LAG_MS, ROLL_UP_LAG_MS, rollUp } from "./roll-up.ts";
import type { CheckTables } from "./tables.ts";
import { type Span, tally, type Window } from "./uptime.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** An hour before the clocks of New York go forward, and some hours before its midnight. */
const CREATED = Date.parse("2026-03-07T22:10:20.500Z");
const ZONE = "America/New_York";
const ID = "chk_1";

let fresh: FreshDatabase;
let db: Database<CheckTables>;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  await query("insert into projects (id, name, created_at) values ('prj_1', 'shop', $1)", new Date(CREATED));
});
afterAll(() => fresh[Symbol.asyncDispose]());
beforeEach(clear);

const query = (text: string, ...values: unknown[]) => fresh.pool.query(text, values);
const roll = (now: number, shards: number[] | null = null) =>
  rollUp({ db, clock: systemClock, zoneOf: () => ZONE }, shards, new Date(now));

async function clear() {
  for (const table of [
    "check_minutes",
    "check_hours",
    "check_days",
    "check_rollups",
    "check_rerolls",
    "check_spans",
    "check_samples",
    "check_locations",
    "check_states",
    "maintenance_windows",
    "checks",
  ]) {
    await query(`delete from ${table}`);
  }
  await addCheck(ID, 7);
}

async function addCheck(id: string, shard: number) {
  await query(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
       created_at, updated_at)
     values ($1, 'prj_1', 'production', $1, 'http', 'api', 'x', '', '{}', $2, $3, $3)`,
    id,
    shard,
    new Date(CREATED),
  );
  for (const location of ["local", "berlin"]) {
    await query(
      "insert into check_locations (check_id, location, fold, last_at, last_status) values ($1, $2, '{}', $3, 'up')",
      id,
      location,
      new Date(CREATED),
    );
  }
}

type Sample = {
  at: number;
  location: string;
  bucket: number | null;
  status: State;
  untrusted: "lag" | "offline" | "missed" | "busy" | null;
};
type History = { spans: Span[]; samples: Sample[]; planned: Window[] };

async function writeSpans(spans: readonly Span[]) {
  for (const { from, to, state } of spans) {
    await query(
      `insert into check_spans (check_id, from_at, to_at, state) values ($1, $2, $3, $4)
       on conflict (check_id, from_at) do update set to_at = excluded.to_at, state = excluded.state`,
      ID,
      new Date(from),
      to === null ? null : new Date(to),
      state,
    );
  }
}

async function writeSamples(samples: readonly Sample[]) {
  await query(
    `insert into check_samples
       (check_id, location, scheduled_at, started_at, late_ms, status, untrusted, latency_bucket)
     select $1, s.location, s.at, s.at, 0, s.status, s.untrusted, s.bucket from jsonb_to_recordset($2)
       as s (at timestamptz, location text, status text, untrusted text, bucket smallint)
     on conflict do nothing`,
    ID,
    JSON.stringify(samples.map((sample) => ({ ...sample, at: new Date(sample.at) }))),
  );
}

async function writePlanned(planned: readonly Window[]) {
  for (const [at, { from, to }] of planned.entries()) {
    await query(
      `insert into maintenance_windows (id, project_id, environment, checks, from_at, to_at, reason, actor_name,
         created_at, ended_at)
       values ($1, 'prj_1', 'production', $2, $3, $4, 'x', 'ann', $3, $5)`,
      `mnt_${at}`,
      at % 2 === 0 ? null : JSON.stringify([ID]),
      new Date(from),
      // Some were ended before their time.
      new Date(at % 3 === 0 ? to : to + HOUR_MS),
      at % 3 === 0 ? null : new Date(to),
    );
  }
}

/** What must be in a window, by the plain arithmetic. */
function expected({ spans, samples, planned }: History, window: Window) {
  const of = tally(window, spans, planned);
  const inside = samples.filter(({ at }) => window.from <= at && at < window.to);
  const count = (is: (sample: Sample) => boolean) => inside.filter(is).length;
  return {
    up_ms: of.upMs,
    degraded_ms: of.degradedMs,
    down_ms: of.downMs,
    unknown_ms: of.unknownMs,
    maintenance_ms: of.maintenanceMs,
    samples: count(({ untrusted }) => untrusted !== "missed" && untrusted !== "busy"),
    failed: count(({ untrusted, status }) => untrusted === null && status === "down"),
    missed: count(({ untrusted }) => untrusted === "missed" || untrusted === "busy"),
    histogram: inside.reduce(
      (all, { bucket }) => (bucket === null ? all : merge(all, { [bucket]: 1 })),
      {} as Record<string, number>,
    ),
  };
}

async function rows(table: string) {
  const { rows: found } = await query(`select * from ${table} order by 1, 2`);
  return found.map(({ check_id: _, at, day: __, from_at, to_at, ...totals }) => ({
    ...totals,
    at: (at ?? from_at).getTime(),
    ...(to_at === undefined ? {} : { to: to_at.getTime() }),
  }));
}

async function counted() {
  return {
    minutes: await rows("check_minutes"),
    hours: await rows("check_hours"),
    days: await rows("check_days"),
  };
}

function reference(history: History, now: number) {
  const first = Math.floor(CREATED / MINUTE_MS) * MINUTE_MS;
  const end = Math.floor((now - ROLL_UP_LAG_MS) / MINUTE_MS) * MINUTE_MS;
  const parts = (length: number) => {
    const from = Math.floor(first / length) * length;
    const starts = Array.from(
      { length: Math.max(0, Math.floor((end - from) / length)) },
      (_, at) => from + at * length,
    );
    return starts.map((at) => ({ ...expected(history, { from: at, to: at + length }), at }));
  };
  const days = daysIn(ZONE, first, end).filter(({ to }) => to <= end);
  return {
    minutes: parts(MINUTE_MS),
    hours: parts(HOUR_MS),
    days: days.map((day) => ({
      ...expected(history, day),
      zone: ZONE,
      frozen: day.to + FREEZE_LAG_MS <= now,
      at: day.from,
      to: day.to,
    })),
  };
}

/** Until after the next midnight of the zone, which freezes two days. */
const RANGE_MS = 34 * HOUR_MS;
const instant = fc.nat(RANGE_MS).map((after) => CREATED + after);
const state = fc.constantFrom<State>("up", "degraded", "down", "unknown");
const spans = fc
  .uniqueArray(fc.tuple(instant, state), { maxLength: 15, selector: ([at]) => at })
  .map((points): Span[] =>
    points
      .sort(([a], [b]) => a - b)
      .map(([from, is], at, all) => ({ from, to: all[at + 1]?.[0] ?? null, state: is })),
  );
const samples = fc.uniqueArray(
  fc.record({
    at: instant,
    location: fc.constantFrom("local", "berlin"),
    bucket: fc.option(fc.nat(162)),
    status: state,
    untrusted: fc.option(fc.constantFrom("lag" as const, "offline", "missed", "busy"), { freq: 2 }),
  }),
  { maxLength: 60, selector: ({ at }) => at },
);
const planned = fc.array(
  fc
    .tuple(instant, fc.integer({ min: 1, max: 5 * HOUR_MS }))
    .map(([from, long]) => ({ from, to: from + long })),
  { maxLength: 4 },
);

describe("rollups", () => {
  test("are what the plain arithmetic makes of the same history", async () => {
    await fc.assert(
      fc.asyncProperty(fc.record({ spans, samples, planned }), instant, async (history, now) => {
        await clear();
        await writeSpans(history.spans);
        await writeSamples(history.samples);
        await writePlanned(history.planned);
        while ((await roll(now)).more);
        expect(await counted()).toEqual(reference(history, now));
      }),
      { numRuns: 12 },
    );
  });

  test("counted a bit at a time, with what came late, are the same as counted at once", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ spans, samples, planned: fc.constant<Window[]>([]) }),
        fc.array(instant, { minLength: 1, maxLength: 6 }),
        async (history, passes) => {
          await clear();
          const times = passes.sort((a, b) => a - b);
          // What belongs to one pass is written before another: some early, some late; nothing later than a day
          // can bear.
          const end = Math.min(times.at(-1) ?? 0, Date.parse("2026-03-08T05:59:00Z"));
          for (const [at, now] of times.entries()) {
            const mine = <T>(all: readonly T[]) => all.filter((_, index) => index % times.length === at);
            await writeSpans(mine(history.spans));
            await writeSamples(mine(history.samples));
            await roll(Math.min(now, end));
          }
          expect(await counted()).toEqual(reference(history, end));
          expect(await rows("check_rerolls")).toEqual([]);
        },
      ),
      { numRuns: 12 },
    );
  });

  test("do not count what nobody has judged", async () => {
    await writeSpans([{ from: CREATED, to: null, state: "up" }]);
    const due = CREATED + 20 * MINUTE_MS;
    await query(
      "insert into check_states (check_id, state, since, displayed, judge_at) values ($1, 'up', $2, '{}', $3)",
      ID,
      new Date(CREATED),
      new Date(due),
    );
    await roll(CREATED + 40 * HOUR_MS);
    expect(await rows("check_minutes")).toHaveLength(20);
    expect(await rows("check_days")).toEqual([]);
    // Whoever judges at last finds that nobody had looked since.
    await writeSpans([
      { from: CREATED, to: due - MINUTE_MS, state: "up" },
      { from: due - MINUTE_MS, to: null, state: "unknown" },
    ]);
    await query("update check_states set judge_at = null");
    await roll(CREATED + 40 * HOUR_MS);
    expect(await rows("check_days")).toMatchObject([{ frozen: true, up_ms: 19 * MINUTE_MS }, { up_ms: 0 }]);
  });

  test("of a frozen day stay as they are; what comes later is only kept raw", async () => {
    await writeSpans([{ from: CREATED, to: null, state: "up" }]);
    const midnight = Date.parse("2026-03-08T05:00:00Z");
    await roll(midnight + ROLL_UP_LAG_MS);
    expect(await rows("check_days")).toMatchObject([{ frozen: false, down_ms: 0 }]);
    await writeSpans([
      { from: CREATED, to: midnight - 10_000, state: "up" },
      { from: midnight - 10_000, to: null, state: "down" },
    ]);
    await roll(midnight + 5 * MINUTE_MS);
    expect(await rows("check_days")).toMatchObject([{ frozen: false, down_ms: 10_000 }]);
    await roll(midnight + FREEZE_LAG_MS);
    await query("update check_spans set state = 'down'");
    await roll(midnight + FREEZE_LAG_MS + MINUTE_MS);
    expect(await rows("check_days")).toMatchObject([{ frozen: true, down_ms: 10_000 }]);
    expect(await rows("check_rerolls")).toEqual([]);
  });

  test("are each shard's own; several probers at once count nothing twice", async () => {
    for (let at = 0; at < 6; at++) await addCheck(`chk_more_${at}`, at);
    expect((await roll(CREATED + 10 * MINUTE_MS, [7])).minutes).toBe(8);
    expect((await roll(CREATED + 10 * MINUTE_MS, [])).minutes).toBe(0);
    await Promise.all(Array.from({ length: 4 }, () => roll(CREATED + HOUR_MS)));
    const { rows: of } = await query("select check_id, count(*)::int as n from check_minutes group by 1");
    expect(of.map(({ n }) => n)).toEqual(Array(7).fill(58));
    expect((await roll(CREATED + HOUR_MS)).minutes).toBe(0);
  });

  test("of a check that is gone go to the end of its last day, unknown since it went", async () => {
    await writeSpans([{ from: CREATED, to: null, state: "up" }]);
    await roll(CREATED + MINUTE_MS);
    await query("update checks set retired_at = $1", new Date(CREATED + HOUR_MS));
    for (let hours = 2; hours < 100; hours += 10) while ((await roll(CREATED + hours * HOUR_MS)).more);
    expect((await rows("check_days"))[0]).toMatchObject({ frozen: true, up_ms: HOUR_MS });
    expect((await roll(CREATED + 200 * HOUR_MS)).minutes).toBe(0);
  });
});
