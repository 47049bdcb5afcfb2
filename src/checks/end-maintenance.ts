import { type Actor, audit, requireRole } from "../access/index.ts";
import { findMaintenance, type MaintenanceDeps, type MaintenanceWindow } from "./maintenance.ts";
import { judgeSoon } from "./queries.ts";

/**
 * Ends a window of maintenance now, or calls it off before it begins (deployer). One that is over stays as it is.
 * @throws AppError `forbidden`, `not_found`.
 */
export async function endMaintenance(
  deps: MaintenanceDeps,
  actor: Actor,
  projectName: string,
  id: string,
): Promise<MaintenanceWindow> {
  requireRole(actor, "deployer");
  const projectId = await deps.projectIdOf(projectName);
  return deps.db.transaction().execute(async (tx) => {
    const window = await findMaintenance(tx, projectId, id);
    const at = deps.clock.now();
    const { numUpdatedRows } = await tx
      .updateTable("maintenance_windows")
      .set({ ended_at: at })
      .where("id", "=", id)
      .where("ended_at", "is", null)
      .where("to_at", ">", at)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return findMaintenance(tx, projectId, id);
    const subject = { type: "maintenance_window", id };
    await audit(tx, { actor, action: "maintenance.end", subject, details: { project: projectName }, at });
    await judgeSoon(tx, { projectId, environment: window.environment, names: window.checks }, at);
    return { ...window, endedAt: at };
  });
}
