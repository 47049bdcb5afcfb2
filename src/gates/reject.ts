import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { writeDecision } from "./decide.ts";
import { type GateView, viewGate } from "./list-approvals.ts";
import type { GateDeps } from "./subject.ts";

/**
 * Rejects a deployment as it is now; one reviewer is enough, whoever approved. Who started it may, if a reviewer.
 * @throws AppError `bad_request` without a comment; `not_found`; `conflict` and `forbidden` as `approveDeployment`.
 */
export async function rejectDeployment(
  deps: GateDeps,
  actor: Actor,
  input: { deploymentId: string; digest?: string | undefined; comment: string },
): Promise<GateView> {
  requireRole(actor, "deployer");
  const comment = input.comment.trim();
  if (comment === "") {
    throw new AppError("bad_request", "A rejection needs a comment.", {
      hint: "Say what is wrong: whoever deployed it reads this.",
    });
  }
  return deps.db.transaction().execute(async (tx) => {
    await writeDecision(deps, tx, actor, { ...input, decision: "reject", comment });
    return viewGate(deps, tx, input.deploymentId);
  });
}
