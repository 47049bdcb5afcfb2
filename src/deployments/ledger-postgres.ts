import { type ExpressionBuilder, sql, type UpdateObject } from "kysely";
import { audit } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { type Database, PG } from "../foundation/db.ts";
import { errorCodeOf } from "../foundation/errors.ts";
import type { Jobs } from "../foundation/jobs.ts";
import { notify } from "../foundation/notify.ts";
import { ADVANCE_QUEUE, CHANGED_CHANNEL, WAKE_CHANNEL } from "./channels.ts";
import { writeEvent } from "./events.ts";
import { type Columns, type Condition, type Ledger, LedgerConflict, type LedgerTx } from "./ledger.ts";
import {
  findByKey,
  findIntent,
  findProjects,
  loadDeployment,
  readSlots,
  readSources,
  selectDeployments,
} from "./ledger-queries.ts";
import type { Deployment } from "./record.ts";
import { ACTIVE } from "./state.ts";
import { type EngineTables, type SelectedRow, type Tx, toColumns, toDeployment } from "./tables.ts";

export type LedgerDeps = {
  readonly db: Database<EngineTables>;
  readonly clock: Clock;
  /** Only the delayed wake-ups are left to it. */
  readonly jobs: Pick<Jobs, "add">;
};

/** More releases than are ever kept ready, and more than anyone queues. */
const PLACE_LIMIT = 100;

/** The ledger on PostgreSQL: the only SQL of the engine that writes. */
export function createLedger(deps: LedgerDeps): Ledger {
  const { db } = deps;
  return {
    ...ledgerTx(deps, db),
    transaction: (work) => conflictsNamed(() => db.transaction().execute((tx) => work(ledgerTx(deps, tx)))),
    claim: (id, owner, now, until) => claim(db, id, owner, now, until),
    renew: (held, until) => renew(db, held, until),
    release: (held) => release(db, held),
    letGo: (held) => letGo(db, held),
    due: (now, limit) => due(db, now, limit),
    blockedBy: (deployment) => blockedBy(db, deployment),
    signals: (id, after) =>
      db
        .selectFrom("deployment_signals")
        .select(["id", "kind", "actor_name as by", "reason"])
        .where("deployment_id", "=", id)
        .where("id", ">", after)
        .orderBy("id")
        .execute(),
    logTail: (id, lines) => logTail(db, id, lines),
    findProjects: (name) => findProjects(db, name),
    findByKey: (actorId, key) => findByKey(db, actorId, key),
    findIntent: (actorId, key) => findIntent(db, actorId, key),
    sources: (projectId, branch) => readSources(db, projectId, branch),
    slots: (projectId, environment) => readSlots(db, projectId, environment),
  };
}

function ledgerTx({ clock, jobs }: LedgerDeps, tx: Tx): LedgerTx {
  const inPlace = (projectId: string, slot: string) =>
    selectDeployments(tx).where("project_id", "=", projectId).where("slot", "=", slot);
  return {
    load: (id) => loadDeployment(tx, id),
    update: (where, set, options) => update(tx, where, set, options?.bumpToken === true),
    insert: (row) => conflictsNamed(() => insert(tx, row)),
    liveOf: async (projectId, slot) => {
      const row = await inPlace(projectId, slot).where("state", "=", "live").executeTakeFirst();
      return row ? toDeployment(row as SelectedRow) : null;
    },
    place: async (projectId, slot) => {
      const rows = await inPlace(projectId, slot)
        .where((eb) =>
          eb.or([
            eb("state", "in", ["queued", "live", ...ACTIVE]),
            eb.and([
              eb("state", "in", ["superseded", "rolled_back"]),
              eb("live_at", "is not", null),
              eb("retired_at", "is", null),
            ]),
          ]),
        )
        .orderBy("seq", "desc")
        .limit(PLACE_LIMIT)
        .execute();
      return rows.map((row) => toDeployment(row as SelectedRow));
    },
    queuedIn: async (projectId, slot) => {
      const rows = await inPlace(projectId, slot).where("state", "=", "queued").orderBy("seq").execute();
      return rows.map((row) => toDeployment(row as SelectedRow));
    },
    retained: async (projectId, slot) => {
      const rows = await inPlace(projectId, slot)
        .where("state", "in", ["superseded", "rolled_back"])
        .where("live_at", "is not", null)
        .where("retired_at", "is", null)
        .where("cleanup", "is", null)
        .orderBy("live_at", "desc")
        .execute();
      return rows.map((row) => toDeployment(row as SelectedRow));
    },
    releaseInUse: (release, besides) => releaseInUse(tx, release, besides),
    event: (event, wake) => writeEvent(tx, event, wake),
    wake: (id) => notify(tx, WAKE_CHANNEL, id),
    wakeAt: (id, at) => jobs.add(tx, ADVANCE_QUEUE, { id }, { startAfter: at, singletonKey: id }),
    intent: async (intent) => {
      await tx
        .insertInto("deployment_rollbacks")
        .values({
          id: intent.id,
          project_id: intent.projectId,
          from_id: intent.fromId,
          to_id: intent.toId,
          stopped: JSON.stringify(intent.stopped),
          reason: intent.reason,
          actor_id: intent.actorId,
          actor_name: intent.actorName,
          idempotency_key: intent.idempotencyKey,
          created_at: intent.createdAt,
        })
        .execute();
    },
    signal: async ({ deploymentId, kind, by, reason }) => {
      const row = { deployment_id: deploymentId, kind, reason, actor_name: by, at: clock.now() };
      await tx.insertInto("deployment_signals").values(row).execute();
    },
    audit: (entry) => audit(tx, entry),
  };
}

