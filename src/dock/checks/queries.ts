import type { Selectable } from "kysely";
import type { DockTables, DockTx } from "../rows.ts";

export type ProjectCheck = Selectable<DockTables["project_checks"]>;
export type CheckRun = Selectable<DockTables["check_runs"]>;

export async function listProjectChecks(db: DockTx, projectId: string): Promise<ProjectCheck[]> {
  return db
    .selectFrom("project_checks")
    .selectAll()
    .where("project_id", "=", projectId)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}

/** Oldest first. */
export async function runsOf(db: DockTx, deploymentId: string): Promise<CheckRun[]> {
  return db
    .selectFrom("check_runs")
    .selectAll()
    .where("deployment_id", "=", deploymentId)
    .orderBy("serial")
    .execute();
}
