import { type Actor, requireRole } from "../access/index.ts";
import { getProject, listProjects } from "../projects/index.ts";
import type { PreviewDeps } from "./deps.ts";
import { expiryOf } from "./plan-sweep.ts";
import type { ExistingPreview } from "./ports.ts";
import { readPolicy, readSweep } from "./queries.ts";

export type PreviewView = {
  readonly project: string;
  readonly key: string;
  readonly pullRequest: number | null;
  readonly branch: string;
  readonly commit: string | null;
  readonly deploymentId: string;
  readonly state: ExistingPreview["state"];
  readonly url: string | null;
  readonly createdAt: string;
  readonly lastActivityAt: string;
  readonly liveAt: string | null;
  /** Null: it does not expire. */
  readonly expiresAt: string | null;
  /** What the last sweep said of it; null: it was made since. */
  readonly why: string | null;
};

/** The previews that exist, of one project or of all. @throws AppError `not_found`. */
export async function listPreviews(
  deps: Pick<PreviewDeps, "db" | "existing">,
  actor: Actor,
  projectName: string | undefined,
): Promise<PreviewView[]> {
  requireRole(actor, "viewer");
  const projects =
    projectName === undefined ? await listProjects(deps.db) : [await getProject(deps.db, projectName)];
  const views: PreviewView[] = [];
  for (const { id, name } of projects) {
    const [policy, sweep, existing] = await Promise.all([
      readPolicy(deps.db, id),
      readSweep(deps.db, id),
      deps.existing(id),
    ]);
    for (const each of existing) {
      const step = sweep.steps.find(({ key }) => key === each.key);
      const byHand = step?.kind === "keep" && !step.ours;
      const expiresAt = byHand || policy.source === "none" ? null : expiryOf(policy, each);
      views.push(viewOf(name, each, expiresAt, step?.failed ?? step?.why ?? null));
    }
  }
  return views;
}

function viewOf(
  project: string,
  each: ExistingPreview,
  expiresAt: Date | null,
  why: string | null,
): PreviewView {
  return {
    project,
    key: each.key,
    pullRequest: each.pullRequest,
    branch: each.branch,
    commit: each.commit,
    deploymentId: each.newestDeploymentId,
    state: each.state,
    url: each.url,
    createdAt: each.createdAt.toISOString(),
    lastActivityAt: each.lastActivityAt.toISOString(),
    liveAt: each.liveAt?.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
    why,
  };
}
