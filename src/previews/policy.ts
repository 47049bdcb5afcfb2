import { matchesGlob } from "node:path/posix";
import type { OpenPreview } from "./ports.ts";

/** What a project wants previews of. */
export type PreviewPolicy = {
  readonly source: "github" | "branches" | "none";
  /** `owner/name` at GitHub. */
  readonly repository: string | null;
  /** Where commits are fetched from. Null: where GitHub says. Plain git needs it. */
  readonly gitUrl: string | null;
  /** Globs of branch names, as in GitHub Actions: `*` stops at a slash, `**` does not. Excluded wins. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** A preview goes that long after the last push or deploy. Null: it stays while its branch is open. */
  readonly ttlMs: number | null;
  /** Previews at the same time. */
  readonly limit: number;
  /** Also pull requests from forks: their code then runs with this project's preview variables. */
  readonly forks: boolean;
  /** Tell the host: commit status and a comment with the address. Needs a token that may write. */
  readonly commentUrl: boolean;
  /** A push to it goes to production; null: none does. */
  readonly productionBranch: string | null;
  /** A push to a branch goes to its environment. */
  readonly deployOnPush: Readonly<Record<string, "production" | "staging">>;
};

const DAY_MS = 86_400_000;

export const DEFAULT_POLICY: PreviewPolicy = {
  source: "none",
  repository: null,
  gitUrl: null,
  include: ["**"],
  exclude: [],
  ttlMs: 7 * DAY_MS,
  limit: 20,
  forks: false,
  commentUrl: false,
  productionBranch: null,
  deployOnPush: {},
};

/** The environment that a push to `branch` goes to; null: to none. */
export function pushEnvironment(policy: PreviewPolicy, branch: string): "production" | "staging" | null {
  if (Object.hasOwn(policy.deployOnPush, branch)) return policy.deployOnPush[branch] ?? null;
  return branch === policy.productionBranch ? "production" : null;
}

/** Why something that is open gets no preview by this policy; null: it may have one. */
export function refusalOf(policy: PreviewPolicy, open: OpenPreview): string | null {
  if (open.fork && !policy.forks) {
    return "It comes from a fork, whose code would run with this project's variables; the policy does not allow forks.";
  }
  if (sourceUrl(policy, open) === null) return "The repository that it comes from is gone.";
  if (policy.exclude.some((glob) => matchesGlob(open.branch, glob))) return "The policy excludes its branch.";
  if (!policy.include.some((glob) => matchesGlob(open.branch, glob))) {
    return "The policy does not include its branch.";
  }
  return open.pullRequest === null ? branchRefusal(policy, open) : null;
}

function branchRefusal(policy: PreviewPolicy, { branch, baseBranch }: OpenPreview): string | null {
  if (branch === baseBranch) return "It is the repository's default branch.";
  if (pushEnvironment(policy, branch) !== null) return "It is deployed to an environment of its own.";
  return null;
}

/** `7 d`, `36 h`, `90 min`: the largest unit that it is a whole number of. */
export function showTtl(ms: number): string {
  for (const [unit, size] of [["d", DAY_MS] as const, ["h", 3_600_000] as const, ["min", 60_000] as const]) {
    if (ms % size === 0) return `${ms / size} ${unit}`;
  }
  return `${ms / 1_000} s`;
}

/** Where the commits of one that is open are fetched from. A fork's are in the fork. */
export function sourceUrl(policy: PreviewPolicy, open: OpenPreview): string | null {
  return open.fork ? open.cloneUrl : (policy.gitUrl ?? open.cloneUrl);
}
