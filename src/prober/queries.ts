import { sql } from "kysely";
import type { CheckTables, LocationState, ProberReport, Round } from "../checks/index.ts";
import type { Database, Tx } from "../foundation/db.ts";
import type { ShardRow } from "./shares.ts";

type Db = Database<CheckTables>;

export type Identity = { readonly id: string; readonly location: string; readonly startedAt: Date };

/** Says that we are here, and how we are. */
export async function beat(db: Db, who: Identity, report: ProberReport, now: Date): Promise<void> {
  await db
    .insertInto("probers")
    .values({
      id: who.id,
      location: who.location,
      kind: "inside",
      started_at: who.startedAt,
      seen_at: now,
      report: JSON.stringify(report),
    })
    .onConflict((row) => row.column("id").doUpdateSet({ seen_at: now, report: JSON.stringify(report) }))
    .execute();
}

/** The probers of a location that were seen since. */
export async function liveProbers(db: Db, location: string, since: Date): Promise<string[]> {
  const rows = await db
    .selectFrom("probers")
    .select("id")
    .where("location", "=", location)
    .where("kind", "=", "inside")
    .where("seen_at", ">", since)
    .execute();
  return rows.map(({ id }) => id);
}

export async function forgetProber(db: Db, id: string): Promise<void> {
  await db.deleteFrom("probers").where("id", "=", id).execute();
}

/** Rows of probers that never said goodbye. */
export async function forgetLost(db: Db, location: string, before: Date): Promise<void> {
  await db
    .deleteFrom("probers")
    .where("location", "=", location)
    .where("kind", "=", "inside")
    .where("seen_at", "<", before)
    .execute();
}

export async function readShards(db: Db, location: string): Promise<ShardRow[]> {
  const rows = await db
    .selectFrom("check_shards")
    .select(["shard", "owner", "lease_until"])
    .where("location", "=", location)
    .execute();
  return rows.map(({ shard, owner, lease_until }) => ({ shard, owner, leaseUntil: lease_until.getTime() }));
}

type Held = { readonly shard: number; readonly token: number };

/**
 * Claims those of `shards` that are free at `now`, or ours already. Each adds one to the token: what its last owner
 * writes is void.
 */
export async function claimShards(
  db: Db,
  location: string,
  shards: readonly number[],
  by: { readonly owner: string; readonly now: Date; readonly until: Date },
): Promise<Held[]> {
  const { rows } = await sql<Held>`
    insert into check_shards as s (location, shard, owner, lease_until, token)
    select ${location}, shard, ${by.owner}, ${by.until}, 1 from unnest(${shards}::int[]) shard order by shard
    on conflict (location, shard) do update
      set owner = excluded.owner, lease_until = excluded.lease_until, token = s.token + 1
      where s.owner is null or s.owner = ${by.owner} or s.lease_until <= ${by.now}
    returning shard, token`.execute(db);
  return rows;
}

/** Answers those that are still ours. A lease that has lapsed and that nobody took is ours. */
export async function renewShards(
  db: Db,
  location: string,
  held: readonly Held[],
  by: { readonly owner: string; readonly until: Date },
): Promise<number[]> {
  const { rows } = await sql<{ shard: number }>`
    update check_shards s set lease_until = ${by.until}
    from unnest(${held.map(({ shard }) => shard)}::int[], ${held.map(({ token }) => token)}::bigint[])
      as h(shard, token)
    where s.location = ${location} and s.shard = h.shard and s.token = h.token and s.owner = ${by.owner}
    returning s.shard`.execute(db);
  return rows.map(({ shard }) => shard);
}

export async function releaseShards(
  db: Tx<CheckTables>,
  location: string,
  shards: readonly number[],
  by: { readonly owner: string; readonly now: Date },
): Promise<void> {
  await db
    .updateTable("check_shards")
    .set({ owner: null, lease_until: by.now })
    .where("location", "=", location)
    .where("owner", "=", by.owner)
    .where("shard", "in", shards)
    .execute();
}

/** What this location said last of each check. */
export async function readFolds(
  db: Db,
  location: string,
  checkIds: readonly string[],
): Promise<Map<string, LocationState>> {
  const { rows } = await sql<{ id: string; fold: LocationState }>`
    select check_id as id, fold from check_locations
    where location = ${location} and check_id = any(${checkIds}::text[])`.execute(db);
  return new Map(rows.map(({ id, fold }) => [id, fold]));
}

export type OpenRequest = { readonly id: string; readonly checkId: string };

/** Requests for a round that nobody answered yet; those that nobody can answer any more are left alone. */
export async function openRequests(db: Db, since: Date): Promise<OpenRequest[]> {
  return db
    .selectFrom("check_requests")
    .select(["id", "check_id as checkId"])
    .where("answered_at", "is", null)
    .where("asked_at", ">", since)
    .orderBy("asked_at")
    .execute();
}

export async function answerRequests(db: Db, ids: readonly string[], round: Round, now: Date): Promise<void> {
  await db
    .updateTable("check_requests")
    .set({ answered_at: now, round: JSON.stringify(round) })
    .where("id", "in", ids)
    .where("answered_at", "is", null)
    .execute();
}
