import { createHash } from "node:crypto";
import { type Actor, audit, requireRole } from "../../access/index.ts";
import { PG } from "../../foundation/db.ts";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import { randomText } from "../../foundation/ids.ts";
import { LOCAL } from "../model.ts";
import type { AgentDeps } from "./deps.ts";

/**
 * Makes the token of an agent (owner). The answer is the only one that ever shows it.
 * @throws AppError `conflict`: the location has an agent; `bad_request`: it is the one of the probers inside.
 */
export async function createAgent(
  deps: AgentDeps,
  actor: Actor,
  { location }: { readonly location: string },
): Promise<{ id: string; location: string; token: string }> {
  requireRole(actor, "owner");
  if (location === LOCAL) {
    throw new AppError("bad_request", `"${LOCAL}" is where the probers beside the control plane are.`, {
      hint: "Name the place, as fra, us-east or office.",
    });
  }
  const id = deps.ids("agt");
  const token = `sbp_${randomText(32)}`;
  const at = deps.clock.now();
  const values = { id, location, token_hash: hashToken(token), actor_name: actor.name, created_at: at };
  try {
    await deps.db.transaction().execute(async (tx) => {
      await tx.insertInto("prober_agents").values(values).execute();
      const subject = { type: "prober_agent", id };
      await audit(tx, { actor, action: "prober_agent.create", subject, details: { location }, at });
      await deps.changed(tx);
    });
  } catch (error) {
    if (errorCodeOf(error) !== PG.uniqueViolation) throw error;
    throw new AppError("conflict", `The location "${location}" has an agent.`, {
      hint: "Take it away first (signalbox prober remove), or name another place: one token, one place.",
    });
  }
  return { id, location, token };
}

export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
