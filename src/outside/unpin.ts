import { type Actor, audit, requireRole } from "../access/index.ts";
import { getProject } from "../projects/index.ts";
import type { OutsideDeps } from "./deps.ts";
import { watchedProjects } from "./queries.ts";

/**
 * Ends the pin that a rollback left: new production builds made through Vercel itself take the domains again, if the
 * team had it so. Answers the projects at the target that were pinned. @throws AppError `forbidden`, `not_found`.
 */
export async function unpinProject(
  deps: OutsideDeps,
  actor: Actor,
  projectName: string,
  signal: AbortSignal,
): Promise<{ unpinned: string[] }> {
  requireRole(actor, "deployer");
  const { id: projectId } = await getProject(deps.db, projectName);
  const unpinned: string[] = [];
  for (const { place } of await watchedProjects(deps.db, projectId)) {
    if ((await deps.target.outside.unpin(place, signal)) === "done") unpinned.push(place.targetProjectId);
  }
  const subject = { type: "project", id: projectId };
  const at = deps.clock.now();
  await audit(deps.db, { actor, action: "outside.unpin", subject, at, details: { unpinned } });
  deps.wake(projectId);
  return { unpinned };
}
