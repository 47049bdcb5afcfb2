import { type Actor, audit, requireRole } from "../../access/index.ts";
import { randomText } from "../../foundation/ids.ts";
import type { HeartbeatDeps } from "./deps.ts";
import { requireHeartbeat } from "./get-heartbeat.ts";
import { hashKey } from "./queries.ts";

/** Also what is accepted as a key before any row is looked for. */
export const KEY = /^hb_[0-9a-hjkmnp-tv-z]{32}$/;

/**
 * Makes the secret address of a heartbeat; the one before it ends at once. The answer is the only time that it is seen.
 * @throws AppError `forbidden`, `not_found`.
 */
export async function rotateHeartbeatKey(
  deps: Pick<HeartbeatDeps, "db" | "clock">,
  actor: Actor,
  checkId: string,
): Promise<{ readonly key: string; readonly path: string }> {
  requireRole(actor, "deployer");
  const key = `hb_${randomText(32)}`;
  const at = deps.clock.now();
  await deps.db.transaction().execute(async (tx) => {
    const { check_id } = await requireHeartbeat(tx, checkId);
    await tx
      .updateTable("heartbeats")
      .set({ key_hash: hashKey(key) })
      .where("check_id", "=", check_id)
      .execute();
    const subject = { type: "check", id: check_id };
    await audit(tx, { actor, action: "heartbeat.rotate_key", subject, at });
  });
  return { key, path: `/api/heartbeats/${key}` };
}
