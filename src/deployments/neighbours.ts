import assert from "node:assert/strict";
import { type Columns, LedgerConflict, type LedgerTx } from "./ledger.ts";
import type { Deployment } from "./record.ts";
import { mayMove, type State } from "./state.ts";

/** Releases kept for a rollback beside the live one. The target decides which of them it keeps running. */
export const RETAINED_RELEASES = 4;

/** The release that served until `by` took over. */
export async function supersedeLive(
  tx: LedgerTx,
  by: Pick<Deployment, "id" | "projectId" | "slot">,
  now: Date,
): Promise<void> {
  const live = await tx.liveOf(by.projectId, by.slot);
  if (!live || live.id === by.id) return;
  await moveNeighbour(tx, live, "superseded", now, {
    ...withWeight(live, 0),
    reason: `Superseded by ${by.id}.`,
    hint: null,
    contractAt: null,
  });
}

/** The release that traffic went back to is live again. Done already: nothing happens. */
export async function reinstate(tx: LedgerTx, rolledBack: Deployment, id: string, now: Date): Promise<void> {
  const row = await tx.load(id);
  assert.ok(row, `no deployment ${id} to go back to`);
  if (row.state === "live") return;
  // One that never was live leaves another one live, and only one row of a place may be.
  if (rolledBack.liveAt === null) await supersedeLive(tx, { ...rolledBack, id }, now);
  await moveNeighbour(tx, row, "live", now, {
    ...withWeight(row, 100),
    liveAt: now,
    rollbackOf: rolledBack.id,
    outcome: "success",
    cleanup: null,
    reason: `Back in service: ${rolledBack.id} was rolled back.`,
    hint: null,
  });
}

function withWeight({ services }: Deployment, weight: number): Columns {
  return { weight, services: services.map((service) => ({ ...service, weight })) };
}

/** As `tryMoveNeighbour`. @throws LedgerConflict when it was changed meanwhile: decide anew. */
export async function moveNeighbour(
  tx: LedgerTx,
  from: Deployment,
  to: State,
  now: Date,
  set: Columns & { reason: string },
): Promise<Deployment> {
  const moved = await tryMoveNeighbour(tx, from, to, now, set);
  if (!moved) throw new LedgerConflict("conflict", `${from.id} is no longer ${from.state}`);
  return moved;
}

/** Moves a deployment that nobody works on. Null: it is no longer in that state. */
export async function tryMoveNeighbour(
  tx: LedgerTx,
  from: Deployment,
  to: State,
  now: Date,
  set: Columns & { reason: string },
): Promise<Deployment | null> {
  assert.ok(mayMove(from.state, to), `${from.state} may not move to ${to}`);
  const columns = { ...set, state: to, stateSince: now, updatedAt: now, finishedAt: now, deadlineAt: null };
  const moved = await tx.update({ id: from.id, state: from.state }, columns, { bumpToken: true });
  if (!moved) return null;
  await tx.event({
    deploymentId: from.id,
    at: now,
    from: from.state,
    to,
    weight: moved.weight,
    reason: set.reason,
    actor: "signalbox",
    leaseToken: moved.leaseToken,
  });
  return moved;
}

/** Lets go of the releases that are too old to be rolled back to, now that `newest` serves. */
export async function retireOldReleases(tx: LedgerTx, newest: Deployment): Promise<void> {
  const kept = await tx.retained(newest.projectId, newest.slot);
  const old = kept.filter((each) => each.id !== newest.id).slice(RETAINED_RELEASES);
  for (const { id } of old) {
    await tx.update({ id }, { cleanup: "retire", wakeAt: null });
    await tx.wake(id);
  }
}

/** A place became free: the first that waits for it is looked at. */
export async function wakeNextInQueue(
  tx: LedgerTx,
  gone: Pick<Deployment, "projectId" | "slot">,
): Promise<void> {
  const [next] = await tx.queuedIn(gone.projectId, gone.slot);
  if (!next) return;
  await tx.update({ id: next.id, state: "queued" }, { wakeAt: null });
  await tx.wake(next.id);
}
