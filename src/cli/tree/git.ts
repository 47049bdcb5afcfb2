import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { AppError, errorCodeOf, messageOf } from "../../foundation/errors.ts";

const run = promisify(execFile);

// Paths of 100,000 files fit; more than this is not a repository that one deploys.
const OUTPUT_LIMIT = 256 * 2 ** 20;

/** Runs git in `cwd` and returns its stdout; null when git is missing, or says no (its exit code is not 0). */
export async function tryGit(cwd: string, args: readonly string[]): Promise<string | null> {
  try {
    // Without optional locks `git status` does not fight with an editor over the index.
    const { stdout } = await run("git", ["--no-optional-locks", "-c", "core.quotePath=false", ...args], {
      cwd,
      maxBuffer: OUTPUT_LIMIT,
    });
    return stdout;
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") {
      throw new AppError("too_large", `git ${args[0]} answered more than ${OUTPUT_LIMIT} bytes.`, {
        hint: "Deploy a smaller folder of the repository.",
      });
    }
    return null;
  }
}

/** A running `git` with pipes to its stdin and from its stdout. */
export function spawnGit(cwd: string, args: readonly string[]) {
  return spawn("git", args, { cwd, stdio: ["pipe", "pipe", "ignore"] });
}

export type GitState = {
  /** Top folder of the repository. */
  readonly root: string;
  /** The checked-out commit; null before the first one. */
  readonly commit: string | null;
  /** Null when HEAD is detached. */
  readonly branch: string | null;
  /** First line of the commit's message. */
  readonly message: string | null;
  /** Something under `cwd` differs from the commit. */
  readonly dirty: boolean;
};

/** What git says of the folder `cwd`; null where there is no repository, or no git. */
export async function readGitState(cwd: string): Promise<GitState | null> {
  const [root, status, subject] = await Promise.all([
    tryGit(cwd, ["rev-parse", "--show-toplevel"]),
    tryGit(cwd, ["status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z", "--", "."]),
    tryGit(cwd, ["log", "-1", "--format=%s"]),
  ]);
  if (root === null || status === null) return null;
  return { root: root.trimEnd(), message: subject?.trim() || null, ...parseStatus(status) };
}

/** The parts of `git status --porcelain=v2 --branch -z` that a deployment records. */
export function parseStatus(status: string): Pick<GitState, "commit" | "branch" | "dirty"> {
  let commit: string | null = null;
  let branch: string | null = null;
  let dirty = false;
  for (const record of status.split("\0")) {
    if (record.startsWith("# branch.oid ")) commit = headerValue(record, "(initial)");
    else if (record.startsWith("# branch.head ")) branch = headerValue(record, "(detached)");
    else if (record !== "" && !record.startsWith("#")) dirty = true;
  }
  return { commit, branch, dirty };
}

function headerValue(record: string, none: string): string | null {
  const value = record.split(" ").slice(2).join(" ");
  return value === none ? null : value;
}

/** The commit that a ref names: as written, else as a branch of `origin`. @throws AppError `not_found`. */
export async function resolveCommit(cwd: string, ref: string): Promise<string> {
  for (const name of [ref, `origin/${ref}`]) {
    const sha = await tryGit(cwd, [
      "rev-parse",
      "--verify",
      "--quiet",
      "--end-of-options",
      `${name}^{commit}`,
    ]);
    if (sha !== null) return sha.trim();
  }
  throw new AppError("not_found", `The repository in ${cwd} has no commit, branch or tag "${ref}".`, {
    hint: "Fetch it first (`git fetch origin`), or leave the option out to deploy what is in the folder.",
  });
}

/** The version line of git, or why there is none. */
export async function gitVersion(): Promise<{ version: string } | { missing: string }> {
  try {
    const { stdout } = await run("git", ["--version"]);
    return { version: stdout.trim() };
  } catch (error) {
    return { missing: messageOf(error) };
  }
}
