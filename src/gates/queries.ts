import { type QueryExecutorProvider, type SqlBool, sql } from "kysely";
import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { GateFacts, Lock } from "./facts.ts";
import type { Freeze } from "./freeze.ts";
import { toApproval, toBreakGlass, toFreeze, toLock } from "./rows.ts";
import type { GateTables } from "./tables.ts";

/** With the project's name, which people know; null: all projects. */
export type ListedLock = Lock & { readonly project: string | null };
export type ListedFreeze = Freeze & { readonly project: string | null };

/** Null: every project, or every environment. */
export type Scope = { readonly projectId: string | null; readonly environment: EnvironmentName | null };

type FactRow = {
  approvals: Parameters<typeof toApproval>[0][];
  locks: Parameters<typeof toLock>[0][];
  freezes: Parameters<typeof toFreeze>[0][];
  break_glass: Parameters<typeof toBreakGlass>[0] | null;
};

/** Everything that bears on one deployment, as of `now`, in one round trip. */
export async function readGateFacts(
  db: QueryExecutorProvider,
  place: { deploymentId: string; projectId: string; environment: EnvironmentName; now: Date },
): Promise<GateFacts> {
  const { deploymentId, projectId, environment, now } = place;
  const here = sql`(project_id is null or project_id = ${projectId})
    and (environment is null or environment = ${environment})`;
  const { rows } = await sql<FactRow>`
    select
      (select coalesce(json_agg(a order by a.at, a.id), '[]') from deployment_approvals a
        where a.deployment_id = ${deploymentId}) as approvals,
      (select coalesce(json_agg(l order by l.created_at, l.id), '[]') from deploy_locks l
        where ${here} and ${lockHolds(now)}) as locks,
      (select coalesce(json_agg(f order by f.created_at, f.id), '[]') from freeze_windows f
        where ${here} and ${freezeKept(now)}) as freezes,
      (select row_to_json(b) from break_glass b where b.deployment_id = ${deploymentId}) as break_glass
  `.execute(db);
  const [row] = rows;
  return {
    approvals: row?.approvals.map(toApproval) ?? [],
    locks: row?.locks.map(toLock) ?? [],
    freezes: row?.freezes.map(toFreeze) ?? [],
    breakGlass: row?.break_glass ? toBreakGlass(row.break_glass) : null,
  };
}

/** The locks that hold now, oldest first. */
export async function listLocks(db: Tx<GateTables>, now: Date): Promise<ListedLock[]> {
  const rows = await db
    .selectFrom("deploy_locks")
    .leftJoin("projects", "projects.id", "project_id")
    .selectAll("deploy_locks")
    .select("projects.name as project")
    .where(lockHolds(now))
    .orderBy("deploy_locks.created_at")
    .execute();
  return rows.map((row) => ({ ...toLock(row), project: row.project }));
}

/** The freezes that hold now or will again, oldest first. */
export async function listFreezes(db: Tx<GateTables>, now: Date): Promise<ListedFreeze[]> {
  const rows = await db
    .selectFrom("freeze_windows")
    .leftJoin("projects", "projects.id", "project_id")
    .selectAll("freeze_windows")
    .select("projects.name as project")
    .where(freezeKept(now))
    .orderBy("freeze_windows.created_at")
    .execute();
  return rows.map((row) => ({ ...toFreeze(row), project: row.project }));
}

/** One lock, held or not. @throws AppError `not_found`. */
export async function findLock(db: Tx<GateTables>, id: string): Promise<ListedLock & { released: boolean }> {
  const row = await db
    .selectFrom("deploy_locks")
    .leftJoin("projects", "projects.id", "project_id")
    .selectAll("deploy_locks")
    .select("projects.name as project")
    .where("deploy_locks.id", "=", id)
    .executeTakeFirst();
  if (row) return { ...toLock(row), project: row.project, released: row.released_at !== null };
  throw new AppError("not_found", `There is no lock ${id}.`, {
    hint: "GET /api/locks lists those that hold.",
  });
}

/** One freeze, kept or not. @throws AppError `not_found`. */
export async function findFreeze(
  db: Tx<GateTables>,
  id: string,
): Promise<ListedFreeze & { deleted: boolean }> {
  const row = await db
    .selectFrom("freeze_windows")
    .leftJoin("projects", "projects.id", "project_id")
    .selectAll("freeze_windows")
    .select("projects.name as project")
    .where("freeze_windows.id", "=", id)
    .executeTakeFirst();
  if (row) return { ...toFreeze(row), project: row.project, deleted: row.deleted_at !== null };
  throw new AppError("not_found", `There is no freeze ${id}.`, { hint: "GET /api/freezes lists them." });
}

/** So that two equal requests at once find one another's row. Held until the transaction ends. */
export async function oneAtATime(
  tx: QueryExecutorProvider,
  table: "deploy_locks" | "freeze_windows",
): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${table}, 0))`.execute(tx);
}

function lockHolds(now: Date) {
  return sql<SqlBool>`released_at is null and (expires_at is null or expires_at > ${now})`;
}

function freezeKept(now: Date) {
  return sql<SqlBool>`deleted_at is null and (expires_at is null or expires_at > ${now})
    and (ends_at is null or ends_at > ${now})`;
}
