import { Octokit } from "@octokit/rest";
import { z } from "zod";
import type { Clock } from "../../foundation/clock.ts";
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

type Page = { readonly data: unknown; readonly headers: { readonly link?: string | undefined } };
export type Ask = <T>(send: (octokit: Octokit, request: { signal: AbortSignal }) => Promise<T>) => Promise<T>;

const REQUEST_TIMEOUT_MS = 15_000;
export const PER_PAGE = 100;

/** Requests to GitHub about one repository, until `signal`. While GitHub wants to be left alone there are none. */
export function createGithubClient(options: GithubOptions): (repository: string, signal: AbortSignal) => Ask {
  const octokit = new Octokit({
    baseUrl: options.api,
    userAgent: "signalbox",
    log: { debug() {}, info() {}, warn() {}, error() {} },
    ...(options.token === null ? {} : { auth: options.token }),
    ...(options.fetch === undefined ? {} : { request: { fetch: options.fetch } }),
  });
  let blockedUntil: Date | null = null;
  return (repository, signal) => async (send) => {
    signal.throwIfAborted();
    const now = options.clock.now();
    if (blockedUntil !== null && blockedUntil > now) throw rateLimited(blockedUntil);
    try {
      return await send(octokit, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      });
    } catch (error) {
      signal.throwIfAborted();
      blockedUntil = rateLimitedUntil(error, now);
      throw blockedUntil === null ? explain(error, repository) : rateLimited(blockedUntil);
    }
  };
}

/**
 * Every item of every page. Not octokit's `paginate`: that takes a 409 for the end of the list, and a page that was cut
 * off for an item, and a preview that is missed in the list would be closed.
 */
export async function readPages<T>(
  what: { readonly name: string; readonly repository: string },
  schema: z.ZodType<T>,
  read: (page: number) => Promise<Page>,
): Promise<T[]> {
  const all: T[] = [];
  for (let page = 1; ; page++) {
    const { data, headers } = await read(page);
    const items = z.array(schema).safeParse(data);
    if (!items.success) throw unreadable(what.name, what.repository);
    all.push(...items.data);
    if (!/;\s*rel="next"/.test(headers.link ?? "")) return all;
  }
}

export function split(repository: string): { owner: string; repo: string } {
  const [owner = "", repo = ""] = repository.split("/");
  return { owner, repo };
}
