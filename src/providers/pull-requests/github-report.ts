import { z } from "zod";
import type { PreviewReport } from "../../previews/index.ts";
import { type Ask, PER_PAGE, readPages, split } from "./github-client.ts";

const Comment = z.object({ id: z.number(), body: z.string().nullish() });

/** Sets the commit's status. */
export async function setStatus(ask: Ask, repository: string, report: PreviewReport): Promise<void> {
  await ask((octokit, request) =>
    octokit.rest.repos.createCommitStatus({
      ...split(repository),
      sha: report.commit,
      state: report.state,
      context: `signalbox/preview/${report.project}`,
      description: report.description,
      ...(report.url === null ? {} : { target_url: report.url }),
      request,
    }),
  );
}

/** Writes the pull request's one comment of ours, or changes it. */
export async function setComment(
  ask: Ask,
  repository: string,
  issue_number: number,
  report: PreviewReport,
): Promise<void> {
  const repo = split(repository);
  const comments = await readPages({ name: "the comments", repository }, Comment, (page) =>
    ask((octokit, request) =>
      octokit.rest.issues.listComments({ ...repo, issue_number, per_page: PER_PAGE, page, request }),
    ),
  );
  const own = comments.find(({ body }) => body?.startsWith(marker(report.project)));
  const body = commentOf(report);
  if (own?.body === body) return;
  await ask<unknown>((octokit, request) =>
    own
      ? octokit.rest.issues.updateComment({ ...repo, comment_id: own.id, body, request })
      : octokit.rest.issues.createComment({ ...repo, issue_number, body, request }),
  );
}

function commentOf({ project, state, url, commit, description }: PreviewReport): string {
  const address = url === null ? "" : state === "success" ? ` ${url}` : ` The one before it: ${url}`;
  return `${marker(project)}\n**Preview of ${project}** (${commit.slice(0, 7)}): ${description}${address}`;
}

/** By it our comment is found again, so that there is one and not one for each push. */
function marker(project: string): string {
  return `<!-- signalbox:preview:${project} -->`;
}
