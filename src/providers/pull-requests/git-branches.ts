import { mkdir } from "node:fs/promises";
import type { OpenPreview, PullRequests } from "../../previews/index.ts";
import { checkAddress } from "../source/git-address.ts";
import { listRefs } from "../source/git-refs.ts";
import type { GitOptions } from "../source/git-run.ts";

const HEADS = "refs/heads/";

/** Every branch of a git repository by URL, wherever it is hosted: the port `PullRequests` over `git ls-remote`. */
export function createGitBranches(options: GitOptions): PullRequests {
  return {
    name: "branches",
    async open({ projectId, repository: url }, signal) {
      const address = await checkAddress(options, { projectId, url });
      await mkdir(options.cacheDir, { recursive: true });
      const { head, commits } = await listRefs(options, address, options.cacheDir, signal);
      const base = head?.startsWith(HEADS) ? head.slice(HEADS.length) : null;
      return [...commits].flatMap(([ref, sha]) =>
        ref.startsWith(HEADS) ? [openBranch(url, ref.slice(HEADS.length), sha, base)] : [],
      );
    },
    isOpen: async () => "unsupported",
    report: async () => "unsupported",
  };
}

function openBranch(
  cloneUrl: string,
  branch: string,
  commit: string,
  baseBranch: string | null,
): OpenPreview {
  return {
    key: `branch-${branch}`,
    pullRequest: null,
    branch,
    commit,
    title: branch,
    author: null,
    url: null,
    baseBranch,
    fork: false,
    cloneUrl,
  };
}
