import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Tx } from "../../foundation/db.ts";
import type { LocationState, Policy } from "../model.ts";
import type { Pulse } from "./beat.ts";
import type { HeartbeatRow, HeartbeatTables } from "./tables.ts";

type Db = Tx<HeartbeatTables>;

/** A heartbeat with what its check says of it. */
export type Heartbeat = HeartbeatRow & { readonly policy: Policy };

/** What is stored of a key, and looked up by: timing tells nothing of it. */
export function hashKey(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

export async function findByKey(db: Db, key: string): Promise<Heartbeat | null> {
  const row = await live(db).where("heartbeats.key_hash", "=", hashKey(key)).executeTakeFirst();
  return row ?? null;
}

export async function findByCheck(db: Db, checkId: string): Promise<Heartbeat | null> {
  const row = await live(db).where("heartbeats.check_id", "=", checkId).executeTakeFirst();
  return row ?? null;
}

/** Those whose deadline is before `deadline`, and those whose word is due at `now`; at most `limit`. */
export async function listDue(db: Db, deadline: Date, now: Date, limit: number): Promise<Heartbeat[]> {
  const overdue = live(db).where("alert_after", "<", deadline).orderBy("alert_after").limit(limit);
  const untold = live(db)
    .where("tell_at", "<=", now)
    .where("heartbeats.state", "<>", "new")
    .orderBy("tell_at")
    .limit(limit);
  const rows = [...(await overdue.execute()), ...(await untold.execute())];
  return [...new Map(rows.map((row) => [row.check_id, row])).values()];
}

function live(db: Db) {
  return db
    .selectFrom("heartbeats")
    .innerJoin("checks", "checks.id", "heartbeats.check_id")
    .selectAll("heartbeats")
    .select("checks.policy")
    .where("checks.retired_at", "is", null);
}

export type Change = Partial<Pulse> & {
  readonly tell_at?: Date;
  readonly last_at?: Date;
  readonly last_kind?: HeartbeatRow["last_kind"];
  readonly last_exit_code?: number | null;
  readonly last_output?: string | null;
};

/**
 * Changes a heartbeat as it was read: false, with nothing changed, where somebody else has changed it since. A deadline
 * therefore never takes the place of a beat that it did not know of.
 */
export async function changeHeartbeat(
  db: Db,
  before: Pick<HeartbeatRow, "check_id" | "version">,
  change: Change,
): Promise<boolean> {
  const { failure, runs, ...rest } = change;
  const result = await db
    .updateTable("heartbeats")
    .set({
      ...rest,
      ...(failure === undefined ? {} : { failure: failure === null ? null : JSON.stringify(failure) }),
      ...(runs === undefined ? {} : { runs: JSON.stringify(runs) }),
      version: sql<number>`version + 1`,
    })
    .where("check_id", "=", before.check_id)
    .where("version", "=", before.version)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Its word is given again then, unless it has changed since it was read: then something newer is to be told. */
export async function tellAgainAt(
  db: Db,
  told: Pick<HeartbeatRow, "check_id" | "version">,
  at: Date,
): Promise<void> {
  await db
    .updateTable("heartbeats")
    .set({ tell_at: at })
    .where("check_id", "=", told.check_id)
    .where("version", "=", told.version)
    .execute();
}

/** What is told of it so far, by the checks' own account. */
export async function readFold(db: Db, checkId: string, location: string): Promise<LocationState | null> {
  const row = await db
    .selectFrom("check_locations")
    .select("fold")
    .where("check_id", "=", checkId)
    .where("location", "=", location)
    .executeTakeFirst();
  return row?.fold ?? null;
}

/** Goes on with the time in which beats are heard, or begins a new one where the last ended before `unbrokenFrom`. */
export async function writeListening(db: Db, now: Date, unbrokenFrom: Date): Promise<void> {
  const updated = await db
    .updateTable("heartbeat_listening")
    .set({ until: now })
    .where("since", "=", (eb) => eb.selectFrom("heartbeat_listening").select(eb.fn.max("since").as("since")))
    .where("until", ">=", unbrokenFrom)
    .where("until", "<=", now)
    .executeTakeFirst();
  if (updated.numUpdatedRows > 0n) return;
  // Nothing to do where another process has written a later end meanwhile.
  await sql`
    insert into heartbeat_listening (since, until)
    select ${now}::timestamptz, ${now}::timestamptz
    where not exists (select from heartbeat_listening where until >= ${unbrokenFrom}::timestamptz)
    on conflict do nothing`.execute(db);
}

export async function forgetListening(db: Db, before: Date): Promise<void> {
  await db.deleteFrom("heartbeat_listening").where("until", "<", before).execute();
}

/** The newest time of listening. Null: nobody ever did. */
export async function readListening(db: Db): Promise<{ since: Date; until: Date } | null> {
  const row = await db
    .selectFrom("heartbeat_listening")
    .selectAll()
    .orderBy("since", "desc")
    .executeTakeFirst();
  return row ?? null;
}

/** Whether one time of listening holds all of `from` to `to`. */
export async function heardAll(db: Db, from: Date, to: Date): Promise<boolean> {
  const row = await db
    .selectFrom("heartbeat_listening")
    .select("since")
    .where("since", "<=", from)
    .where("until", ">=", to)
    .executeTakeFirst();
  return row !== undefined;
}
