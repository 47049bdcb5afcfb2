import type { Tx } from "../foundation/db.ts";
import type { Phase, SchemaVersion } from "./migrator.ts";
import type { AppliedContract } from "./rollback-barrier.ts";
import type { SchemaTables } from "./tables.ts";

export type MigrationRun = {
  readonly deploymentId: string;
  readonly phase: Phase;
  readonly state: "running" | "done" | "failed";
  /** More than one: it was cut off or failed, and was done again. */
  readonly attempts: number;
  readonly applied: readonly string[];
  readonly schemaVersion: SchemaVersion;
  readonly log: readonly string[];
  readonly error: string | null;
  readonly hint: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
};

/** What was run for a deployment, in order. */
export async function readMigrationRuns(db: Tx<SchemaTables>, deploymentId: string): Promise<MigrationRun[]> {
  const rows = await db
    .selectFrom("migration_runs")
    .selectAll()
    .where("deployment_id", "=", deploymentId)
    .orderBy("started_at")
    .orderBy("phase", "desc")
    .execute();
  return rows.map((row) => ({
    deploymentId: row.deployment_id,
    phase: row.phase,
    state: row.state,
    attempts: row.attempts,
    applied: row.applied,
    schemaVersion: { expand: row.expand_version, contract: row.contract_version },
    log: row.log === "" ? [] : row.log.split("\n"),
    error: row.error,
    hint: row.hint,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  }));
}

/**
 * The contract files that an environment's database has been through, oldest first. A run that is under way or was cut
 * off counts with all of its files that no other run has applied: until it is done, nobody knows better.
 */
export async function contractsSince(
  db: Tx<SchemaTables>,
  place: { readonly projectId: string; readonly environment: string },
): Promise<AppliedContract[]> {
  const rows = await db
    .selectFrom("migration_runs")
    .select(["deployment_id", "state", "files", "applied", "started_at", "finished_at"])
    .where("phase", "=", "contract")
    .where("project_id", "=", place.projectId)
    .where("environment", "=", place.environment)
    .orderBy("started_at")
    .execute();
  const known = new Set(rows.flatMap((row) => row.applied));
  return rows.flatMap((row) => {
    const at = row.finished_at ?? row.started_at;
    const of = (name: string, certain: boolean) => ({ name, release: row.deployment_id, at, certain });
    const open = row.state === "running" ? row.files.filter((name) => !known.has(name)) : [];
    return [...row.applied.map((name) => of(name, true)), ...open.map((name) => of(name, false))];
  });
}
