import { createHash } from "node:crypto";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError, toErrorBody } from "../foundation/errors.ts";
import type { AccessTables } from "./tables.ts";

export type IdempotentAnswer = { readonly status: number; readonly body: unknown };

/** A claim older than this had its process die under it; the next request with the key takes it over. */
const CLAIM_EXPIRES_MS = 60_000;

/**
 * Runs `act` once for each (actor, route, key) and repeats its answer afterwards, errors below 500 included; after
 * a 5xx the key is free again. Rows are kept 24 h and more (source: docs.stripe.com/idempotency). Without a key: just
 * runs.
 * `act` gets nothing of this: it must itself be safe to repeat after a crash, which a claim's take-over does.
 * @throws AppError `unprocessable` for the same key with another body, `in_flight` while the first one runs.
 */
export async function once(
  deps: { db: Database<AccessTables>; clock: Clock },
  request: { actorId: string; route: string; key: string | undefined; body: unknown },
  act: () => Promise<IdempotentAnswer>,
): Promise<IdempotentAnswer> {
  const { key } = request;
  if (key === undefined) return act();
  if (key.length < 1 || key.length > 255) {
    throw new AppError("bad_request", `Idempotency-Key has ${key.length} characters; 1 to 255 are allowed.`, {
      hint: "Send a UUID.",
    });
  }
  const row = { actor_id: request.actorId, route: request.route, key };
  const hash = createHash("sha256").update(JSON.stringify(request.body)).digest();
  const earlier = await claim(deps, row, hash);
  if (earlier) return earlier;
  try {
    const answer = await act();
    await settle(deps, row, answer);
    return answer;
  } catch (error) {
    const answer = toErrorBody(error);
    if (answer.status >= 500) await release(deps, row);
    else await settle(deps, row, answer);
    throw error;
  }
}

type Key = { actor_id: string; route: string; key: string };

async function claim(
  deps: { db: Database<AccessTables>; clock: Clock },
  row: Key,
  hash: Buffer,
): Promise<IdempotentAnswer | null> {
  const now = deps.clock.now();
  const stale = new Date(now.getTime() - CLAIM_EXPIRES_MS);
  const claimed = await deps.db
    .insertInto("idempotency_keys")
    .values({ ...row, request_hash: hash, created_at: now })
    .onConflict((conflict) =>
      conflict
        .columns(["actor_id", "route", "key"])
        .doUpdateSet({ created_at: now })
        .where("idempotency_keys.status", "is", null)
        .where("idempotency_keys.created_at", "<", stale)
        .where("idempotency_keys.request_hash", "=", hash),
    )
    .returning("key")
    .executeTakeFirst();
  if (claimed) return null;
  const found = await matching(deps.db.selectFrom("idempotency_keys").selectAll(), row).executeTakeFirst();
  if (!found) return claim(deps, row, hash);
  if (!found.request_hash.equals(hash)) {
    throw new AppError("unprocessable", `Idempotency-Key "${row.key}" was used before with another body.`, {
      hint: "Use a new key for a new request.",
    });
  }
  if (found.status === null) {
    throw new AppError("in_flight", `A request with Idempotency-Key "${row.key}" is still being worked on.`, {
      hint: "Wait a moment and send the same request again.",
    });
  }
  return { status: found.status, body: found.body };
}

async function settle(
  deps: { db: Database<AccessTables> },
  row: Key,
  answer: IdempotentAnswer,
): Promise<void> {
  const update = deps.db
    .updateTable("idempotency_keys")
    .set({ status: answer.status, body: JSON.stringify(answer.body) });
  await matching(update, row).execute();
}

async function release(deps: { db: Database<AccessTables> }, row: Key): Promise<void> {
  await matching(deps.db.deleteFrom("idempotency_keys"), row).execute();
}

/** Narrows any statement on the table to one key. */
function matching<Q extends { where(column: keyof Key, op: "=", value: string): Q }>(query: Q, row: Key): Q {
  return query.where("actor_id", "=", row.actor_id).where("route", "=", row.route).where("key", "=", row.key);
}
