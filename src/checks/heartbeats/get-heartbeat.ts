import { type Actor, requireRole } from "../../access/index.ts";
import type { Tx } from "../../foundation/db.ts";
import { AppError } from "../../foundation/errors.ts";
import type { HeartbeatDeps } from "./deps.ts";
import { findByCheck, type Heartbeat } from "./queries.ts";
import type { HeartbeatTables } from "./tables.ts";

/** @throws AppError `forbidden`, `not_found`. */
export async function getHeartbeat(
  deps: Pick<HeartbeatDeps, "db">,
  actor: Actor,
  checkId: string,
): Promise<Heartbeat> {
  requireRole(actor, "viewer");
  return requireHeartbeat(deps.db, checkId);
}

/** @throws AppError `not_found`. */
export async function requireHeartbeat(db: Tx<HeartbeatTables>, checkId: string): Promise<Heartbeat> {
  const found = await findByCheck(db, checkId);
  if (found) return found;
  throw new AppError("not_found", `There is no check ${checkId} of the type heartbeat.`, {
    hint: "List the checks with GET /api/checks.",
  });
}
