import { type Actor, audit, requireRole } from "../access/index.ts";
import { randomText } from "../foundation/ids.ts";
import { getProject } from "../projects/index.ts";
import type { WebhookDeps } from "./deps.ts";

/**
 * Makes the secret that a project's webhook is signed with; the one before it ends at once. The answer is the only time
 * that it is seen. @throws AppError `forbidden`, `not_found`.
 */
export async function createWebhookSecret(
  deps: Pick<WebhookDeps, "db" | "clock" | "box">,
  actor: Actor,
  projectName: string,
): Promise<{ secret: string }> {
  requireRole(actor, "owner");
  const secret = `whs_${randomText(32)}`;
  const at = deps.clock.now();
  await deps.db.transaction().execute(async (tx) => {
    const { id } = await getProject(tx, projectName);
    const row = { sealed: deps.box.seal(secret, contextOf(id)), created_at: at };
    const inserted = await tx
      .insertInto("webhook_secrets")
      .values({ project_id: id, ...row })
      .onConflict((conflict) => conflict.column("project_id").doUpdateSet(row))
      .returning("project_id")
      .executeTakeFirstOrThrow();
    const subject = { type: "project", id: inserted.project_id };
    await audit(tx, { actor, action: "webhook.create_secret", subject, at });
  });
  return { secret };
}

/** The project of that name with its secret; null where either is missing. */
export async function findSecret(
  deps: Pick<WebhookDeps, "db" | "box">,
  projectName: string,
): Promise<{ projectId: string; project: string; secret: string } | null> {
  const row = await deps.db
    .selectFrom("webhook_secrets")
    .innerJoin("projects", "projects.id", "webhook_secrets.project_id")
    .select(["projects.id", "projects.name", "sealed"])
    .where("projects.name", "=", projectName)
    .executeTakeFirst();
  if (!row) return null;
  return { projectId: row.id, project: row.name, secret: deps.box.open(row.sealed, contextOf(row.id)) };
}

/** A sealed secret that is moved to another project's row does not open. */
function contextOf(projectId: string): string {
  return `webhook:${projectId}`;
}
