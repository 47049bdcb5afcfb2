import type { Approval, GatePolicy, Requester } from "./facts.ts";

export type WeighedApproval = Approval & {
  readonly counts: boolean;
  /** Null when it counts. */
  readonly whyNot: string | null;
};

export type AskedApprovals = NonNullable<GatePolicy["approvals"]>;

export type WeighInput = {
  readonly asked: AskedApprovals;
  readonly digest: string;
  readonly requestedBy: Requester;
  readonly askedAt: Date;
};

/** Says of each approval and rejection, in the order given, whether it counts now, and why not. */
export function weighApprovals(approvals: readonly Approval[], input: WeighInput): WeighedApproval[] {
  const counted = new Set<string>();
  return approvals.map((approval) => {
    const person = `${approval.decision} ${approval.actorId ?? `by name ${approval.actorName}`}`;
    const whyNot = objection(approval, input) ?? (counted.has(person) ? "Said before." : null);
    if (whyNot === null) counted.add(person);
    return { ...approval, counts: whyNot === null, whyNot };
  });
}

/** When the time to approve ends. */
export function approvalDeadline({ asked, askedAt }: Pick<WeighInput, "asked" | "askedAt">): Date {
  return new Date(askedAt.getTime() + asked.expiresMs);
}

export function isReviewer(asked: AskedApprovals, actor: Requester): boolean {
  if (asked.reviewers.length === 0) return true;
  return asked.reviewers.includes(actor.name) || (actor.id !== null && asked.reviewers.includes(actor.id));
}

/** By id; by name where one of the two has none. */
export function isSamePerson(a: Requester, b: Requester): boolean {
  return a.id === null || b.id === null ? a.name === b.name : a.id === b.id;
}

function objection(approval: Approval, input: WeighInput): string | null {
  const actor = { id: approval.actorId, name: approval.actorName };
  if (approval.digest !== input.digest) return "Void: what it was given for has changed since.";
  if (!isReviewer(input.asked, actor)) return `${actor.name} is not among the reviewers.`;
  if (approval.decision === "reject") return null;
  if (!input.asked.selfApproval && isSamePerson(actor, input.requestedBy))
    return `${actor.name} started this deployment.`;
  // So that the verdict does not depend on when somebody happened to look.
  return approval.at >= approvalDeadline(input) ? "It came after the time to approve had ended." : null;
}
