import { execFileSync } from "node:child_process";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../src/foundation/clock.ts";
import { createGitBranches } from "../../src/providers/pull-requests/git-branches.ts";
import { createGithubPullRequests } from "../../src/providers/pull-requests/github.ts";
import { allowedTo } from "../support/allowed-networks.ts";
import { GITHUB_TOKEN, shaOf, startGithubDouble } from "../support/github-double.ts";
import { MACHINE_PATH, temporaryDirectory } from "../support/trees.ts";
import { describePullRequests, type PullRequestsStand } from "./pull-requests.ts";

describePullRequests("github", { many: 205, start: githubStand });
describePullRequests("branches", { many: 40, start: branchesStand });

async function githubStand(): Promise<PullRequestsStand & AsyncDisposable> {
  const double = await startGithubDouble();
  const numbers = new Map<string, number>();
  const numberOf = (name: string) => {
    const number = numbers.get(name) ?? numbers.size + 1;
    numbers.set(name, number);
    return number;
  };
  let pushes = 1_000;
  return {
    port: createGithubPullRequests({ api: double.url, token: GITHUB_TOKEN, clock: systemClock }),
    repository: double.repository,
    missing: "nobody/nothing",
    async open(name) {
      const number = numberOf(name);
      double.open({ number });
      return { key: `pr-${number}`, commit: shaOf(number) };
    },
    async push(name) {
      const sha = shaOf(++pushes);
      double.push(numberOf(name), sha);
      return sha;
    },
    close: async (name) => double.closePull(numberOf(name)),
    kill: () => double.close(),
    [Symbol.asyncDispose]: () => double.close(),
  };
}

/** A real repository on this machine, and the git that is installed. */
async function branchesStand(): Promise<PullRequestsStand & AsyncDisposable> {
  const dir = await temporaryDirectory();
  const origin = join(dir.path, "shop");
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
      encoding: "utf8",
    }).trim();
  const inside = (...args: string[]) => git("-C", origin, ...args);
  git("init", "-q", "-b", "main", origin);
  inside("commit", "-q", "--allow-empty", "-m", "first");
  return {
    port: createGitBranches({
      cacheDir: join(dir.path, "cache"),
      networksOf: allowedTo({}),
      allowLocalPaths: true,
      networkEnv: {},
      path: MACHINE_PATH,
    }),
    repository: origin,
    missing: join(dir.path, "nothing"),
    async open(name) {
      inside("branch", `feature/${name}`, "main");
      return { key: `branch-feature/${name}`, commit: inside("rev-parse", "main") };
    },
    async push(name) {
      inside("checkout", "-q", `feature/${name}`);
      inside("commit", "-q", "--allow-empty", "-m", "more");
      return inside("rev-parse", "HEAD");
    },
    close: async (name) => void inside("branch", "-D", `feature/${name}`),
    kill: () => rename(origin, `${origin}-gone`),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}
