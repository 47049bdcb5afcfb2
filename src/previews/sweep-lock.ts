import { type Kysely, sql } from "kysely";

/** First half of the advisory lock's key, so that it is no other lock's of ours. */
const LOCK_CLASS = 7_706;

/**
 * A sweep holds a connection while it waits for the host, and needs others to get done: all of a pool's would be a
 * deadlock. One too many is busy, and comes again.
 */
const MAX_AT_ONCE = 4;
const running = new WeakMap<object, number>();

/**
 * Runs `act` while no other process or request does for the same project; null: one does. The lock belongs to a
 * connection, so it goes with a process that dies.
 */
export async function withProjectLock<T, R>(
  db: Kysely<T>,
  projectId: string,
  act: () => Promise<R>,
): Promise<R | null> {
  const others = running.get(db) ?? 0;
  if (others >= MAX_AT_ONCE) return null;
  running.set(db, others + 1);
  try {
    return await holding(db, projectId, act);
  } finally {
    running.set(db, (running.get(db) ?? 1) - 1);
  }
}

function holding<T, R>(db: Kysely<T>, projectId: string, act: () => Promise<R>): Promise<R | null> {
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
