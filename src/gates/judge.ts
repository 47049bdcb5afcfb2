import type { GateFacts, GatePolicy, Lock, Requester, UnwellStore } from "./facts.ts";
import { type Freeze, isFrozen } from "./freeze.ts";
import { type AskedApprovals, approvalDeadline, type WeighedApproval, weighApprovals } from "./weigh.ts";
import { joinClauses, tellSpan, tellTime } from "./wording.ts";

export type GateVerdict =
  /** `because` is shown: "Approved by ann, bob." */
  | { readonly is: "open"; readonly because: string }
  | {
      readonly is: "waits";
      /** The first that holds, in the order lock, freeze, health, approval, timer. `reason` names all. */
      readonly for: HoldKind;
      readonly reason: string;
      /** Look again at the latest then; before it only a new fact changes the verdict. Null: nothing ends by itself. */
      readonly until: Date | null;
    }
  | { readonly is: "rejected"; readonly reason: string; readonly hint: string };

export type GateInput = {
  readonly policy: GatePolicy;
  /** Of what would take traffic now: only approvals of exactly this count. */
  readonly digest: string;
  readonly requestedBy: Requester;
  /** When it began to wait for its gate. */
  readonly askedAt: Date;
  readonly facts: GateFacts;
  readonly now: Date;
};

type HoldKind = "approval" | "timer" | "lock" | "freeze" | "health";

type Hold = {
  readonly for: HoldKind;
  readonly clause: string;
  readonly until: Date | null;
};

/**
 * What holds a deployment back from taking traffic now. Break-glass opens everything; then a rejection ends it; then
 * locks, freezes, data stores that are down, missing approvals and the wait timer hold it, and all that do are told.
 */
export function judgeGate(input: GateInput): GateVerdict {
  const { facts, now } = input;
  if (facts.breakGlass) return brokenGlass(facts.breakGlass);
  const approvals = judgeApprovals(input);
  if ("is" in approvals) return approvals;
  const { hold, approvedBy } = approvals;
  const holds = [
    ...holdsOfLocks(facts.locks, now),
    ...holdsOfFreezes(facts.freezes, now),
    ...holdsOfHealth(facts.unwell ?? [], now),
    ...(hold ? [hold] : []),
    ...holdsOfTimer(input),
  ];
  if (holds.length > 0) return waits(holds);
  const because =
    approvedBy.length > 0 ? `Approved by ${approvedBy.join(", ")}.` : "Nothing asks for approval.";
  return { is: "open", because };
}

/** Whether a deployment may begin at all. Only locks forbid it: freezes and approvals are asked before traffic. */
export function judgeStart(input: {
  readonly facts: Pick<GateFacts, "locks" | "breakGlass">;
  readonly now: Date;
}): GateVerdict {
  const { facts, now } = input;
  if (facts.breakGlass) return brokenGlass(facts.breakGlass);
  const holds = holdsOfLocks(facts.locks, now);
  return holds.length > 0 ? waits(holds) : { is: "open", because: "No lock forbids it." };
}

function brokenGlass({ actorName, reason }: NonNullable<GateFacts["breakGlass"]>): GateVerdict {
  return { is: "open", because: `Break-glass by ${actorName}: ${reason}` };
}

type Judged = { readonly hold: Hold | null; readonly approvedBy: readonly string[] };

function judgeApprovals(input: GateInput): Judged | (GateVerdict & { is: "rejected" }) {
  const asked = input.policy.approvals;
  if (!asked) return { hold: null, approvedBy: [] };
  const counting = weighApprovals(input.facts.approvals, { ...input, asked }).filter(({ counts }) => counts);
  const rejection = counting.find(({ decision }) => decision === "reject");
  if (rejection) return rejectedBy(rejection);
  const approvedBy = counting.map(({ actorName }) => actorName);
  const missing = asked.required - approvedBy.length;
  if (missing <= 0) return { hold: null, approvedBy };
  const until = approvalDeadline({ asked, askedAt: input.askedAt });
  if (input.now >= until) return expired(asked, approvedBy.length);
  const who = asked.reviewers.length > 0 ? ` (by ${asked.reviewers.join(", ")})` : "";
  return {
    hold: { for: "approval", clause: `for ${countOf(missing, asked.required)}${who}`, until },
    approvedBy,
  };
}

function countOf(missing: number, required: number): string {
  const of = missing === required ? "" : ` of ${required}`;
  return `${missing}${of} approval${required === 1 ? "" : "s"}`;
}

function rejectedBy({ actorName, comment }: WeighedApproval): GateVerdict & { is: "rejected" } {
  return {
    is: "rejected",
    reason: `Rejected by ${actorName}${comment ? `: ${comment}` : "."}`,
    hint: "Change what they ask for and deploy again.",
  };
}

function expired(asked: AskedApprovals, came: number): GateVerdict & { is: "rejected" } {
  const who = asked.reviewers.length > 0 ? asked.reviewers.join(", ") : "any deployer";
  return {
    is: "rejected",
    reason: `${came} of ${asked.required} approvals came within ${tellSpan(asked.expiresMs)}.`,
    hint: `Deploy it again and ask for approval: ${who} may give it.`,
  };
}

function holdsOfLocks(locks: readonly Lock[], now: Date): Hold[] {
  return locks
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
    .map(({ ownerName, reason, expiresAt }) => ({
      for: "lock",
      clause: `for the lock by ${ownerName} ("${reason}") until ${
        expiresAt === null ? "it is released" : tellTime(expiresAt, "UTC", now)
      }`,
      until: expiresAt,
    }));
}

function holdsOfFreezes(freezes: readonly Freeze[], now: Date): Hold[] {
  return freezes.flatMap((freeze) => {
    const until = isFrozen(freeze, now);
    if (until === null) return [];
    const zone = freeze.kind === "weekly" ? freeze.timeZone : "UTC";
    return [
      { for: "freeze", clause: `for the freeze "${freeze.name}" until ${tellTime(until, zone, now)}`, until },
    ];
  });
}

/** A release on a dead database proves nothing, and taking it back would prove no more. */
function holdsOfHealth(unwell: readonly UnwellStore[], now: Date): Hold[] {
  return unwell.map(({ name, since, message }) => ({
    for: "health",
    clause: `for ${name} to be up again: down since ${tellTime(since, "UTC", now)} (${message})`,
    until: null,
  }));
}

function holdsOfTimer({ policy, askedAt, now }: GateInput): Hold[] {
  const until = new Date(askedAt.getTime() + policy.waitMs);
  if (now >= until) return [];
  return [{ for: "timer", clause: `for its wait timer until ${tellTime(until, "UTC", now)}`, until }];
}

/** Approvals are told first, because they are what a reader can do something about. */
function waits(holds: readonly Hold[]): GateVerdict {
  const [first] = holds;
  const told = [
    ...holds.filter((hold) => hold.for === "approval"),
    ...holds.filter((hold) => hold.for !== "approval"),
  ];
  const ends = holds.flatMap(({ until }) => (until === null ? [] : [until.getTime()]));
  return {
    is: "waits",
    for: first?.for ?? "approval",
    reason: `Waits ${joinClauses(
      told.map(({ clause }) => clause),
      ";",
    )}.`,
    until: ends.length === 0 ? null : new Date(Math.min(...ends)),
  };
}
