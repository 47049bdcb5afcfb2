import { type Actor, audit, requireRole } from "../access/index.ts";
import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { findLock, type ListedLock, listLocks, oneAtATime, type Scope } from "./queries.ts";
import type { GateDeps } from "./subject.ts";
import type { GateTables } from "./tables.ts";
import { tellSpan } from "./wording.ts";

const HOUR_MS = 3_600_000;
export const DEFAULT_LOCK_TTL_MS = 24 * HOUR_MS;
export const LONGEST_LOCK_TTL_MS = 30 * 24 * HOUR_MS;

export type CreateLockInput = {
  /** A project's name. Left out: all projects. */
  readonly project?: string | undefined;
  /** Left out: all environments. */
  readonly environment?: EnvironmentName | undefined;
  readonly reason: string;
  /** Default 24 h, at most 30 days. */
  readonly ttlMs?: number | undefined;
};

/**
 * Locks a place: nothing begins or takes traffic there until the lock is released or its time is over. The same lock
 * (place and reason) by the same owner again is that lock, and lasts as long as the later of the two.
 * @throws AppError `forbidden`, `bad_request`, `not_found` for an unknown project.
 */
export async function createLock(
  deps: GateDeps,
  actor: Actor,
  input: CreateLockInput,
): Promise<{ lock: ListedLock; created: boolean }> {
  requireRole(actor, "deployer");
  const reason = requireReason(input.reason);
  const ttlMs = requireTtl(input.ttlMs ?? DEFAULT_LOCK_TTL_MS);
  const projectId = input.project === undefined ? null : await deps.projectIdOf(input.project);
  const wanted = { projectId, environment: input.environment ?? null, reason };
  return deps.db.transaction().execute(async (tx) => {
    await oneAtATime(tx, "deploy_locks");
    const now = deps.clock.now();
    const until = new Date(now.getTime() + ttlMs);
    const held = (await listLocks(tx, now)).find(
      (lock) =>
        lock.ownerId === actor.id &&
        lock.ownerName === actor.name &&
        lock.reason === reason &&
        lock.projectId === wanted.projectId &&
        lock.environment === wanted.environment,
    );
    if (held) return { lock: await prolong(deps, tx, actor, held, until), created: false };
    const id = await insert(deps, tx, actor, { ...wanted, now, until });
    return { lock: await findLock(tx, id), created: true };
  });
}

async function insert(
  deps: GateDeps,
  tx: Tx<GateTables>,
  actor: Actor,
  lock: Scope & { reason: string; now: Date; until: Date },
): Promise<string> {
  const { projectId, environment, reason, now, until } = lock;
  const id = deps.ids("lck");
  await tx
    .insertInto("deploy_locks")
    .values({
      id,
      project_id: projectId,
      environment,
      owner_id: actor.id,
      owner_name: actor.name,
      reason,
      created_at: now,
      expires_at: until,
    })
    .execute();
  const details = { projectId, environment, reason, until: until.toISOString() };
  await audit(tx, { actor, action: "lock.create", subject: { type: "lock", id }, details, at: now });
  await deps.wake(tx, { projectId, environment });
  return id;
}

async function prolong(
  deps: GateDeps,
  tx: Tx<GateTables>,
  actor: Actor,
  held: ListedLock,
  until: Date,
): Promise<ListedLock> {
  if (held.expiresAt === null || until <= held.expiresAt) return held;
  await tx.updateTable("deploy_locks").set({ expires_at: until }).where("id", "=", held.id).execute();
  await audit(tx, {
    actor,
    action: "lock.prolong",
    subject: { type: "lock", id: held.id },
    details: { until: until.toISOString() },
    at: deps.clock.now(),
  });
  // What waits has the former end as its time to look.
  await deps.wake(tx, { projectId: held.projectId, environment: held.environment });
  return { ...held, expiresAt: until };
}

function requireReason(text: string): string {
  const reason = text.trim();
  if (reason !== "") return reason;
  throw new AppError("bad_request", "A lock needs a reason.", {
    hint: "Say why nothing may be deployed: whoever waits reads this.",
  });
}

function requireTtl(ttlMs: number): number {
  if (Number.isSafeInteger(ttlMs) && ttlMs >= 1_000 && ttlMs <= LONGEST_LOCK_TTL_MS) return ttlMs;
  throw new AppError(
    "bad_request",
    `A lock lasts from 1 s to ${tellSpan(LONGEST_LOCK_TTL_MS)}, not ${ttlMs} ms.`,
    {
      hint: "Repeat the lock before it ends to prolong it, or use a freeze.",
    },
  );
}
