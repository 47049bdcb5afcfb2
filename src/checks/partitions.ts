import { sql } from "kysely";
import type { Clock } from "../foundation/clock.ts";
import type { Database, Tx } from "../foundation/db.ts";
import { errorCodeOf } from "../foundation/errors.ts";
import { DAY_MS } from "../foundation/zone.ts";
import type { CheckTables } from "./tables.ts";

/** How long what is kept is kept. */
export type Retention = {
  /** Samples, in whole days besides today. */
  readonly rawDays: number;
  readonly minutesMs: number;
  readonly hoursMs: number;
  readonly daysMs: number;
};

export const DEFAULT_RETENTION: Retention = {
  rawDays: 7,
  minutesMs: 2 * DAY_MS,
  hoursMs: 90 * DAY_MS,
  daysMs: 5 * 366 * DAY_MS,
};

export type KeptPartitions = {
  readonly created: readonly string[];
  readonly dropped: readonly string[];
  /** False: somebody else was at it, or the tables were too busy. The next call does it. */
  readonly done: boolean;
};

/** Partitions are there so many days before they are needed. */
const AHEAD_DAYS = 2;
const PREFIX = "check_samples_";
const HOUR_MS = 3_600_000;
/** Whoever changes partitions waits for running inserts, and the next ones wait for it: better later than long. */
const LOCK_TIMEOUT_MS = 2_000;
const LOCK_NOT_AVAILABLE = "55P03";
const PRUNED_CHECKS = 500;

/**
 * Keeps a partition of `check_samples` for each day from today to the day after tomorrow (UTC), puts what came for
 * other days where it belongs, and deletes what is older than its retention. Cheap when there is nothing to do; may
 * be called by several probers at once, and by each as often as it likes.
 */
export async function keepPartitions(
  deps: { readonly db: Database<CheckTables>; readonly clock: Clock; readonly retention?: Retention },
  now: Date,
): Promise<KeptPartitions> {
  const { db, retention = DEFAULT_RETENTION } = deps;
  const today = Math.floor(now.getTime() / DAY_MS) * DAY_MS;
  const oldest = today - retention.rawDays * DAY_MS;
  const end = today + (AHEAD_DAYS + 1) * DAY_MS;
  const partitions = await changePartitions(db, { today, oldest, end });
  await pruneRollups(db, now.getTime(), retention);
  return partitions;
}

type Range = { readonly today: number; readonly oldest: number; readonly end: number };

