import { sql } from "kysely";
import type { Tx } from "../foundation/db.ts";
import { type LocalDay, lastDays } from "./days.ts";
import { countOf, type Histogram, merge, quantile } from "./histogram.ts";
import type { State } from "./model.ts";
import type { CheckTables } from "./tables.ts";
import { add, NOTHING, type Span, type Tally, tally, uptimeRatio, type Window } from "./uptime.ts";

export type UptimeOptions = {
  /** Ms since the epoch. A window that reaches into the future ends at `now`. */
  readonly from: number;
  readonly to: number;
  readonly now: number;
  /** Leave windows of maintenance out, whatever happened in them. Default true. */
  readonly excludeMaintenance?: boolean;
  readonly degradedCountsAs?: "up" | "down";
};

/** In ms, at most 4.4 % beside the exact ones; null where nothing was measured. */
export type Latency = {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** How many looks it is made of. */
  readonly looks: number;
};

export type Uptime = Tally & {
  readonly checkId: string;
  /** 0 to 1; null when nothing is known. */
  readonly ratio: number | null;
  readonly latency: Latency;
};

export type DayBar = Tally & {
  readonly day: string;
  readonly from: number;
  readonly to: number;
  readonly ratio: number | null;
};

const HOUR_MS = 3_600_000;
/** Minutes are kept for two days. */
const BY_MINUTES_MS = 24 * HOUR_MS;

/**
 * The uptime of checks over any window, exact to the millisecond, from their spans. Latencies are of the whole minutes
 * in a window of up to a day of the last two, else of the whole hours and, for what is not an hour yet, minutes.
 */
export async function readUptime(
  db: Tx<CheckTables>,
  checkIds: readonly string[],
  options: UptimeOptions,
): Promise<Uptime[]> {
  const window = { from: options.from, to: Math.max(options.from, Math.min(options.to, options.now)) };
  const [histories, latencies] = await Promise.all([
    readHistories(db, checkIds, window, options),
    readLatencies(db, checkIds, window, options.now),
  ]);
  return checkIds.map((checkId) => {
    const { spans, planned } = histories.get(checkId) ?? NO_HISTORY;
    const of = tally(window, spans, planned);
    return {
      ...of,
      checkId,
      ratio: uptimeRatio(of, options.degradedCountsAs),
      latency: latencyOf(latencies.get(checkId) ?? {}),
    };
  });
}

export type DayOptions = Omit<UptimeOptions, "from" | "to"> & {
  /** IANA name. */
  readonly zone: string;
  /** Default 90. */
  readonly days?: number;
};

/**
 * One bar for each of the last days of a zone, oldest first, the open day last and up to `now`. Frozen days are as they
 * were counted; what is not frozen, or was counted in another zone, comes from the spans.
 */
export async function readDays(
  db: Tx<CheckTables>,
  checkIds: readonly string[],
  options: DayOptions,
): Promise<Map<string, DayBar[]>> {
  const days = lastDays(options.zone, options.now, options.days ?? 90);
  const first = days[0]?.from ?? options.now;
  const frozen =
    options.excludeMaintenance === false ? new Map<string, Tally>() : await readFrozen(db, checkIds, first);
  const missing = checkIds.map((id) => days.find((day) => !frozen.has(keyOf(id, day)))?.from ?? options.now);
  const window = { from: Math.min(options.now, ...missing), to: options.now };
  const histories = await readHistories(db, checkIds, window, options);
  const barsOf = (checkId: string) => {
    const { spans, planned } = histories.get(checkId) ?? NO_HISTORY;
    return days.map((day) => {
      const counted = { from: day.from, to: Math.min(day.to, options.now) };
      const of = frozen.get(keyOf(checkId, day)) ?? tally(counted, spans, planned);
      return { ...of, ...day, ratio: uptimeRatio(of, options.degradedCountsAs) };
    });
  };
  return new Map(checkIds.map((checkId) => [checkId, barsOf(checkId)]));
}

/** All bars as one. */
export function sumOfDays(bars: readonly DayBar[]): Tally {
  return bars.reduce<Tally>(add, NOTHING);
}

type History = { readonly spans: readonly Span[]; readonly planned: readonly Window[] };
const NO_HISTORY: History = { spans: [], planned: [] };

/** How long a sweep may be late before what it should have judged is taken as unknown. */
const OVERDUE_MS = 60_000;

/**
 * The spans that have a part of the window, and the windows of maintenance in it. An open span holds as long as
 * somebody judges it: where that has been due for a minute, nobody does, and nothing is known since.
 */
