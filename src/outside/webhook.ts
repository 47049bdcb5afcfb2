import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { getProject } from "../projects/index.ts";
import type { OutsideDeps } from "./deps.ts";
import { watchedProjects } from "./queries.ts";

const LIMIT_MS = 30_000;

/** The path of a project's webhook under our own address. */
export function webhookPath(project: string): string {
  return `/api/webhooks/vercel/${encodeURIComponent(project)}`;
}

/**
 * Sets the project's webhook up: makes it at Vercel, or takes the `secret` of one that was made there by hand. The one
 * before it ends. @throws AppError `forbidden`, `not_found`, `unprocessable`.
 */
export async function setUpWebhook(
  deps: OutsideDeps,
  actor: Actor,
  projectName: string,
  asked: { readonly secret?: string | undefined; readonly url?: string | undefined },
): Promise<{ url: string | null; path: string; made: boolean }> {
  requireRole(actor, "owner");
  const { id: projectId, name } = await getProject(deps.db, projectName);
  const path = webhookPath(name);
  const url = asked.url ?? (deps.publicUrl === null ? null : deps.publicUrl + path);
  const made = asked.secret === undefined ? await makeAtVercel(deps, projectId, url) : null;
  const secret = asked.secret ?? made?.secret ?? "";
  const at = deps.clock.now();
  const row = {
    sealed: deps.box.seal(secret, contextOf(projectId)),
    hook_id: made?.id ?? null,
    url,
    created_at: at,
  };
  const before = await deps.db.transaction().execute(async (tx) => {
    const found = await tx
      .selectFrom("vercel_webhooks")
      .select("hook_id")
      .where("project_id", "=", projectId)
      .forUpdate()
      .executeTakeFirst();
    await tx
      .insertInto("vercel_webhooks")
      .values({ project_id: projectId, ...row })
      .onConflict((conflict) => conflict.column("project_id").doUpdateSet(row))
      .execute();
    const subject = { type: "project", id: projectId };
    await audit(tx, { actor, action: "outside.set_up_webhook", subject, at, details: { url } });
    return found;
  });
  if (before?.hook_id) {
    await deps.target.outside.deleteWebhook(before.hook_id, AbortSignal.timeout(LIMIT_MS)).catch((error) => {
      deps.log.warn({ project: name, err: error }, "the former webhook could not be deleted at Vercel");
    });
  }
  return { url, path, made: made !== null };
}

async function makeAtVercel(deps: OutsideDeps, projectId: string, url: string | null) {
  const hint =
    "Make it by hand at Vercel (team settings, Webhooks), and send its secret: `--secret-file <path>`.";
  if (url === null) {
    throw new AppError("unprocessable", "Vercel needs an address that it can reach us at.", {
      hint: "Set SIGNALBOX_PUBLIC_URL, or name one with --url.",
    });
  }
  const watched = await watchedProjects(deps.db, projectId);
  const targetProjectIds = [...new Set(watched.map(({ place }) => place.targetProjectId))];
  if (targetProjectIds.length === 0) {
    throw new AppError("unprocessable", "The project has no production at Vercel yet.", {
      hint: "Deploy to production once, or make the webhook by hand and send its secret.",
    });
  }
  const signal = AbortSignal.timeout(LIMIT_MS);
  const made = await deps.target.outside.createWebhook({ targetProjectIds, url }, signal);
  if (made !== "unsupported") return made;
  const why = "The target makes no webhooks for this account; at Vercel they come with Pro and Enterprise.";
  throw new AppError("unprocessable", why, { hint });
}

/** The project of that name with its secret; null where either is missing. */
export async function findSecret(
  deps: Pick<OutsideDeps, "db" | "box">,
  projectName: string,
): Promise<{ projectId: string; secret: string } | null> {
  const row = await deps.db
    .selectFrom("vercel_webhooks")
    .innerJoin("projects", "projects.id", "vercel_webhooks.project_id")
    .select(["projects.id", "sealed"])
    .where("projects.name", "=", projectName)
    .executeTakeFirst();
  if (!row) return null;
  return { projectId: row.id, secret: deps.box.open(row.sealed, contextOf(row.id)) };
}

/** A sealed secret that is moved to another project's row does not open. */
function contextOf(projectId: string): string {
  return `vercel-webhook:${projectId}`;
}
