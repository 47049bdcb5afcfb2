import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { type GateView, viewGate } from "./list-approvals.ts";
import { type GateDeps, requireSubject } from "./subject.ts";

const SHORTEST_REASON = 10;
/** Where a gate still has something to open. */
const BEFORE_TRAFFIC = new Set([
  "queued",
  "preparing",
  "building",
  "verifying",
  "awaiting_approval",
  "migrating",
  "releasing",
]);

/**
 * Lets one deployment through whatever holds it: locks, freezes, missing approvals, rejections, the timer. It stays
 * on record and is named wherever the gate is shown. The first one stands; another changes nothing.
 * @throws AppError `forbidden` below owner; `bad_request` for a reason that says nothing; `conflict` once it has
 * traffic or has ended; `not_found`.
 */
export async function breakGlass(
  deps: GateDeps,
  actor: Actor,
  input: { deploymentId: string; reason: string },
): Promise<GateView> {
  requireRole(actor, "owner");
  const reason = input.reason.trim();
  const said = reason.replace(/\s/g, "").length;
  if (said < SHORTEST_REASON) {
    throw new AppError(
      "bad_request",
      `The reason has ${said} characters, blanks not counted; it takes at least ${SHORTEST_REASON}.`,
      { hint: "Say what is on fire: this is what the record will show." },
    );
  }
  const { deploymentId } = input;
  return deps.db.transaction().execute(async (tx) => {
    const { state } = await requireSubject(deps, tx, deploymentId);
    if (!BEFORE_TRAFFIC.has(state)) {
      throw new AppError("conflict", `Deployment ${deploymentId} is ${state}: nothing holds it any more.`, {
        hint: "Deploy again, and break the glass of that deployment.",
      });
    }
    const at = deps.clock.now();
    const written = await tx
      .insertInto("break_glass")
      .values({ deployment_id: deploymentId, actor_id: actor.id, actor_name: actor.name, reason, at })
      .onConflict((conflict) => conflict.column("deployment_id").doNothing())
      .executeTakeFirst();
    if (written.numInsertedOrUpdatedRows === 1n) {
      const subject = { type: "deployment", id: deploymentId };
      await audit(tx, { actor, action: "deployment.break_glass", subject, details: { reason, state }, at });
      await deps.wake(tx, { deploymentId });
    }
    return viewGate(deps, tx, deploymentId);
  });
}
