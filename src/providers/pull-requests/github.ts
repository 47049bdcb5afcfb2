import { z } from "zod";
import type { OpenPreview, PullRequests } from "../../previews/index.ts";
import { createGithubClient, type GithubOptions, PER_PAGE, readPages, split } from "./github-client.ts";
import { unreadable } from "./github-error.ts";
import { setComment, setStatus } from "./github-report.ts";

export type { GithubOptions } from "./github-client.ts";

/** The part of GitHub's `pull-request-simple` that a preview needs. */
const Pull = z.object({
  number: z.number().int().positive(),
  title: z.string(),
  html_url: z.string(),
  user: z.object({ login: z.string() }).nullable(),
  head: z.object({
    ref: z.string().min(1),
    sha: z.string().min(1),
    // Null once the fork is deleted.
    repo: z.object({ id: z.number(), clone_url: z.string() }).nullable(),
  }),
  base: z.object({ ref: z.string(), repo: z.object({ id: z.number() }) }),
});
const PullState = z.object({ state: z.enum(["open", "closed"]) });

/** Pull requests at GitHub or GitHub Enterprise: the port `PullRequests` over octokit. */
export function createGithubPullRequests(options: GithubOptions): PullRequests {
  const client = createGithubClient(options);
  return {
    name: "github",
    async open({ repository }, signal) {
      const ask = client(repository, signal);
      const order = { state: "open", sort: "created", direction: "asc", per_page: PER_PAGE } as const;
      const found = await readPages({ name: "the pull requests", repository }, Pull, (page) =>
        ask((octokit, request) => octokit.rest.pulls.list({ ...split(repository), ...order, page, request })),
      );
      // One that moved to the next page while this one was read comes twice.
      return [...new Map(found.map((pull) => [pull.number, toOpen(pull)])).values()];
    },
    async isOpen(repository, pull_number, signal) {
      const data = await client(
        repository,
        signal,
      )((octokit, request) =>
        octokit.rest.pulls.get({ ...split(repository), pull_number, request }).then(
          (answer): unknown => answer.data,
          // The repository was listed just now, so it is the pull request that is gone.
          (error) => (error.status === 404 ? { state: "closed" } : Promise.reject(error)),
        ),
      );
      const pull = PullState.safeParse(data);
      if (!pull.success) throw unreadable(`pull request #${pull_number}`, repository);
      return pull.data.state === "open";
    },
    async report(repository, report, signal) {
      const ask = client(repository, signal);
      await setStatus(ask, repository, report);
      if (report.pullRequest !== null) await setComment(ask, repository, report.pullRequest, report);
      return "done";
    },
  };
}

function toOpen({ number, title, html_url, user, head, base }: z.infer<typeof Pull>): OpenPreview {
  return {
    key: `pr-${number}`,
    pullRequest: number,
    branch: head.ref,
    commit: head.sha,
    title,
    author: user?.login ?? null,
    url: html_url,
    baseBranch: base.ref,
    fork: head.repo?.id !== base.repo.id,
    cloneUrl: head.repo?.clone_url ?? null,
  };
}
