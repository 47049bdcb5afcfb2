import { type Actor, audit } from "../access/index.ts";
import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { Approval } from "./facts.ts";
import { type GateDeps, type GateSubject, requesterOf, requireSubject } from "./subject.ts";
import type { GateTables } from "./tables.ts";
import { type AskedApprovals, isReviewer } from "./weigh.ts";

export type Decision = {
  readonly deploymentId: string;
  readonly decision: Approval["decision"];
  /** What the reviewer looked at. Left out: whatever there is now. */
  readonly digest?: string | undefined;
  readonly comment: string | null;
};

type Open = { readonly digest: string; readonly asked: AskedApprovals };

/**
 * Writes a reviewer's decision on a deployment that asks for one, with its audit entry, and wakes the deployment.
 * Saying the same of the same again writes nothing. `check` may refuse more.
 * @throws AppError `not_found`, `conflict` (it asks for nothing now; it has changed), `forbidden` (not a reviewer).
 */
export async function writeDecision(
  deps: GateDeps,
  tx: Tx<GateTables>,
  actor: Actor,
  input: Decision,
  check: (subject: GateSubject, asked: AskedApprovals) => void = () => {},
): Promise<void> {
  const { deploymentId, decision, comment } = input;
  const subject = await requireSubject(deps, tx, deploymentId);
  const open = requireOpen(deploymentId, subject);
  requireSameDigest(deploymentId, open.digest, input.digest);
  requireReviewer(open, actor);
  check(subject, open.asked);
  const at = deps.clock.now();
  const { digest } = open;
  const written = await tx
    .insertInto("deployment_approvals")
    .values({
      id: deps.ids("apr"),
      deployment_id: deploymentId,
      digest,
      decision,
      actor_id: actor.id,
      actor_name: actor.name,
      comment,
      at,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (written.numInsertedOrUpdatedRows !== 1n) return;
  await audit(tx, {
    actor,
    action: `deployment.${decision}`,
    subject: { type: "deployment", id: deploymentId },
    details: { digest, comment },
    at,
  });
  await deps.wake(tx, { deploymentId });
}

function requireOpen(id: string, { state, digest, policy }: GateSubject): Open {
  if (state !== "awaiting_approval") {
    throw new AppError("conflict", `Deployment ${id} does not wait for approval: it is ${state}.`, {
      hint: "GET /api/deploy/approvals/:deploymentId tells what it asked for and who answered.",
    });
  }
  if (digest === null) {
    throw new AppError("conflict", `Deployment ${id} has nothing to approve yet.`, {
      hint: "Wait until it is built and proven, then look at it again.",
    });
  }
  if (!policy?.approvals) {
    throw new AppError("conflict", `Deployment ${id} asks nobody for approval.`, {
      hint: "It waits for a timer, a lock or a freeze. Stop it with POST /api/deploy/cancel/:deploymentId.",
    });
  }
  return { digest, asked: policy.approvals };
}

function requireSameDigest(id: string, current: string, seen: string | undefined): void {
  if (seen === undefined || seen === current) return;
  throw new AppError(
    "conflict",
    `What you looked at has changed: deployment ${id} is no longer ${seen.slice(0, 12)}.`,
    {
      hint: `Look at it again. It is ${current} now.`,
      details: { seen, current },
    },
  );
}

function requireReviewer({ asked }: Open, actor: Actor): void {
  if (isReviewer(asked, requesterOf(actor))) return;
  throw new AppError("forbidden", `"${actor.name}" is not among the reviewers of this deployment.`, {
    hint: `One of these may: ${asked.reviewers.join(", ")}.`,
  });
}
