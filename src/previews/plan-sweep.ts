import { type PreviewPolicy, refusalOf, showTtl } from "./policy.ts";
import type { ExistingPreview, OpenPreview } from "./ports.ts";

/**
 * Why a preview was closed. `gone`: what it was of is no longer open. `expired` and `person` hold until its head moves
 * or it is opened anew; the others end by themselves.
 */
export type CloseKind = "gone" | "expired" | "person" | "policy" | "limit";

/** What an earlier sweep, or a person, wrote down of a preview. */
export type PreviewMemory = {
  readonly key: string;
  readonly source: string;
  readonly closed: {
    readonly kind: CloseKind;
    readonly reason: string;
    readonly commit: string | null;
    readonly newestDeploymentId: string | null;
  } | null;
};

export type DeployStep = {
  readonly kind: "deploy";
  readonly key: string;
  readonly pullRequest: number | null;
  readonly branch: string;
  readonly commit: string | null;
  readonly why: string;
};
export type CloseStep = {
  readonly kind: "close";
  readonly key: string;
  readonly as: CloseKind;
  readonly why: string;
};
export type SweepStep =
  | DeployStep
  | CloseStep
  /** It exists and stays. `ours` is false where it was made by hand. */
  | { readonly kind: "keep"; readonly key: string; readonly ours: boolean; readonly why: string }
  /** It is open and gets none. */
  | { readonly kind: "skip"; readonly key: string; readonly why: string };

export type SweepInput = {
  readonly open: readonly OpenPreview[];
  readonly existing: readonly ExistingPreview[];
  readonly memory: readonly PreviewMemory[];
  readonly policy: PreviewPolicy;
  readonly now: Date;
};

/** Of one key: what is open, what exists, what is remembered. */
type Case = {
  readonly key: string;
  readonly open: OpenPreview | null;
  readonly existing: ExistingPreview | null;
  readonly memory: PreviewMemory | null;
};

/** A preview that has a place, or asks for one, before the limit is looked at. */
type Claim = { readonly of: Case; readonly step: SweepStep; readonly order: readonly [number, string] };

/**
 * What makes the previews that exist those that are wanted. Pure and level-triggered: it looks at what is, not at what
 * happened, so what a lost webhook missed is made good, and when its steps are done it finds nothing to do. Closing
 * comes first, so that what it frees can be used. The order of what it is given does not matter.
 *
 * Those that have a preview keep it; free places go to the newest pull requests, to branches by name. Only when the
 * limit was lowered do previews go for it: those that were longest without a push.
 */
export function planSweep(input: SweepInput): SweepStep[] {
  const settled: SweepStep[] = [];
  const holding: Claim[] = [];
  const asking: Claim[] = [];
  for (const each of casesOf(input)) {
    const step = each.existing
      ? stepForExisting(input, each, each.existing)
      : stepForOpen(input.policy, each);
    if (step === null) continue;
    const takesPlace = step.kind === "deploy" || (step.kind === "keep" && step.ours);
    if (!takesPlace) settled.push(step);
    else if (each.existing)
      holding.push({ of: each, step, order: [-activityOf(each, step, input.now), each.key] });
    else asking.push({ of: each, step, order: [-(each.open?.pullRequest ?? 0), each.key] });
  }
  const { limit } = input.policy;
  const room = Math.max(0, limit - holding.length);
  const steps = [
    ...settled,
    ...inOrder(holding).map(({ of, step }, at) => (at < limit ? step : overLimit(of.key, limit))),
    ...inOrder(asking).map(({ of, step }, at) => (at < room ? step : noRoom(of.key, limit))),
  ];
  return steps.sort((a, b) => RANK[a.kind] - RANK[b.kind]);
}

const RANK = { close: 0, deploy: 1, keep: 2, skip: 3 } as const;

function casesOf({ open, existing, memory }: SweepInput): Case[] {
  const opens = new Map(open.map((each) => [each.key, each]));
  const exists = new Map(existing.map((each) => [each.key, each]));
  const memories = new Map(memory.map((each) => [each.key, each]));
  // What is only remembered needs nothing.
  return [...new Set([...opens.keys(), ...exists.keys()])].sort().map((key) => ({
    key,
    open: opens.get(key) ?? null,
    existing: exists.get(key) ?? null,
    memory: memories.get(key) ?? null,
  }));
}

