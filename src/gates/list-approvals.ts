import type { Tx } from "../foundation/db.ts";
import type { BreakGlass, GatePolicy } from "./facts.ts";
import { type GateVerdict, judgeGate } from "./judge.ts";
import { readGateFacts } from "./queries.ts";
import { type GateDeps, type GateSubject, requireSubject } from "./subject.ts";
import type { GateTables } from "./tables.ts";
import { type WeighedApproval, weighApprovals } from "./weigh.ts";

const ASKS_NOTHING: GatePolicy = { approvals: null, waitMs: 0 };

/** A deployment's gate: what it asks for, who answered and what of it counts, and what follows from it now. */
export type GateView = {
  readonly deploymentId: string;
  readonly state: string;
  readonly policy: GatePolicy | null;
  readonly digest: string | null;
  readonly approvals: readonly WeighedApproval[];
  readonly breakGlass: BreakGlass | null;
  /** Null while it has not asked yet. */
  readonly verdict: GateVerdict | null;
};

/** @throws AppError `not_found`. */
export function listApprovals(deps: GateDeps, deploymentId: string): Promise<GateView> {
  return viewGate(deps, deps.db, deploymentId);
}

/** The same inside of the caller's transaction. */
export async function viewGate(
  deps: Pick<GateDeps, "clock" | "readSubject">,
  tx: Tx<GateTables>,
  deploymentId: string,
): Promise<GateView> {
  const subject = await requireSubject(deps, tx, deploymentId);
  const now = deps.clock.now();
  const { projectId, environment, state, policy, digest, requestedBy, askedAt } = subject;
  const facts = await readGateFacts(tx, { deploymentId, projectId, environment, now });
  const verdict =
    askedAt === null || digest === null
      ? null
      : judgeGate({ policy: policy ?? ASKS_NOTHING, digest, requestedBy, askedAt, facts, now });
  const approvals = weigh(subject, facts.approvals, now);
  return { deploymentId, state, policy, digest, approvals, breakGlass: facts.breakGlass, verdict };
}

function weigh(
  { policy, digest, requestedBy, askedAt }: GateSubject,
  approvals: Parameters<typeof weighApprovals>[0],
  now: Date,
): WeighedApproval[] {
  const asked = policy?.approvals;
  if (asked && digest !== null) {
    return weighApprovals(approvals, { asked, digest, requestedBy, askedAt: askedAt ?? now });
  }
  return approvals.map((approval) => ({
    ...approval,
    counts: false,
    whyNot: "Nothing asks for approval now.",
  }));
}
