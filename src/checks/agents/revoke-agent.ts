import { type Actor, audit, requireRole } from "../../access/index.ts";
import { AppError } from "../../foundation/errors.ts";
import type { AgentDeps } from "./deps.ts";

/** Ends an agent's token at once; what it found stays (owner). @throws AppError `not_found`. */
export async function revokeAgent(deps: AgentDeps, actor: Actor, id: string): Promise<void> {
  requireRole(actor, "owner");
  const at = deps.clock.now();
  await deps.db.transaction().execute(async (tx) => {
    const revoked = await tx
      .updateTable("prober_agents")
      .set({ revoked_at: at })
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .returning("location")
      .executeTakeFirst();
    if (!revoked) {
      throw new AppError("not_found", `There is no agent ${id}.`, { hint: "GET /api/probers lists them." });
    }
    const subject = { type: "prober_agent", id };
    await audit(tx, { actor, action: "prober_agent.revoke", subject, details: revoked, at });
    await deps.changed(tx);
  });
}
