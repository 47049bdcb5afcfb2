import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { findLock, type ListedLock } from "./queries.ts";
import { type GateDeps, requesterOf } from "./subject.ts";
import { isSamePerson } from "./weigh.ts";

/**
 * Ends a lock before its time, by whoever made it or an owner. One that has ended already stays as it is.
 * @throws AppError `forbidden`, `not_found`.
 */
export async function releaseLock(
  deps: GateDeps,
  actor: Actor,
  id: string,
  input: { reason?: string | undefined } = {},
): Promise<ListedLock> {
  requireRole(actor, "deployer");
  return deps.db.transaction().execute(async (tx) => {
    const { released, ...lock } = await findLock(tx, id);
    const owner = { id: lock.ownerId, name: lock.ownerName };
    if (actor.role !== "owner" && !isSamePerson(owner, requesterOf(actor))) {
      throw new AppError("forbidden", `Lock ${id} is ${lock.ownerName}'s ("${lock.reason}").`, {
        hint: `Ask ${lock.ownerName} or an owner to release it.`,
      });
    }
    const at = deps.clock.now();
    if (released || (lock.expiresAt !== null && lock.expiresAt <= at)) return lock;
    const reason = input.reason?.trim() || null;
    const ended = await tx
      .updateTable("deploy_locks")
      .set({ released_at: at, released_by: actor.name, release_reason: reason })
      .where("id", "=", id)
      .where("released_at", "is", null)
      .executeTakeFirst();
    if (ended.numUpdatedRows !== 1n) return lock;
    await audit(tx, {
      actor,
      action: "lock.release",
      subject: { type: "lock", id },
      details: { reason, owner: lock.ownerName },
      at,
    });
    await deps.wake(tx, { projectId: lock.projectId, environment: lock.environment });
    return lock;
  });
}
