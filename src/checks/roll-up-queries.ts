import { type RawBuilder, sql } from "kysely";
import type { Tx } from "../foundation/db.ts";
import type { CheckTables } from "./tables.ts";

/** A check whose rollups are ours until the transaction ends. Instants in ms since the epoch. */
export type Claimed = {
  readonly checkId: string;
  readonly projectId: string;
  readonly minutesTo: number;
  readonly frozenTo: number;
  /** Up to where it can be counted now. */
  readonly target: number;
};

/** Whole minutes of one check. */
export type MinuteWork = { readonly checkId: string; readonly from: number; readonly to: number };

export type DayWork = MinuteWork & { readonly day: string; readonly zone: string; readonly frozen: boolean };

const MINUTE = sql`interval '1 minute'`;
const EPOCH = sql`timestamptz 'epoch'`;

/** `null`: every shard. */
export async function addMissingRollups(
  tx: Tx<CheckTables>,
  shards: readonly number[] | null,
): Promise<void> {
  await sql`
    insert into check_rollups (check_id, minutes_to, frozen_to, pruned_to)
    select c.id, f.at, f.at, f.at
    from checks c cross join lateral (select date_bin(${MINUTE}, c.created_at, ${EPOCH}) as at) f
    where ${ofShards(shards)} and c.retired_at is null
      and not exists (select from check_rollups r where r.check_id = c.id)
    on conflict do nothing`.execute(tx);
}

/**
 * Takes checks that have something to count, those longest behind first. Nothing is counted that nobody has judged:
 * what should have been judged again since may turn out to be unknown. A check that is gone is counted to the end of
 * its last day, in any zone.
 */
export async function claimRollups(
  tx: Tx<CheckTables>,
  { shards, horizon, limit }: { shards: readonly number[] | null; horizon: Date; limit: number },
): Promise<Claimed[]> {
  const { rows } = await sql<{
    check_id: string;
    project_id: string;
    minutes_to: Date;
    frozen_to: Date;
    target: Date;
  }>`
    select r.check_id, c.project_id, r.minutes_to, r.frozen_to, t.target
    from check_rollups r
    join checks c on c.id = r.check_id
    left join check_states s on s.check_id = r.check_id
    cross join lateral (
      select case
        when c.retired_at is null then least(${horizon}, date_bin(${MINUTE}, s.judge_at, ${EPOCH}))
        else least(${horizon}, date_bin(${MINUTE}, c.retired_at, ${EPOCH}) + interval '30 hours')
      end as target
    ) t
    where ${ofShards(shards)}
      and (r.minutes_to < t.target or exists (select from check_rerolls l where l.check_id = r.check_id))
    order by r.minutes_to, r.check_id
    limit ${limit}
    for update of r skip locked`.execute(tx);
  return rows.map((row) => ({
    checkId: row.check_id,
    projectId: row.project_id,
    minutesTo: row.minutes_to.getTime(),
    frozenTo: row.frozen_to.getTime(),
    target: row.target.getTime(),
  }));
}

/** Takes the marks of what changed after it was counted; answers the earliest of each check. */
export async function takeRerolls(
  tx: Tx<CheckTables>,
  claimed: readonly Claimed[],
): Promise<Map<string, number>> {
  const { rows } = await sql<{ check_id: string; from_at: Date }>`
    with taken as (
      delete from check_rerolls where check_id = any(${claimed.map(({ checkId }) => checkId)})
      returning check_id, from_at
    )
    select check_id, min(from_at) as from_at from taken group by check_id`.execute(tx);
  return new Map(rows.map((row) => [row.check_id, row.from_at.getTime()]));
}

export async function moveRollups(
  tx: Tx<CheckTables>,
  moves: readonly { checkId: string; to: number; frozenTo: number }[],
): Promise<void> {
  await sql`
    update check_rollups r set minutes_to = m.minutes_to, frozen_to = m.frozen_to
    from unnest(
      ${moves.map(({ checkId }) => checkId)}::text[],
      ${moves.map(({ to }) => new Date(to))}::timestamptz[],
      ${moves.map(({ frozenTo }) => new Date(frozenTo))}::timestamptz[]
    ) m (check_id, minutes_to, frozen_to)
    where r.check_id = m.check_id`.execute(tx);
}

