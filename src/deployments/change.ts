import assert from "node:assert/strict";
import { sql, type UpdateObject } from "kysely";
import type { Clock } from "../foundation/clock.ts";
import type { Jobs } from "../foundation/jobs.ts";
import { deadlineOf } from "./deadlines.ts";
import { type DeploymentEvent, recordEvent } from "./events.ts";
import { reinstate, retireOldReleases, supersedeLive, wakeNextInQueue } from "./neighbours.ts";
import type { Patch } from "./reconcile.ts";
import { type Deployment, slotOf } from "./record.ts";
import { isActive, isSettled, mayMove, type State } from "./state.ts";
import { type EngineTables, type SelectedRow, type Tx, toDeployment } from "./tables.ts";

export const ADVANCE_QUEUE = "deployment.advance";

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

export type ChangeDeps = { readonly clock: Clock; readonly jobs: Pick<Jobs, "add"> };

/**
 * The only way to change a deployment that is under way. Conditional on the state and the lease token that `before`
 * was read with, so of two writers one gets `conflict` and has changed nothing. Row, event and what follows from it
 * for its neighbours belong to the caller's transaction.
 */
export async function applyChange(
  deps: ChangeDeps,
  tx: Tx,
  before: Deployment,
  change: Change,
): Promise<Deployment | "conflict"> {
  const now = deps.clock.now();
  const { to } = change;
  if (to) assert.ok(mayMove(before.state, to), `${before.state} may not move to ${to}`);
  // First, because only one row of a place may be `live`; if the update below finds a conflict, the caller rolls back.
  if (to === "live") await supersedeLive(tx, before, now);
  const row = await tx
    .updateTable("deployments")
    .set(columnsOf(before, change, now))
    .where("id", "=", before.id)
    .where("state", "=", before.state)
    .where("lease_token", "=", before.leaseToken)
    .returningAll()
    .returning(sql<string>`${before.project}`.as("project"))
    .executeTakeFirst();
  if (!row) return "conflict";
  const after = toDeployment(row as SelectedRow);
  if (to || after.weight !== before.weight) {
    await recordEvent(tx, eventOf(before, after, change, now), change.takeOver !== undefined);
  }
  if (to) await movedOn(tx, before, to, now);
  const wakeAt = change.release?.wakeAt;
  if (wakeAt)
    await deps.jobs.add(
      tx,
      ADVANCE_QUEUE,
      { id: before.id },
      { startAfter: wakeAt, singletonKey: before.id },
    );
  return after;
}

/** True when `applyChange` writes one row only, so that it needs no transaction of its own. */
export function isSingleWrite(before: Deployment, change: Change): boolean {
  const weight = change.patch?.weight;
  return !change.to && !change.release?.wakeAt && (weight === undefined || weight === before.weight);
}

async function movedOn(tx: Tx, before: Deployment, to: State, now: Date): Promise<void> {
  if (to === "live") await retireOldReleases(tx, before);
  if (to === "rolled_back" && before.rollbackToId) await reinstate(tx, before, before.rollbackToId, now);
  if (isActive(before.state) && !isActive(to)) await wakeNextInQueue(tx, before);
}

function columnsOf(before: Deployment, change: Change, now: Date): UpdateObject<EngineTables, "deployments"> {
  const lease = { lease_until: new Date(now.getTime() + LEASE_MS) };
  const { takeOver, release } = change;
  return {
    ...patchColumns(before, change.patch ?? {}),
    ...(change.to ? stateColumns(before, change, change.to, now) : {}),
    ...(takeOver ? { ...lease, lease_owner: takeOver.owner, lease_token: before.leaseToken + 1 } : {}),
    ...(release ? { lease_owner: null, lease_until: null, wake_at: release.wakeAt } : takeOver ? {} : lease),
    updated_at: now,
  };
}

function stateColumns(before: Deployment, change: Change, to: State, now: Date) {
  return {
    state: to,
    state_since: now,
    deadline_at: deadlineOf({ ...before, ...change.patch }, to, now),
    reason: change.reason ?? null,
    hint: change.hint ?? null,
    ...(isSettled(to) ? { finished_at: now } : {}),
    ...(to === "live" ? { live_at: now } : {}),
  };
}

function patchColumns(before: Deployment, patch: Patch): UpdateObject<EngineTables, "deployments"> {
  const branch = patch.branch ?? before.branch;
  assert.equal(slotOf(before.environment, branch), before.slot, "a deployment never changes its place");
  const { commit } = patch;
  const columns = {
    branch: patch.branch,
    ...(commit ? { commit_sha: commit.sha, commit_message: commit.message, dirty: commit.dirty } : {}),
    target_deployment_id: patch.targetDeploymentId,
    url: patch.url,
    urls: patch.urls && JSON.stringify(patch.urls),
    kind: patch.kind,
    reused: patch.reused,
    build_started_at: patch.buildStartedAt,
    plan: patch.plan && JSON.stringify(patch.plan),
    facts: patch.facts && JSON.stringify(patch.facts),
    weight: patch.weight,
    previous_target_id: patch.previousTargetId,
    rollback_to_id: patch.rollbackToId,
    rollback_to_target_id: patch.rollbackToTargetId,
    cleanup: patch.cleanup,
    retired_at: patch.retiredAt,
  };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined));
}

function eventOf(before: Deployment, after: Deployment, change: Change, at: Date): DeploymentEvent {
  return {
    deploymentId: before.id,
    at,
    from: before.state,
    to: after.state,
    weight: after.weight,
    reason: change.reason ?? null,
    actor: change.actor ?? "signalbox",
    leaseToken: after.leaseToken,
  };
}
