import assert from "node:assert/strict";
import { deadlineOf } from "./deadlines.ts";
import type { DeploymentEvent } from "./events.ts";
import type { Columns, LedgerTx } from "./ledger.ts";
import { reinstate, retireOldReleases, supersedeLive, wakeNextInQueue } from "./neighbours.ts";
import { outcomeOf } from "./outcome.ts";
import type { Patch } from "./reconcile.ts";
import { type Deployment, slotOf } from "./record.ts";
import { isActive, isSettled, mayMove, type State } from "./state.ts";

/** How long a silent owner keeps a deployment. It renews well before; nobody else acts before it is over. */
export const LEASE_MS = 10_000;

export type Change = {
  /** Left out: it stays in its state. */
  readonly to?: State;
  readonly reason?: string;
  readonly hint?: string;
  readonly patch?: Patch;
  /** Who is named in the event; default: the engine. */
  readonly actor?: string;
  /** Set: the lease is given back, and the deployment is looked at again then (null: only when something happens). */
  readonly release?: { readonly wakeAt: Date | null };
  /** Set: the lease passes to the caller whoever held it; the former holder is told, and its writes are refused. */
  readonly takeOver?: { readonly owner: string };
};

/**
 * The only way to change a deployment that is under way. Conditional on the state and the lease token that `before`
 * was read with, so of two writers one gets `conflict` and has changed nothing. Row, event and what follows from it
 * for its neighbours belong to the caller's transaction.
 */
export async function applyChange(
  tx: LedgerTx,
  now: Date,
  before: Deployment,
  change: Change,
): Promise<Deployment | "conflict"> {
  const { to, patch } = change;
  if (to) assert.ok(mayMove(before.state, to), `${before.state} may not move to ${to}`);
  const branch = patch?.branch ?? before.branch;
  const slot = slotOf(before.environment, branch, before.pullRequest);
  assert.equal(slot, before.slot, "a deployment never changes its place");
  // First, because only one row of a place may be `live`; if the update below finds a conflict, the caller rolls back.
  if (to === "live") await supersedeLive(tx, before, now);
  const where = { id: before.id, state: before.state, leaseToken: before.leaseToken };
  const after = await tx.update(where, columnsOf(before, change, now));
  if (!after) return "conflict";
  if (to || after.weight !== before.weight || isBlockChange(before, change)) {
    await tx.event(eventOf(before, after, change, now), change.takeOver !== undefined);
  }
  if (to) await movedOn(tx, before, after, now);
  const wakeAt = change.release?.wakeAt;
  if (wakeAt) await tx.wakeAt(before.id, wakeAt);
  return after;
}

/** True when `applyChange` writes one row only, so that it needs no transaction of its own. */
export function isSingleWrite(before: Deployment, change: Change): boolean {
  const weight = change.patch?.weight;
  const sameWeight = weight === undefined || weight === before.weight;
  return !change.to && !change.release?.wakeAt && sameWeight && !isBlockChange(before, change);
}

/** What holds a deployment up is told when it begins and when it ends, and not at each try between. */
function isBlockChange({ facts }: Deployment, { patch }: Change): boolean {
  return patch?.facts !== undefined && facts.blocked?.by !== patch.facts.blocked?.by;
}

async function movedOn(tx: LedgerTx, before: Deployment, after: Deployment, now: Date): Promise<void> {
  if (after.state === "live") await retireOldReleases(tx, after);
  if (after.state === "rolled_back" && before.rollbackToId)
    await reinstate(tx, after, before.rollbackToId, now);
  if (isActive(before.state) && !isActive(after.state)) await wakeNextInQueue(tx, before);
}

function columnsOf(before: Deployment, change: Change, now: Date): Columns {
  const leaseUntil = new Date(now.getTime() + LEASE_MS);
  const { takeOver, release, patch } = change;
  return {
    ...patch,
    ...(change.to ? stateColumns(before, change, change.to, now) : {}),
    ...(takeOver ? { leaseOwner: takeOver.owner, leaseToken: before.leaseToken + 1 } : {}),
    ...(release ? { leaseOwner: null, leaseUntil: null, wakeAt: release.wakeAt } : { leaseUntil }),
    updatedAt: now,
  };
}

function stateColumns(before: Deployment, change: Change, to: State, now: Date): Columns {
  const after = { ...before, ...change.patch };
  return {
    state: to,
    stateSince: now,
    deadlineAt: deadlineOf(after, to, now),
    reason: change.reason ?? null,
    hint: change.hint ?? null,
    ...(isSettled(to)
      ? { finishedAt: now, outcome: outcomeOf(before, to, change.patch?.outcome ?? null) }
      : {}),
    ...(to === "live" ? { liveAt: now, contractAt: contractDueAt(after, now) } : {}),
    ...(before.state === "live" ? { contractAt: null } : {}),
  };
}

/** When the release before it is none to go back to any more, and nobody is on it either. */
export function contractDueAt({ plan }: Pick<Deployment, "plan">, liveAt: Date): Date | null {
  if (!plan?.schema || plan.schema.contract.length === 0) return null;
  return new Date(liveAt.getTime() + Math.max(plan.rollbackWindowMs, plan.drainMs));
}

function eventOf(before: Deployment, after: Deployment, change: Change, at: Date): DeploymentEvent {
  return {
    deploymentId: before.id,
    at,
    from: before.state,
    to: after.state,
    weight: after.weight,
    reason: change.reason ?? (isBlockChange(before, change) ? (after.facts.blocked?.reason ?? null) : null),
    actor: change.actor ?? "signalbox",
    leaseToken: after.leaseToken,
  };
}
