import { type Actor, audit, requireRole } from "../access/index.ts";
import { findFreeze, type ListedFreeze } from "./queries.ts";
import type { GateDeps } from "./subject.ts";

/** Takes a freeze away (owner). One that was taken away already stays so. @throws AppError `forbidden`, `not_found`. */
export async function deleteFreeze(deps: GateDeps, actor: Actor, id: string): Promise<ListedFreeze> {
  requireRole(actor, "owner");
  return deps.db.transaction().execute(async (tx) => {
    const { deleted: _, ...freeze } = await findFreeze(tx, id);
    const at = deps.clock.now();
    const gone = await tx
      .updateTable("freeze_windows")
      .set({ deleted_at: at, deleted_by: actor.name })
      .where("id", "=", id)
      .where("deleted_at", "is", null)
      .executeTakeFirst();
    if (gone.numUpdatedRows !== 1n) return freeze;
    const details = { name: freeze.name };
    await audit(tx, { actor, action: "freeze.delete", subject: { type: "freeze", id }, details, at });
    await deps.wake(tx, { projectId: freeze.projectId, environment: freeze.environment });
    return freeze;
  });
}
