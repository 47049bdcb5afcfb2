import { AppError } from "../../foundation/errors.ts";
import type { BuildInput } from "../../targets/target.ts";
import type { VercelClient } from "./vercel-client.ts";
import { readProject } from "./vercel-projects.ts";

/**
 * The commit as the platform fetches it itself: from the repository that its project is connected to.
 * @throws AppError `unprocessable` when it has none, or when what is deployed is no commit.
 */
export async function gitSourceOf(
  client: VercelClient,
  { targetProjectId, project, branch, commit }: BuildInput,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const hint = 'Deploy a commit that was pushed, or take "source: git" out of signalbox.yaml.';
  if (commit.sha === null) {
    throw new AppError("unprocessable", "A deployment from Git needs a commit, and none is known.", { hint });
  }
  if (commit.dirty) {
    const what = "The files differ from the commit, and a deployment from Git takes the commit alone.";
    throw new AppError("unprocessable", what, { hint });
  }
  const link = (await readProject(client, targetProjectId, signal))?.link;
  const at = { ref: branch ?? commit.sha, sha: commit.sha };
  if (link?.type === "github" && link.repoId) return { type: "github", repoId: link.repoId, ...at };
  if (link?.type === "gitlab" && link.projectId) return { type: "gitlab", projectId: link.projectId, ...at };
  if (link?.type === "bitbucket" && link.uuid) {
    const workspace = link.workspaceUuid ? { workspaceUuid: link.workspaceUuid } : {};
    return { type: "bitbucket", repoUuid: link.uuid, ...workspace, ...at };
  }
  throw new AppError("unprocessable", `The project ${project} is connected to no repository at Vercel.`, {
    hint: 'Connect it at Vercel (Settings, Git), or take "source: git" out of signalbox.yaml.',
  });
}
