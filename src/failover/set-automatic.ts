import { type Actor, audit, requireRole } from "../access/index.ts";
import type { FailoverDeps } from "./deps.ts";
import { findPlace } from "./find-place.ts";
import { wakePlace, writeEvent } from "./queries.ts";

/**
 * Holds automatic switches back, or lets them happen again where the configuration asks for them. Already so: nothing
 * is written. @throws AppError `forbidden`, `not_found`.
 */
export async function setAutomatic(
  deps: Pick<FailoverDeps, "db" | "clock" | "wake">,
  actor: Actor,
  input: { readonly project: string; readonly on: boolean },
): Promise<void> {
  requireRole(actor, "deployer");
  const at = deps.clock.now();
  await deps.db.transaction().execute(async (tx) => {
    const place = await findPlace(tx, input.project, { lock: true });
    if (place.automatic === input.on) return;
    const { projectId, environment, leaseToken } = place;
    await tx
      .updateTable("failovers")
      .set({ automatic: input.on })
      .where("project_id", "=", projectId)
      .where("environment", "=", environment)
      .execute();
    const kind = input.on ? "automatic_on" : "automatic_off";
    const event = {
      projectId,
      environment,
      at,
      kind,
      switchId: null,
      side: null,
      reason: null,
      leaseToken,
    } as const;
    await writeEvent(tx, { ...event, actor: actor.name });
    const subject = { type: "project", id: projectId };
    await audit(tx, { actor, action: `failover.${kind}`, subject, details: { environment }, at });
    await wakePlace(tx, place, at);
  });
  deps.wake();
}
