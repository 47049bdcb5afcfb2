import assert from "node:assert/strict";
import type { UpdateObject } from "kysely";
import { notify } from "../foundation/notify.ts";
import { WAKE_CHANNEL } from "./channels.ts";
import { recordEvent } from "./events.ts";
import type { Deployment } from "./record.ts";
import { mayMove, type State } from "./state.ts";
import type { EngineTables, Tx } from "./tables.ts";

/** A neighbour was changed by somebody else meanwhile: the whole transaction is to be undone and decided anew. */
export class NeighbourChanged extends Error {}

/** Releases kept for a rollback beside the live one. The target decides which of them it keeps running. */
export const RETAINED_RELEASES = 4;

/** The release that served until `by` took over. */
export async function supersedeLive(tx: Tx, by: Deployment, now: Date): Promise<void> {
  const live = await tx
    .selectFrom("deployments")
    .select(["id", "state"])
    .where("project_id", "=", by.projectId)
    .where("slot", "=", by.slot)
    .where("state", "=", "live")
    .where("id", "!=", by.id)
    .executeTakeFirst();
  if (!live) return;
  await moveNeighbour(tx, live, "superseded", now, {
    weight: 0,
    reason: `Superseded by ${by.id}.`,
    hint: null,
  });
}

/** The release that traffic went back to is live again. Done already: nothing happens. */
export async function reinstate(tx: Tx, rolledBack: Deployment, id: string, now: Date): Promise<void> {
  const row = await tx
    .selectFrom("deployments")
    .select(["id", "state"])
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  if (row.state === "live") return;
  // One that never was live leaves another one live, and only one row of a place may be.
  if (rolledBack.liveAt === null) await supersedeLive(tx, { ...rolledBack, id }, now);
  await moveNeighbour(tx, row, "live", now, {
    weight: 100,
    live_at: now,
    rollback_of: rolledBack.id,
    cleanup: null,
    reason: `Back in service: ${rolledBack.id} was rolled back.`,
    hint: null,
  });
}

async function moveNeighbour(
  tx: Tx,
  from: { id: string; state: State },
  to: State,
  now: Date,
  set: UpdateObject<EngineTables, "deployments"> & { reason: string },
): Promise<void> {
  assert.ok(mayMove(from.state, to), `${from.state} may not move to ${to}`);
  const moved = await tx
    .updateTable("deployments")
    .set((eb) => ({
      ...set,
      state: to,
      state_since: now,
      updated_at: now,
      finished_at: now,
      deadline_at: null,
      lease_token: eb("lease_token", "+", 1),
    }))
    .where("id", "=", from.id)
    .where("state", "=", from.state)
    .returning(["lease_token", "weight"])
    .executeTakeFirst();
  if (!moved) throw new NeighbourChanged(`${from.id} is no longer ${from.state}`);
  await recordEvent(tx, {
    deploymentId: from.id,
    at: now,
    from: from.state,
    to,
    weight: moved.weight,
    reason: set.reason,
    actor: "signalbox",
    leaseToken: moved.lease_token,
  });
}

/** Lets go of the releases that are too old to be rolled back to, now that `newest` serves. */
export async function retireOldReleases(tx: Tx, newest: Deployment): Promise<void> {
  const old = await tx
    .selectFrom("deployments")
    .select("id")
    .where("project_id", "=", newest.projectId)
    .where("slot", "=", newest.slot)
    .where("state", "in", ["superseded", "rolled_back"])
    .where("live_at", "is not", null)
    .where("retired_at", "is", null)
    .where("cleanup", "is", null)
    .where("id", "!=", newest.id)
    .orderBy("live_at", "desc")
    .offset(RETAINED_RELEASES)
    .execute();
  for (const { id } of old) {
    await tx
      .updateTable("deployments")
      .set({ cleanup: "retire", wake_at: null })
      .where("id", "=", id)
      .execute();
    await notify(tx, WAKE_CHANNEL, id);
  }
}

/** A place became free: the first that waits for it is looked at. */
export async function wakeNextInQueue(tx: Tx, gone: Deployment): Promise<void> {
  const next = await tx
    .updateTable("deployments")
    .set({ wake_at: null })
    .where("id", "=", (eb) =>
      eb
        .selectFrom("deployments as next")
        .select("next.id")
        .where("next.project_id", "=", gone.projectId)
        .where("next.slot", "=", gone.slot)
        .where("next.state", "=", "queued")
        .orderBy("next.seq")
        .limit(1),
    )
    .returning("id")
    .executeTakeFirst();
  if (next) await notify(tx, WAKE_CHANNEL, next.id);
}
