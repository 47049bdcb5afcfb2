import { type Actor, audit, requireRole } from "../access/index.ts";
import { notify } from "../foundation/notify.ts";
import { CHECKS_CHANNEL } from "./channels.ts";
import type { CheckDeps } from "./check-deps.ts";
import { requireCheck } from "./read-overview.ts";
import { requireByHand } from "./update-check.ts";
import { retireChecks } from "./write-checks.ts";

/** Takes a check away that was made by hand (deployer). Its history stays. @throws AppError as `updateCheck`. */
export async function deleteCheck(
  { db, clock }: Pick<CheckDeps, "db" | "clock">,
  actor: Actor,
  id: string,
): Promise<void> {
  requireRole(actor, "deployer");
  const at = clock.now();
  const check = await requireCheck(db, id, at);
  requireByHand(check);
  await db.transaction().execute(async (tx) => {
    await retireChecks(tx, [id], at);
    const { projectId, environment, name } = check;
    const details = { projectId, environment, name };
    await audit(tx, { actor, action: "check.delete", subject: { type: "check", id }, details, at });
    await notify(tx, CHECKS_CHANNEL, "");
  });
}
