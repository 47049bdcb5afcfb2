import type { Database } from "../../foundation/db.ts";
import { AppError } from "../../foundation/errors.ts";
import { hashToken } from "./create-agent.ts";
import type { Agent } from "./deps.ts";
import type { AgentTables } from "./tables.ts";

/** Who an agent's token belongs to. The lookup is by hash, so timing tells nothing. @throws AppError `unauthorized`. */
export async function authenticateAgent(
  db: Database<AgentTables>,
  authorization: string | undefined,
): Promise<Agent> {
  const token = /^Bearer +(sbp_\S+)$/i.exec(authorization ?? "")?.[1];
  const agent =
    token === undefined
      ? undefined
      : await db
          .selectFrom("prober_agents")
          .select(["id", "location"])
          .where("token_hash", "=", hashToken(token))
          .where("revoked_at", "is", null)
          .executeTakeFirst();
  if (agent) return agent;
  throw new AppError("unauthorized", "This needs the token of an agent.", {
    hint: "An owner makes one for each place: signalbox prober add LOCATION.",
  });
}
