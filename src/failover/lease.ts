import { sql } from "kysely";
import type { Database, Tx } from "../foundation/db.ts";
import type { PlaceKey } from "./place.ts";
import type { FailoverTables } from "./tables.ts";

/**
 * The right to work on a row, for a while. Each claim adds one to the row's token, and every write names the token that
 * it was claimed with: a stale owner writes nothing.
 */
export type Lease = PlaceKey & { readonly token: number };

export type LeasedTable = "failovers" | "failover_standbys";

/** How long a place is unwatched when its owner dies; renewed four times as often. */
export const LEASE_MS = 10_000;

/** The rows that are due and that nobody works on. */
export async function dueRows(
  db: Database<FailoverTables>,
  table: LeasedTable,
  now: Date,
): Promise<PlaceKey[]> {
  const { rows } = await sql<PlaceKey>`
    select project_id as "projectId", environment from ${sql.table(table)}
    where wake_at <= ${now} and (lease_until is null or lease_until < ${now})
    order by wake_at limit 50`.execute(db);
  return rows;
}

/** Null: somebody else has it. */
export async function claim(
  db: Database<FailoverTables>,
  table: LeasedTable,
  key: PlaceKey,
  by: { readonly owner: string; readonly now: Date },
): Promise<Lease | null> {
  const until = new Date(by.now.getTime() + LEASE_MS);
  const { rows } = await sql<{ token: number }>`
    update ${sql.table(table)} set lease_owner = ${by.owner}, lease_until = ${until}, lease_token = lease_token + 1,
      wake_at = ${until}
    where project_id = ${key.projectId} and environment = ${key.environment}
      and wake_at <= ${by.now} and (lease_until is null or lease_until < ${by.now})
    returning lease_token as token`.execute(db);
  return rows[0] ? { ...key, token: rows[0].token } : null;
}

/** False: the lease was taken over, so stop. */
export async function renew(
  db: Database<FailoverTables>,
  table: LeasedTable,
  lease: Lease,
  now: Date,
): Promise<boolean> {
  const until = new Date(now.getTime() + LEASE_MS);
  const { numAffectedRows } = await sql`
    update ${sql.table(table)} set lease_until = ${until} where ${isHeld(lease)}`.execute(db);
  return numAffectedRows === 1n;
}

/** Lets go, to be looked at again at `next`; sooner when somebody asked for that meanwhile: the claim put it off. */
export async function release(
  db: Tx<FailoverTables>,
  table: LeasedTable,
  lease: Lease,
  next: Date,
): Promise<void> {
  await sql`
    update ${sql.table(table)} set lease_owner = null, lease_until = null,
      wake_at = case when wake_at < lease_until then least(wake_at, ${next}) else ${next} end
    where ${isHeld(lease)}`.execute(db);
}

function isHeld({ projectId, environment, token }: Lease) {
  return sql`project_id = ${projectId} and environment = ${environment} and lease_token = ${token}`;
}
