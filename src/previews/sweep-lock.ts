import { type Kysely, sql } from "kysely";

/** First half of the advisory lock's key, so that it is no other lock's of ours. */
const LOCK_CLASS = 7_706;

/**
 * Runs `act` while no other process or request does for the same project; null: one does. The lock belongs to a
 * connection, so it goes with a process that dies.
 */
export async function withProjectLock<T, R>(
  db: Kysely<T>,
  projectId: string,
  act: () => Promise<R>,
): Promise<R | null> {
  return db.connection().execute(async (held) => {
    const taken = await sql<{ taken: boolean }>`
      select pg_try_advisory_lock(${LOCK_CLASS}, hashtext(${projectId})) as taken`.execute(held);
    if (taken.rows[0]?.taken !== true) return null;
    try {
      return await act();
    } finally {
      await sql`select pg_advisory_unlock(${LOCK_CLASS}, hashtext(${projectId}))`.execute(held);
    }
  });
}
