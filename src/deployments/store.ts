import { type ExpressionBuilder, sql } from "kysely";
import type { Clock } from "../foundation/clock.ts";
import { type Database, PG } from "../foundation/db.ts";
import { errorCodeOf } from "../foundation/errors.ts";
import type { Jobs } from "../foundation/jobs.ts";
import { notify } from "../foundation/notify.ts";
import { applyChange, type Change, isSingleWrite, LEASE_MS } from "./change.ts";
import { CHANGED_CHANNEL } from "./channels.ts";
import { NeighbourChanged } from "./neighbours.ts";
import type { Deployment } from "./record.ts";
import { ACTIVE } from "./state.ts";
import { type EngineTables, type SelectedRow, type Tx, toDeployment } from "./tables.ts";

export type StoreDeps = {
  readonly db: Database<EngineTables>;
  readonly clock: Clock;
  readonly workerId: string;
  /** Only the delayed wake-ups are left to it. */
  readonly jobs: Pick<Jobs, "add">;
};

export type Store = ReturnType<typeof createStore>;

/** All that the engine's shell reads and writes while it advances deployments; each call is one transaction. */
export function createStore(deps: StoreDeps) {
  return {
    claim: (id: string) => claim(deps, id),
    renew: (held: Deployment) => renew(deps, held),
    release: (held: Deployment) => release(deps, held),
    letGo: (held: Deployment) => letGo(deps, held),
    commit: (before: Deployment, change: Change) => commit(deps, before, change),
    blockedBy: (deployment: Deployment) => blockedBy(deps.db, deployment),
    due: (limit: number) => due(deps, limit),
    usedElsewhere: (deployment: Deployment) => usedElsewhere(deps.db, deployment),
    logTail: (id: string, lines: number) => logTail(deps.db, id, lines),
  };
}

export function selectDeployments(db: Tx) {
  return db
    .selectFrom("deployments")
    .innerJoin("projects", "projects.id", "deployments.project_id")
    .selectAll("deployments")
    .select("projects.name as project");
}

export async function loadDeployment(db: Tx, id: string): Promise<Deployment | null> {
  const row = await selectDeployments(db).where("deployments.id", "=", id).executeTakeFirst();
  return row ? toDeployment(row as SelectedRow) : null;
}

/**
 * Takes the lease of a deployment that has work left and no other owner. Null: somebody else has it, or nothing is
 * left. Its own owner gets it again: after an error it does not know what it holds.
 */
async function claim(deps: StoreDeps, id: string): Promise<Deployment | null> {
  const now = deps.clock.now();
  const row = await deps.db
    .updateTable("deployments")
    .from("projects")
    .set((eb) => ({
      lease_owner: deps.workerId,
      lease_until: new Date(now.getTime() + LEASE_MS),
      lease_token: eb("deployments.lease_token", "+", 1),
      wake_at: null,
    }))
    .where("deployments.id", "=", id)
    .whereRef("projects.id", "=", "deployments.project_id")
    .where((eb) =>
      eb.or([
        eb("lease_until", "is", null),
        eb("lease_until", "<=", now),
        eb("lease_owner", "=", deps.workerId),
      ]),
    )
    .where(hasWork)
    .returningAll("deployments")
    .returning("projects.name as project")
    .executeTakeFirst();
  return row ? toDeployment(row as SelectedRow) : null;
}

function hasWork<T extends { deployments: EngineTables["deployments"] }>(
  eb: ExpressionBuilder<T, "deployments">,
) {
  const own = eb as unknown as ExpressionBuilder<EngineTables, "deployments">;
  return own.or([own("cleanup", "is not", null), own("state", "in", ["queued", ...ACTIVE])]);
}

/** Keeps the lease. Null: it was taken over, so stop. */
async function renew(deps: StoreDeps, held: Deployment): Promise<Deployment | null> {
  const leaseUntil = new Date(deps.clock.now().getTime() + LEASE_MS);
  const done = await deps.db
    .updateTable("deployments")
    .set({ lease_until: leaseUntil })
    .where("id", "=", held.id)
    .where("lease_token", "=", held.leaseToken)
    .where("state", "=", held.state)
    .executeTakeFirst();
  return done.numUpdatedRows === 1n ? { ...held, leaseUntil } : null;
}