async function changePartitions(db: Database<CheckTables>, range: Range): Promise<KeptPartitions> {
  const none: KeptPartitions = { created: [], dropped: [], done: true };
  const needed = await planPartitions(db, range);
  if (needed.create.length + needed.drop.length === 0) {
    if (needed.strays) await sweep(db, range);
    return none;
  }
  try {
    return await db.transaction().execute(async (tx) => {
      const mine = await sql<{ got: boolean }>`
        select pg_try_advisory_xact_lock(hashtextextended('check_samples partitions', 0)) as got`.execute(tx);
      if (!mine.rows[0]?.got) return { ...none, done: false };
      await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT_MS)}`.execute(tx);
      // The parent before its partitions, as inserts and selects do, so that nobody waits for the other in turn.
      await sql`lock table check_samples in access exclusive mode`.execute(tx);
      const plan = await planPartitions(tx, range);
      for (const day of plan.create) await createPartition(tx, day);
      for (const day of plan.drop) await sql`drop table ${sql.table(nameOf(day))}`.execute(tx);
      await sweep(tx, range);
      return { created: plan.create.map(nameOf), dropped: plan.drop.map(nameOf), done: true };
    });
  } catch (error) {
    if (errorCodeOf(error) === LOCK_NOT_AVAILABLE) return { ...none, done: false };
    throw error;
  }
}

type Plan = {
  readonly create: readonly number[];
  readonly drop: readonly number[];
  readonly strays: boolean;
};

/** Older than what is kept, or of a time that has not come: a broken clock's. */
async function sweep(tx: Tx<CheckTables>, { oldest, end }: Range): Promise<void> {
  const [from, to] = [new Date(oldest), new Date(end)];
  await sql`delete from check_samples_default where scheduled_at < ${from} or scheduled_at >= ${to}`.execute(
    tx,
  );
}

async function planPartitions(tx: Tx<CheckTables>, { today, oldest, end }: Range): Promise<Plan> {
  const [partitions, stray] = await Promise.all([
    sql<{ name: string }>`
      select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'check_samples'::regclass`.execute(tx),
    sql<{ at: Date }>`
      select distinct date_bin('1 day', scheduled_at, timestamptz 'epoch') as at
      from check_samples_default`.execute(tx),
  ]);
  const there = partitions.rows.map(({ name }) => dayOfName(name)).filter((day) => day !== null);
  const strays = stray.rows.map(({ at }) => at.getTime());
  const wanted = new Set(strays.filter((day) => day >= oldest && day < end));
  for (let day = today; day < end; day += DAY_MS) wanted.add(day);
  return {
    create: [...wanted].filter((day) => !there.includes(day)).sort((a, b) => a - b),
    drop: there.filter((day) => day < oldest),
    strays: strays.length > 0,
  };
}

/** A day's table, with what waited for it among the rest. */
async function createPartition(tx: Tx<CheckTables>, day: number): Promise<void> {
  const table = sql.table(nameOf(day));
  const [from, to] = [new Date(day), new Date(day + DAY_MS)].map((at) => sql.lit(at.toISOString()));
  await sql`create table ${table} (like check_samples including all)`.execute(tx);
  await sql`
    with moved as (
      delete from check_samples_default where scheduled_at >= ${from} and scheduled_at < ${to} returning *
    )
    insert into ${table} select * from moved`.execute(tx);
  await sql`alter table check_samples attach partition ${table} for values from (${from}) to (${to})`.execute(
    tx,
  );
}

/** `check_samples_20261124`. */
function nameOf(day: number): string {
  return `${PREFIX}${new Date(day).toISOString().slice(0, 10).replaceAll("-", "")}`;
}

function dayOfName(name: string): number | null {
  const [, year, month, day] = /^check_samples_(\d{4})(\d\d)(\d\d)$/.exec(name) ?? [];
  return year === undefined ? null : Date.UTC(Number(year), Number(month) - 1, Number(day));
}

/**
 * Deletes old rollups, of each check once an hour. Minutes stay as long as their day may still be counted again, and
 * the hour that it ends in.
 */
async function pruneRollups(db: Database<CheckTables>, now: number, retention: Retention): Promise<void> {
  const hour = (at: number) => new Date(Math.floor(at / HOUR_MS) * HOUR_MS);
  const minutes = hour(now - retention.minutesMs);
  // What is left of a check that is gone goes too, the last of its days at last.
  const longest = sql`make_interval(secs => ${(retention.daysMs + DAY_MS) / 1_000})`;
  for (let pruned = PRUNED_CHECKS; pruned === PRUNED_CHECKS; ) {
    pruned = await db.transaction().execute(async (tx) => {
      const { rows } = await sql<{ check_id: string; cut: Date }>`
        select r.check_id, p.cut from check_rollups r join checks c on c.id = r.check_id
        cross join lateral (
          select case
            when c.retired_at is null then least(${minutes}, date_bin('1 hour', r.frozen_to, timestamptz 'epoch'))
            else least(${minutes}, c.retired_at + ${longest}) end as cut
        ) p
        where r.pruned_to < p.cut order by r.check_id limit ${PRUNED_CHECKS} for update of r skip locked`.execute(
        tx,
      );
      await pruneChecks(tx, rows, {
        hours: hour(now - retention.hoursMs),
        days: hour(now - retention.daysMs),
      });
      return rows.length;
    });
  }
}

async function pruneChecks(
  tx: Tx<CheckTables>,
  checks: readonly { check_id: string; cut: Date }[],
  before: { hours: Date; days: Date },
): Promise<void> {
  if (checks.length === 0) return;
  const ids = checks.map(({ check_id }) => check_id);
  const cuts = sql`unnest(${ids}::text[], ${checks.map(({ cut }) => cut)}::timestamptz[]) p (check_id, cut)`;
  await sql`delete from check_minutes m using ${cuts} where m.check_id = p.check_id and m.at < p.cut`.execute(
    tx,
  );
  await sql`delete from check_hours where check_id = any(${ids}) and at < ${before.hours}`.execute(tx);
  await sql`delete from check_days where check_id = any(${ids}) and to_at <= ${before.days}`.execute(tx);
  await sql`
    update check_rollups r set pruned_to = p.cut from ${cuts} where r.check_id = p.check_id`.execute(tx);
}