/** Every minute of the work, from spans, windows of maintenance and samples. What is as it was is not written. */
export async function writeMinutes(tx: Tx<CheckTables>, work: readonly MinuteWork[]): Promise<void> {
  if (work.length === 0) return;
  const planned = (range: RawBuilder<unknown>) => sql`case when w.planned && ${range} then (
    select sum(${lengthOf(sql`part`)}) from unnest(w.planned * tstzmultirange(${range})) part) else 0 end`;
  await sql`
    with work as materialized (
      select u.*, c.retired_at, (
        select range_agg(tstzrange(m.from_at, least(m.to_at, m.ended_at)))
        from maintenance_windows m
        where m.project_id = c.project_id and m.environment = c.environment
          and (m.checks is null or m.checks ? c.name)
          and m.from_at < u.to_at and least(m.to_at, m.ended_at) > greatest(m.from_at, u.from_at)
      ) as planned
      from ${unnested(work)} u (check_id, from_at, to_at) join checks c on c.id = u.check_id
    ), minutes as (
      select w.check_id, m.at, ${planned(sql`tstzrange(m.at, m.at + ${MINUTE})`)} as maintenance_ms
      from work w cross join lateral generate_series(w.from_at, w.to_at - ${MINUTE}, ${MINUTE}) m (at)
    ), pieces as (
      select w.check_id, m.at, s.state, ${lengthOf(sql`p.during`)} - ${planned(sql`p.during`)} as ms
      from work w
      join check_spans s on s.check_id = w.check_id and s.from_at < w.to_at and s.from_at >= coalesce(
        (select max(b.from_at) from check_spans b where b.check_id = w.check_id and b.from_at <= w.from_at),
        '-infinity')
      cross join lateral (
        select greatest(s.from_at, w.from_at) as begins, least(s.to_at, w.retired_at, w.to_at) as ends
      ) c
      cross join lateral generate_series(
        date_bin(${MINUTE}, c.begins, ${EPOCH}), c.ends - interval '1 microsecond', ${MINUTE}
      ) m (at)
      cross join lateral (
        select tstzrange(greatest(c.begins, m.at), least(c.ends, m.at + ${MINUTE})) as during
      ) p
      where c.begins < c.ends
    ), spent as (
      select check_id, at,
        coalesce(sum(ms) filter (where state = 'up'), 0) as up_ms,
        coalesce(sum(ms) filter (where state = 'degraded'), 0) as degraded_ms,
        coalesce(sum(ms) filter (where state = 'down'), 0) as down_ms
      from pieces group by check_id, at
    ), buckets as (
      select w.check_id, date_bin(${MINUTE}, s.scheduled_at, ${EPOCH}) as at, s.latency_bucket, count(*) as looks,
        count(*) filter (where s.untrusted is null or s.untrusted in ('lag', 'offline')) as samples,
        count(*) filter (where s.untrusted is null and s.status = 'down') as failed,
        count(*) filter (where s.untrusted in ('missed', 'busy')) as missed
      from work w
      join check_locations l on l.check_id = w.check_id
      join check_samples s on s.check_id = w.check_id and s.location = l.location
        and s.scheduled_at >= w.from_at and s.scheduled_at < w.to_at
      group by 1, 2, 3
    ), seen as (
      select check_id, at, sum(samples) as samples, sum(failed) as failed, sum(missed) as missed,
        jsonb_object_agg(latency_bucket, looks) filter (where latency_bucket is not null) as histogram
      from buckets group by check_id, at
    )
    insert into check_minutes (check_id, at, ${TOTALS})
    select m.check_id, m.at, coalesce(t.up_ms, 0), coalesce(t.degraded_ms, 0), coalesce(t.down_ms, 0),
      60000 - m.maintenance_ms - coalesce(t.up_ms + t.degraded_ms + t.down_ms, 0), m.maintenance_ms,
      coalesce(n.samples, 0), coalesce(n.failed, 0), coalesce(n.missed, 0), coalesce(n.histogram, '{}')
    from minutes m
    left join spent t on t.check_id = m.check_id and t.at = m.at
    left join seen n on n.check_id = m.check_id and n.at = m.at
    order by m.check_id, m.at
    on conflict (check_id, at) do update set ${OVERWRITE} where ${differs("check_minutes")}`.execute(tx);
}