function stepForExisting({ policy, now }: SweepInput, of: Case, existing: ExistingPreview): SweepStep {
  const { key, open, memory } = of;
  const closing = memory?.closed ?? null;
  if (closing !== null && closing.newestDeploymentId === existing.newestDeploymentId) {
    return { kind: "close", key, as: closing.kind, why: closing.reason };
  }
  const refusal = open === null ? null : refusalOf(policy, open);
  // A newer deployment than the one that was closed was made by a person.
  const ours = memory !== null && closing === null;
  if (!ours && (policy.source === "none" || open === null || refusal !== null)) {
    return {
      kind: "keep",
      key,
      ours: false,
      why: "It was made by hand; it stays until it is closed by hand.",
    };
  }
  const close = (as: CloseKind, why: string): SweepStep => ({ kind: "close", key, as, why });
  if (policy.source === "none") return close("policy", "policy none");
  if (ours && memory.source !== policy.source) return close("policy", `policy now ${policy.source}`);
  if (open === null) {
    return close("gone", existing.pullRequest === null ? "branch deleted" : "pull request closed");
  }
  if (refusal !== null) return close("policy", refusal);
  if (headMoved(open, existing)) return deploy(open, `Its head moved to ${short(open.commit)}.`);
  const expiresAt = expiryOf(policy, existing);
  if (expiresAt !== null && expiresAt <= now) {
    return close("expired", `expired after ${showTtl(policy.ttlMs ?? 0)}`);
  }
  return { kind: "keep", key, ours: true, why: keepReason(existing) };
}

function stepForOpen(policy: PreviewPolicy, { key, open, memory }: Case): SweepStep | null {
  if (open === null || policy.source === "none") return null;
  const refusal = refusalOf(policy, open);
  if (refusal !== null) return { kind: "skip", key, why: refusal };
  const closed = memory?.closed ?? null;
  const holds = closed !== null && (closed.kind === "expired" || closed.kind === "person");
  if (holds && closed.commit === open.commit) {
    return { kind: "skip", key, why: `It was closed (${closed.reason}); the next push makes it again.` };
  }
  return deploy(open, closed === null ? "It was opened." : "It is open again.");
}

function deploy({ key, pullRequest, branch, commit }: OpenPreview, why: string): DeployStep {
  return { kind: "deploy", key, pullRequest, branch, commit, why };
}

function headMoved(open: OpenPreview, existing: ExistingPreview): boolean {
  if (open.commit === null) return false;
  // A deployment of a branch's head says which commit that is once it is prepared.
  if (existing.commit === null) return existing.state !== "queued" && existing.state !== "preparing";
  return open.commit !== existing.commit;
}

/** When a preview goes if nothing happens to it; null: it does not. */
export function expiryOf(policy: PreviewPolicy, existing: ExistingPreview): Date | null {
  return policy.ttlMs === null ? null : new Date(existing.lastActivityAt.getTime() + policy.ttlMs);
}

function keepReason({ pullRequest, branch, state }: ExistingPreview): string {
  const open = pullRequest === null ? `Branch ${branch} exists` : `Pull request #${pullRequest} is open`;
  const failed = state === "failed" || state === "canceled" || state === "rejected";
  return failed ? `${open}; its newest deployment is ${state}, and the next push is deployed.` : `${open}.`;
}

/** A push that is about to be deployed is the newest activity there is. */
function activityOf({ existing }: Case, step: SweepStep, now: Date): number {
  return step.kind === "deploy" ? now.getTime() : (existing?.lastActivityAt.getTime() ?? 0);
}

function inOrder(claims: readonly Claim[]): Claim[] {
  return claims.toSorted(
    ({ order: [a, keyA] }, { order: [b, keyB] }) => a - b || (keyA < keyB ? -1 : keyA > keyB ? 1 : 0),
  );
}

function overLimit(key: string, limit: number): SweepStep {
  return { kind: "close", key, as: "limit", why: `over the limit of ${limit}` };
}

function noRoom(key: string, limit: number): SweepStep {
  return { kind: "skip", key, why: `There are ${limit} previews already, which is the policy's limit.` };
}

function short(commit: string | null): string {
  return commit?.slice(0, 7) ?? "another commit";
}
