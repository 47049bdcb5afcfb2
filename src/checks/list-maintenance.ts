import { type Actor, requireRole } from "../access/index.ts";
import { type MaintenanceDeps, type MaintenanceWindow, toMaintenance } from "./maintenance.ts";

const MOST = 500;

/**
 * A project's windows of maintenance that last or are still to come, in the order of their beginnings; with `past` the
 * newest 500 of all. @throws AppError `forbidden`, `not_found`.
 */
export async function listMaintenance(
  deps: Pick<MaintenanceDeps, "db" | "clock" | "projectIdOf">,
  actor: Actor,
  projectName: string,
  options: { readonly past?: boolean } = {},
): Promise<MaintenanceWindow[]> {
  requireRole(actor, "viewer");
  const id = await deps.projectIdOf(projectName);
  let query = deps.db.selectFrom("maintenance_windows").selectAll().where("project_id", "=", id);
  if (!options.past) query = query.where("ended_at", "is", null).where("to_at", ">", deps.clock.now());
  const rows = await query.orderBy("from_at", "desc").orderBy("id").limit(MOST).execute();
  return rows.map(toMaintenance).reverse();
}