async function readHistories(
  db: Tx<CheckTables>,
  checkIds: readonly string[],
  window: Window,
  { now, excludeMaintenance = true }: Pick<UptimeOptions, "now" | "excludeMaintenance">,
): Promise<Map<string, History>> {
  if (checkIds.length === 0 || window.to <= window.from) return new Map();
  const [from, to, overdue] = [window.from, window.to, now - OVERDUE_MS].map((at) => new Date(at));
  const { rows } = await sql<{
    id: string;
    spans: [number, number | null, State][];
    planned: [number, number][];
  }>`
    select c.id, (
        select coalesce(json_agg(json_build_array(${msOf("s.from_at")}, ${msOf("e.ends")}, s.state)
          order by s.from_at), '[]')
        from check_spans s
        cross join lateral (
          select coalesce(s.to_at, least(c.retired_at, case when t.judge_at < ${overdue} then t.judge_at end)) as ends
        ) e
        where s.check_id = c.id and s.from_at < ${to} and s.from_at >= coalesce((
          select max(b.from_at) from check_spans b where b.check_id = c.id and b.from_at <= ${from}), '-infinity')
      ) as spans, (
        select coalesce(json_agg(json_build_array(${msOf("m.from_at")}, ${msOf("least(m.to_at, m.ended_at)")})), '[]')
        from maintenance_windows m
        where ${excludeMaintenance} and m.project_id = c.project_id and m.environment = c.environment
          and (m.checks is null or m.checks ? c.name)
          and m.from_at < ${to} and least(m.to_at, m.ended_at) > ${from}
      ) as planned
    from checks c left join check_states t on t.check_id = c.id
    where c.id = any(${[...checkIds]})`.execute(db);
  return new Map(
    rows.map(({ id, spans, planned }) => [
      id,
      {
        spans: spans.map(([begins, ends, state]) => ({ from: begins, to: ends, state })),
        planned: planned.map(([begins, ends]) => ({ from: begins, to: ends })),
      },
    ]),
  );
}

function msOf(instant: string) {
  return sql.raw(`(extract(epoch from ${instant}) * 1000)::bigint`);
}

async function readFrozen(
  db: Tx<CheckTables>,
  checkIds: readonly string[],
  from: number,
): Promise<Map<string, Tally>> {
  if (checkIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("check_days")
    .select([
      "check_id",
      "from_at",
      "to_at",
      "up_ms",
      "degraded_ms",
      "down_ms",
      "unknown_ms",
      "maintenance_ms",
    ])
    .where("check_id", "in", [...checkIds])
    .where("from_at", ">=", new Date(from))
    .where("frozen", "=", true)
    .execute();
  return new Map(
    rows.map((row) => [
      keyOf(row.check_id, { from: row.from_at.getTime(), to: row.to_at.getTime() }),
      {
        upMs: row.up_ms,
        degradedMs: row.degraded_ms,
        downMs: row.down_ms,
        unknownMs: row.unknown_ms,
        maintenanceMs: row.maintenance_ms,
      },
    ]),
  );
}

/** A day counted in another zone has other bounds, and is not the same. */
function keyOf(checkId: string, { from, to }: Pick<LocalDay, "from" | "to">): string {
  return `${checkId} ${from} ${to}`;
}

async function readLatencies(
  db: Tx<CheckTables>,
  checkIds: readonly string[],
  window: Window,
  now: number,
): Promise<Map<string, Histogram>> {
  const byMinutes = window.to - window.from <= BY_MINUTES_MS && window.from >= now - 2 * BY_MINUTES_MS;
  const [from, to] = [new Date(window.from), new Date(window.to)];
  // The last hour is one only when it is over; until then it is in minutes alone.
  const openHour = new Date(Math.floor(window.to / HOUR_MS) * HOUR_MS);
  const parts = byMinutes
    ? sql`select check_id, histogram from check_minutes where check_id = any(${[...checkIds]})
        and at >= ${from} and at < ${to}`
    : sql`select check_id, histogram from check_hours where check_id = any(${[...checkIds]})
        and at >= ${from} and at < ${openHour}
      union all
      select m.check_id, m.histogram from check_minutes m where m.check_id = any(${[...checkIds]})
        and m.at >= greatest(${from}, ${openHour}::timestamptz - interval '1 hour') and m.at < ${to}
        and not exists (select from check_hours h where h.check_id = m.check_id
          and h.at = date_bin('1 hour', m.at, timestamptz 'epoch') and h.at < ${openHour})`;
  const { rows } = await sql<{ check_id: string; histogram: Histogram }>`
    select check_id, jsonb_object_agg(bucket, looks) as histogram from (
      select p.check_id, e.key as bucket, sum(e.value::int) as looks
      from (${parts}) p cross join lateral jsonb_each_text(p.histogram) e group by 1, 2
    ) b group by check_id`.execute(db);
  return new Map(rows.map((row) => [row.check_id, merge({}, row.histogram)]));
}

function latencyOf(histogram: Histogram): Latency {
  return {
    p50Ms: quantile(histogram, 0.5),
    p95Ms: quantile(histogram, 0.95),
    p99Ms: quantile(histogram, 0.99),
    looks: countOf(histogram),
  };
}
