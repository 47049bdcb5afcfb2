import type { Database } from "../foundation/db.ts";
import { judgeChecks } from "./judge-checks.ts";
import { endRetired, findChildren, lockDue, lockStates } from "./queries.ts";
import type { CheckTables } from "./tables.ts";
import type { Judged } from "./write-judgements.ts";

/** Small, so that nobody waits long for a row of it. */
const AT_ONCE = 200;
const NO_STEPS = new Map<string, never>();

/**
 * Judges again what is due although nothing was heard of it: what went stale, and what ended (a grace, a window of
 * maintenance, flapping). Any number of processes may do so at once. Answers how many were judged.
 *
 * @param shards those to look after; null: all.
 */
export async function judgeDue(
  { db }: { readonly db: Database<CheckTables> },
  shards: readonly number[] | null,
  now: Date,
): Promise<number> {
  await endRetired(db, now);
  for (let total = 0; ; ) {
    const judged = await db
      .transaction()
      .execute(async (tx) => judgeChecks(tx, await lockDue(tx, shards, now, AT_ONCE), NO_STEPS, now));
    const changed = judged.filter(({ transitions }) => transitions.length > 0);
    await judgeChildren(db, changed, now);
    total += judged.length;
    if (judged.length < AT_ONCE) return total;
  }
}

/**
 * Judges what depends on those that changed: their trouble may be no incident any more, or one now. In a transaction of
 * its own, since the rows are locked in the order of the ids; were we to die before it, their own time to be judged
 * comes.
 */
export async function judgeChildren(
  db: Database<CheckTables>,
  changed: readonly Judged[],
  now: Date,
): Promise<Judged[]> {
  if (changed.length === 0) return [];
  const children = await findChildren(
    db,
    changed.map(({ id }) => id),
  );
  if (children.length === 0) return [];
  return db.transaction().execute(async (tx) => {
    await lockStates(tx, children);
    return judgeChecks(tx, children, NO_STEPS, now);
  });
}
