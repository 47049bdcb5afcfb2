import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { writeDecision } from "./decide.ts";
import { type GateView, viewGate } from "./list-approvals.ts";
import { type GateDeps, type GateSubject, requesterOf } from "./subject.ts";
import { type AskedApprovals, approvalDeadline, isSamePerson } from "./weigh.ts";
import { tellSpan } from "./wording.ts";

/**
 * Approves a deployment as it is now (`digest`: only if it still is what was looked at). Approving again is one
 * approval. @throws AppError `not_found`; `conflict` when it does not wait for approval (any more) or has changed;
 * `forbidden` for a viewer, for who is no reviewer, and for who started it unless its policy allows that.
 */
export async function approveDeployment(
  deps: GateDeps,
  actor: Actor,
  input: { deploymentId: string; digest?: string | undefined; comment?: string | undefined },
): Promise<GateView> {
  requireRole(actor, "deployer");
  const comment = input.comment?.trim() || null;
  return deps.db.transaction().execute(async (tx) => {
    const decision = { ...input, decision: "approve", comment } as const;
    await writeDecision(deps, tx, actor, decision, (subject, asked) => {
      requireNotSelf(actor, subject, asked);
      requireInTime(subject, asked, deps.clock.now());
    });
    return viewGate(deps, tx, input.deploymentId);
  });
}

function requireNotSelf(actor: Actor, { requestedBy }: GateSubject, asked: AskedApprovals): void {
  if (asked.selfApproval || !isSamePerson(requesterOf(actor), requestedBy)) return;
  throw new AppError("forbidden", `"${actor.name}" started this deployment and may not approve it.`, {
    hint: `Ask ${asked.reviewers.filter((name) => name !== actor.name).join(", ") || "another deployer"}.`,
  });
}

function requireInTime({ askedAt }: GateSubject, asked: AskedApprovals, now: Date): void {
  if (askedAt === null || now < approvalDeadline({ asked, askedAt })) return;
  throw new AppError("conflict", `The time to approve (${tellSpan(asked.expiresMs)}) is over.`, {
    hint: "Deploy it again.",
  });
}