/** Gives the lease back with work left: whoever comes next goes on at once. */
async function release(deps: StoreDeps, held: Deployment): Promise<void> {
  await deps.db
    .updateTable("deployments")
    .set({ lease_owner: null, lease_until: null, wake_at: null })
    .where("id", "=", held.id)
    .where("lease_token", "=", held.leaseToken)
    .execute();
}

/**
 * Said by an owner that lost its lease and has nothing under way at the target: whoever took over need not wait for
 * what it might still have done. Only to the next owner: a later one waits for another.
 */
async function letGo(deps: StoreDeps, held: Deployment): Promise<void> {
  const done = await deps.db
    .updateTable("deployments")
    .set({ facts: sql`facts - 'settleAtMs'` })
    .where("id", "=", held.id)
    .where("state", "=", "rolling_back")
    .where("lease_token", "=", held.leaseToken + 1)
    .executeTakeFirst();
  if (done.numUpdatedRows === 1n) await notify(deps.db, CHANGED_CHANNEL, held.id);
}

class Conflict extends Error {}

/**
 * Writes one step, or nothing. `conflict`: the state or the lease is no longer the caller's; `blocked`: another
 * deployment became active in the same place first.
 */
async function commit(
  deps: StoreDeps,
  before: Deployment,
  change: Change,
): Promise<Deployment | "conflict" | "blocked"> {
  if (isSingleWrite(before, change)) return applyChange(deps, deps.db, before, change);
  try {
    return await deps.db.transaction().execute(async (tx) => {
      const after = await applyChange(deps, tx, before, change);
      // Thrown, so that what was written for the neighbours before it is undone.
      if (after === "conflict") throw new Conflict();
      return after;
    });
  } catch (error) {
    if (error instanceof Conflict || error instanceof NeighbourChanged) return "conflict";
    if (errorCodeOf(error) === PG.uniqueViolation) return "blocked";
    throw error;
  }
}

/** Who has to end or start before a queued deployment may: the active one of its place, or an earlier arrival. */
async function blockedBy(db: Tx, { projectId, slot, seq }: Deployment): Promise<string | null> {
  const row = await db
    .selectFrom("deployments")
    .select("id")
    .where("project_id", "=", projectId)
    .where("slot", "=", slot)
    .where((eb) =>
      eb.or([eb("state", "in", [...ACTIVE]), eb.and([eb("state", "=", "queued"), eb("seq", "<", seq)])]),
    )
    .orderBy("seq")
    .limit(1)
    .executeTakeFirst();
  return row?.id ?? null;
}

/** Deployments with work left, no live owner, and no reason to wait: what the sweep wakes. */
async function due(deps: StoreDeps, limit: number): Promise<string[]> {
  const now = deps.clock.now();
  const rows = await deps.db
    .selectFrom("deployments")
    .select("id")
    .where(hasWork)
    .where((eb) => eb.or([eb("lease_until", "is", null), eb("lease_until", "<=", now)]))
    .where((eb) => eb.or([eb("wake_at", "is", null), eb("wake_at", "<=", now)]))
    .orderBy("seq")
    .limit(limit)
    .execute();
  return rows.map((row) => row.id);
}

/** True when another deployment that may serve has the same release at the target: then it must not be let go. */
async function usedElsewhere(db: Tx, { id, targetDeploymentId }: Deployment): Promise<boolean> {
  const row = await db
    .selectFrom("deployments")
    .select(sql<number>`1`.as("one"))
    .where("target_deployment_id", "=", targetDeploymentId)
    .where("id", "!=", id)
    .where("retired_at", "is", null)
    .where("cleanup", "is", null)
    .where("state", "not in", ["failed", "canceled", "rejected"])
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** The last lines of the build log, oldest first. */
async function logTail(db: Tx, id: string, lines: number): Promise<string[]> {
  const rows = await db
    .selectFrom("deployment_logs")
    .select("text")
    .where("deployment_id", "=", id)
    .orderBy("seq", "desc")
    .limit(lines)
    .execute();
  return rows.map((row) => row.text).reverse();
}
