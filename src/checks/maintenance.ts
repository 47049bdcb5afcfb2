import type { Clock } from "../foundation/clock.ts";
import type { Database, Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { Ids } from "../foundation/ids.ts";
import type { CheckTables } from "./tables.ts";

export type MaintenanceDeps = {
  readonly db: Database<CheckTables>;
  readonly clock: Clock;
  readonly ids: Ids;
  /** @throws AppError `not_found`. */
  readonly projectIdOf: (name: string) => Promise<string>;
};

/** A stretch of time in which trouble is planned: one occurrence, whatever rule it may come from. */
export type MaintenanceWindow = {
  readonly id: string;
  readonly projectId: string;
  readonly environment: string;
  /** Names; null: every check of the environment. */
  readonly checks: readonly string[] | null;
  readonly from: Date;
  readonly to: Date;
  readonly reason: string;
  readonly actorName: string;
  readonly createdAt: Date;
  /** Before its time. Not after `from`: it was called off. */
  readonly endedAt: Date | null;
};

/** @throws AppError `not_found`. */
export async function findMaintenance(
  db: Tx<CheckTables>,
  projectId: string,
  id: string,
): Promise<MaintenanceWindow> {
  const row = await db
    .selectFrom("maintenance_windows")
    .selectAll()
    .where("project_id", "=", projectId)
    .where("id", "=", id)
    .executeTakeFirst();
  if (row) return toMaintenance(row);
  throw new AppError("not_found", `There is no window of maintenance ${id.slice(0, 80)} in this project.`, {
    hint: "GET /api/projects/{project}/maintenance-windows lists them.",
  });
}

export function toMaintenance(row: Selected): MaintenanceWindow {
  return {
    id: row.id,
    projectId: row.project_id,
    environment: row.environment,
    checks: row.checks,
    from: row.from_at,
    to: row.to_at,
    reason: row.reason,
    actorName: row.actor_name,
    createdAt: row.created_at,
    endedAt: row.ended_at,
  };
}

type Row = CheckTables["maintenance_windows"];
type Selected = Omit<Row, "checks"> & { readonly checks: string[] | null };