/** The hours that are over by the work's end, from its beginning on. */
export async function writeHours(tx: Tx<CheckTables>, work: readonly MinuteWork[]): Promise<void> {
  if (work.length === 0) return;
  await sql`
    with parts as materialized (
      select w.check_id, h.at as from_at, h.at + interval '1 hour' as to_at
      from ${unnested(work)} w (check_id, from_at, to_at)
      cross join lateral generate_series(
        date_bin('1 hour', w.from_at, ${EPOCH}), w.to_at - interval '1 hour', interval '1 hour'
      ) h (at)
    )
    insert into check_hours (check_id, at, ${TOTALS})
    select p.check_id, p.from_at, t.up_ms, t.degraded_ms, t.down_ms,
      3600000 - t.up_ms - t.degraded_ms - t.down_ms - t.maintenance_ms, t.maintenance_ms,
      t.samples, t.failed, t.missed, t.histogram
    from parts p cross join lateral ${sumOfMinutes()} t
    order by p.check_id, p.from_at
    on conflict (check_id, at) do update set ${OVERWRITE} where ${differs("check_hours")}`.execute(tx);
}

export async function writeDays(tx: Tx<CheckTables>, days: readonly DayWork[]): Promise<void> {
  if (days.length === 0) return;
  await sql`
    insert into check_days (check_id, day, zone, from_at, to_at, frozen, ${TOTALS})
    select p.check_id, p.day, p.zone, p.from_at, p.to_at, p.frozen, t.up_ms, t.degraded_ms, t.down_ms,
      ${lengthOf(sql`tstzrange(p.from_at, p.to_at)`)} - t.up_ms - t.degraded_ms - t.down_ms - t.maintenance_ms,
      t.maintenance_ms, t.samples, t.failed, t.missed, t.histogram
    from unnest(
      ${days.map(({ checkId }) => checkId)}::text[], ${days.map(({ day }) => day)}::date[],
      ${days.map(({ zone }) => zone)}::text[], ${days.map(({ from }) => new Date(from))}::timestamptz[],
      ${days.map(({ to }) => new Date(to))}::timestamptz[], ${days.map(({ frozen }) => frozen)}::boolean[]
    ) p (check_id, day, zone, from_at, to_at, frozen)
    cross join lateral ${sumOfMinutes()} t
    order by p.check_id, p.day
    on conflict (check_id, day) do update set zone = excluded.zone, from_at = excluded.from_at,
      to_at = excluded.to_at, frozen = excluded.frozen, ${OVERWRITE}
    where not check_days.frozen`.execute(tx);
}

const COLUMNS = [
  "up_ms",
  "degraded_ms",
  "down_ms",
  "unknown_ms",
  "maintenance_ms",
  "samples",
  "failed",
  "missed",
  "histogram",
];
const TOTALS = sql.raw(COLUMNS.join(", "));

const OVERWRITE = sql.raw(COLUMNS.map((column) => `${column} = excluded.${column}`).join(", "));

function differs(table: string): RawBuilder<unknown> {
  const of = (row: string) => COLUMNS.map((column) => `${row}.${column}`).join(", ");
  return sql.raw(`(${of(table)}) is distinct from (${of("excluded")})`);
}

/** Of the minutes from `p.from_at` to `p.to_at`. */
function sumOfMinutes(): RawBuilder<unknown> {
  const sums = COLUMNS.slice(0, -1).map((column) => `coalesce(sum(m.${column}), 0) as ${column}`);
  return sql`(
    select ${sql.raw(sums.join(", "))}, coalesce((
      select jsonb_object_agg(b.bucket, b.looks) from (
        select e.key as bucket, sum(e.value::int) as looks
        from check_minutes h cross join lateral jsonb_each_text(h.histogram) e
        where h.check_id = p.check_id and h.at >= p.from_at and h.at < p.to_at
        group by e.key
      ) b
    ), '{}') as histogram
    from check_minutes m
    where m.check_id = p.check_id and m.at >= p.from_at and m.at < p.to_at
  )`;
}

function lengthOf(range: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(extract(epoch from upper(${range}) - lower(${range})) * 1000)::int`;
}

function unnested(work: readonly MinuteWork[]): RawBuilder<unknown> {
  return sql`unnest(
    ${work.map(({ checkId }) => checkId)}::text[],
    ${work.map(({ from }) => new Date(from))}::timestamptz[],
    ${work.map(({ to }) => new Date(to))}::timestamptz[])`;
}

function ofShards(shards: readonly number[] | null): RawBuilder<boolean> {
  return shards === null ? sql`true` : sql`c.shard = any(${[...shards]}::int[])`;
}
