import { Octokit } from "@octokit/rest";
import { z } from "zod";
import type { Clock } from "../../foundation/clock.ts";
import type { OpenPreview, PreviewReport, PullRequests } from "../../previews/index.ts";
import { explain, rateLimited, rateLimitedUntil, unreadable } from "./github-error.ts";

export type GithubOptions = {
  /** `https://api.github.com`; of GitHub Enterprise `https://<host>/api/v3`. */
  readonly api: string;
  /** Null: public repositories only, 60 requests an hour. */
  readonly token: string | null;
  readonly clock: Clock;
  /** For a proxy. Default: the platform's. */
  readonly fetch?: typeof fetch;
};

const REQUEST_TIMEOUT_MS = 15_000;
const PER_PAGE = 100;

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
const Comment = z.object({ id: z.number(), body: z.string().nullish() });

type Repo = { readonly owner: string; readonly repo: string };
type Page = { readonly data: unknown; readonly headers: { readonly link?: string | undefined } };

/** Pull requests at GitHub or GitHub Enterprise: the port `PullRequests` over octokit. */
export function createGithubPullRequests(options: GithubOptions): PullRequests {
  const octokit = new Octokit({
    baseUrl: options.api,
    userAgent: "signalbox",
    log: { debug() {}, info() {}, warn() {}, error() {} },
    ...(options.token === null ? {} : { auth: options.token }),
    ...(options.fetch === undefined ? {} : { request: { fetch: options.fetch } }),
  });
  let blockedUntil: Date | null = null;
  /** One request; while GitHub wants to be left alone there is none. */
  const ask = async <T>(
    repository: string,
    signal: AbortSignal,
    send: (signal: AbortSignal) => Promise<T>,
  ) => {
    const now = options.clock.now();
    if (blockedUntil !== null && blockedUntil > now) throw rateLimited(blockedUntil);
    try {
      return await send(AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]));
    } catch (error) {
      signal.throwIfAborted();
      blockedUntil = rateLimitedUntil(error, now);
      throw blockedUntil === null ? explain(error, repository) : rateLimited(blockedUntil);
    }
  };
  return {
    name: "github",
    async open(repository, signal) {
      const found = await readPages(repository, "the pull requests", Pull, (page) =>
        ask(repository, signal, (request) =>
          octokit.rest.pulls.list({
            ...split(repository),
            state: "open",
            sort: "created",
            direction: "asc",
            per_page: PER_PAGE,
            page,
            request: { signal: request },
          }),
        ),
      );
      // One that moved to the next page while this one was read comes twice.
      return [...new Map(found.map((pull) => [pull.number, toOpen(pull)])).values()];
    },
    async isOpen(repository, pullRequest, signal) {
      const { data } = await ask(repository, signal, async (request) =>
        octokit.rest.pulls
          .get({ ...split(repository), pull_number: pullRequest, request: { signal: request } })
          // The repository was listed just now, so it is the pull request that is gone.
          .catch((error) => (error.status === 404 ? { data: { state: "closed" } } : Promise.reject(error))),
      );
      const pull = z.object({ state: z.enum(["open", "closed"]) }).safeParse(data);
      if (!pull.success) throw unreadable(`pull request #${pullRequest}`, repository);
      return pull.data.state === "open";
    },
    async report(repository, report, signal) {
      await ask(repository, signal, (request) => setStatus(octokit, split(repository), report, request));
      if (report.pullRequest === null) return "done";
      const { pullRequest: issue_number } = report;
      const at = { ...split(repository), issue_number };
      const comments = await readPages(repository, "the comments", Comment, (page) =>
        ask(repository, signal, (request) =>
          octokit.rest.issues.listComments({ ...at, per_page: PER_PAGE, page, request: { signal: request } }),
        ),
      );
      const own = comments.find(({ body }) => body?.startsWith(marker(report.project)));
      const body = commentOf(report);
      if (own?.body === body) return "done";
      await ask<unknown>(repository, signal, (request) => {
        const sent = { ...split(repository), body, request: { signal: request } };
        return own
          ? octokit.rest.issues.updateComment({ ...sent, comment_id: own.id })
          : octokit.rest.issues.createComment({ ...sent, issue_number });
      });
      return "done";
    },
  };
}

/**
 * Every item of every page. Not octokit's `paginate`: that takes a 409 for the end of the list, and a page that was cut
 * off for an item, and a preview that is missed in the list would be closed.
 */
async function readPages<T>(
  repository: string,
  what: string,
  schema: z.ZodType<T>,
  read: (page: number) => Promise<Page>,
): Promise<T[]> {
  const all: T[] = [];
  for (let page = 1; ; page++) {
    const { data, headers } = await read(page);
    const items = z.array(schema).safeParse(data);
    if (!items.success) throw unreadable(what, repository);
    all.push(...items.data);
    if (!/;\s*rel="next"/.test(headers.link ?? "")) return all;
  }
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

function setStatus(octokit: Octokit, repo: Repo, report: PreviewReport, signal: AbortSignal) {
  return octokit.rest.repos.createCommitStatus({
    ...repo,
    sha: report.commit,
    state: report.state,
    context: `signalbox/preview/${report.project}`,
    description: report.description,
    ...(report.url === null ? {} : { target_url: report.url }),
    request: { signal },
  });
}

function commentOf({ project, state, url, commit, description }: PreviewReport): string {
  const address = url === null ? "" : state === "success" ? ` ${url}` : ` The one before it: ${url}`;
  return `${marker(project)}\n**Preview of ${project}** (${commit.slice(0, 7)}): ${description}${address}`;
}

/** By it our comment is found again, so that there is one and not one for each push. */
function marker(project: string): string {
  return `<!-- signalbox:preview:${project} -->`;
}

function split(repository: string): Repo {
  const [owner = "", repo = ""] = repository.split("/");
  return { owner, repo };
}