async function update(
  tx: Tx,
  where: Condition,
  set: Columns,
  bumpToken: boolean,
): Promise<Deployment | null> {
  const columns = toColumns(set) as UpdateObject<EngineTables, "deployments">;
  let query = tx
    .updateTable("deployments")
    .from("projects")
    .set((eb) => ({
      ...columns,
      ...(bumpToken ? { lease_token: eb("deployments.lease_token", "+", 1) } : {}),
    }))
    .whereRef("projects.id", "=", "deployments.project_id")
    .where("deployments.id", "=", where.id);
  if (where.state !== undefined) query = query.where("state", "=", where.state);
  if (where.leaseToken !== undefined) query = query.where("lease_token", "=", where.leaseToken);
  const row = await conflictsNamed(() =>
    query.returningAll("deployments").returning("projects.name as project").executeTakeFirst(),
  );
  return row ? toDeployment(row as SelectedRow) : null;
}

async function insert(tx: Tx, row: Parameters<LedgerTx["insert"]>[0]): Promise<Deployment> {
  const { seq } = await tx
    .insertInto("deployments")
    .values(toColumns(row) as never)
    .returning("seq")
    .executeTakeFirstOrThrow();
  const { name: project } = await tx
    .selectFrom("projects")
    .select("name")
    .where("id", "=", row.projectId)
    .executeTakeFirstOrThrow();
  return { ...row, seq, project };
}

/** Postgres's own codes as what they mean here. */
async function conflictsNamed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errorCodeOf(error);
    const constraint = (error as { constraint?: string } | null)?.constraint ?? "";
    if (code === PG.uniqueViolation) {
      throw new LedgerConflict(constraint.endsWith("_key") ? "known" : "occupied", constraint);
    }
    if (code === PG.serializationFailure || code === PG.deadlock) throw new LedgerConflict("conflict", code);
    throw error;
  }
}

async function claim(db: Tx, id: string, owner: string, now: Date, until: Date): Promise<Deployment | null> {
  const row = await db
    .updateTable("deployments")
    .from("projects")
    .set((eb) => ({
      lease_owner: owner,
      lease_until: until,
      lease_token: eb("deployments.lease_token", "+", 1),
      wake_at: null,
    }))
    .where("deployments.id", "=", id)
    .whereRef("projects.id", "=", "deployments.project_id")
    .where((eb) =>
      eb.or([eb("lease_until", "is", null), eb("lease_until", "<=", now), eb("lease_owner", "=", owner)]),
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
  return own.or([
    own("cleanup", "is not", null),
    own("contract_at", "is not", null),
    own("state", "in", ["queued", ...ACTIVE]),
  ]);
}

async function renew(db: Tx, held: Deployment, until: Date): Promise<boolean> {
  const done = await db
    .updateTable("deployments")
    .set({ lease_until: until })
    .where("id", "=", held.id)
    .where("lease_token", "=", held.leaseToken)
    .where("state", "=", held.state)
    .executeTakeFirst();
  return done.numUpdatedRows === 1n;
}

async function release(db: Tx, held: Deployment): Promise<void> {
  await db
    .updateTable("deployments")
    .set({ lease_owner: null, lease_until: null, wake_at: null })
    .where("id", "=", held.id)
    .where("lease_token", "=", held.leaseToken)
    .execute();
}

/** Only to the next owner: a later one waits for another. */
async function letGo(db: Tx, held: Deployment): Promise<void> {
  const done = await db
    .updateTable("deployments")
    .set({ facts: sql`facts - 'settleAtMs'` })
    .where("id", "=", held.id)
    .where("state", "=", "rolling_back")
    .where("lease_token", "=", held.leaseToken + 1)
    .executeTakeFirst();
  if (done.numUpdatedRows === 1n) await notify(db, CHANGED_CHANNEL, held.id);
}

async function due(db: Tx, now: Date, limit: number): Promise<string[]> {
  const rows = await db
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

async function releaseInUse(db: Tx, release: string, besides: string): Promise<boolean> {
  const row = await db
    .selectFrom("deployments")
    .select(sql<number>`1`.as("one"))
    .where(sql<boolean>`services @> ${JSON.stringify([{ targetDeploymentId: release }])}::jsonb`)
    .where("id", "!=", besides)
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
