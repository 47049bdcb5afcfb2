import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import type { Clock } from "./clock.ts";
import { PG } from "./db.ts";
import { AppError, errorCodeOf } from "./errors.ts";

export type Migration = { revision: number; name: string; sql: string; breaking: string | null };

/**
 * Brings `schema` to the newest revision of `directory` (files `0001_name.sql`, forward only), one transaction a
 * migration. The version row is inserted first, so of two processes that migrate at once the second waits on the
 * first one's row, then finds the work done.
 * @throws AppError `conflict` when the database holds a newer revision that a newer release marked `--! breaking`.
 */
export async function migrate(deps: {
  pool: pg.Pool;
  clock: Clock;
  schema: string;
  directory: string;
}): Promise<{ applied: number[] }> {
  const migrations = await readMigrations(deps.directory);
  await createVersionTable(deps);
  await refuseNewerBreakingSchema(deps, migrations.at(-1)?.revision ?? 0);
  const done = await appliedRevisions(deps);
  const applied: number[] = [];
  for (const migration of migrations) {
    if (done.has(migration.revision)) continue;
    if (await applyOne(deps, migration)) applied.push(migration.revision);
  }
  return { applied };
}

export async function readMigrations(directory: string): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{4}_.+\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(directory, name), "utf8");
      const breaking = /^--! breaking: (.+)$/m.exec(sql)?.[1] ?? null;
      return { revision: Number(name.slice(0, 4)), name, sql, breaking };
    }),
  );
}

async function createVersionTable({ pool, schema }: { pool: pg.Pool; schema: string }): Promise<void> {
  const ddl = `create schema if not exists ${schema};
    create table if not exists ${schema}.schema_migrations (
      revision int primary key, name text not null, breaking text, applied_at timestamptz not null)`;
  try {
    await pool.query(ddl);
  } catch (error) {
    // "if not exists" still races on the catalogue's unique index; whoever lost finds the table there.
    if (errorCodeOf(error) !== PG.uniqueViolation) throw error;
    await pool.query(ddl);
  }
}

async function refuseNewerBreakingSchema(
  { pool, schema }: { pool: pg.Pool; schema: string },
  newestKnown: number,
): Promise<void> {
  const newer = await pool.query<{ revision: number; breaking: string }>(
    `select revision, breaking from ${schema}.schema_migrations
     where revision > $1 and breaking is not null order by revision limit 1`,
    [newestKnown],
  );
  const row = newer.rows[0];
  if (!row) return;
  throw new AppError(
    "conflict",
    `The database is at revision ${row.revision} of schema "${schema}", a breaking one (${row.breaking}), ` +
      `and this Signalbox knows revisions up to ${newestKnown}.`,
    { hint: "Start the newer Signalbox that migrated it, or restore a backup from before the upgrade." },
  );
}

async function appliedRevisions({ pool, schema }: { pool: pg.Pool; schema: string }): Promise<Set<number>> {
  const rows = await pool.query<{ revision: number }>(`select revision from ${schema}.schema_migrations`);
  return new Set(rows.rows.map((row) => row.revision));
}

async function applyOne(
  deps: { pool: pg.Pool; clock: Clock; schema: string },
  migration: Migration,
): Promise<boolean> {
  const client = await deps.pool.connect();
  try {
    await client.query("begin");
    const claimed = await client.query(
      `insert into ${deps.schema}.schema_migrations (revision, name, breaking, applied_at)
       values ($1, $2, $3, $4) on conflict do nothing`,
      [migration.revision, migration.name, migration.breaking, deps.clock.now()],
    );
    if (claimed.rowCount === 1) {
      await client.query(`set local search_path to ${deps.schema}`);
      await client.query(migration.sql);
    }
    await client.query("commit");
    return claimed.rowCount === 1;
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}
