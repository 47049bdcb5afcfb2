import { statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError } from "../../foundation/errors.ts";
import { type GitState, readGitState, resolveCommit, tryGit } from "./git.ts";

/** What is to be deployed, as the user named it. */
export type Source =
  | {
      readonly kind: "git";
      readonly url: string;
      readonly branch: string | null;
      readonly commit: string | null;
    }
  | {
      readonly kind: "folder";
      readonly root: string;
      /** Deploy this commit's files instead of what lies in the folder. */
      readonly treeOf: string | null;
      readonly branch: string | null;
      readonly commit: string | null;
      readonly message: string | null;
      readonly dirty: boolean;
    };

export type SourceOptions = {
  readonly cwd: string;
  /** A path or a git URL. Default: `cwd`. */
  readonly named: string | null;
  readonly branch: string | null;
  readonly commit: string | null;
  readonly message: string | null;
};

/**
 * Tells a git URL from a folder, and reads from git what a deployment records. A `branch` or `commit` of a local
 * repository means that commit's files; both together mean the commit's files under the branch's name.
 */
export async function resolveSource(options: SourceOptions): Promise<Source> {
  const named = options.named ?? ".";
  if (isGitUrl(named)) {
    return { kind: "git", url: gitUrl(options.cwd, named), branch: options.branch, commit: options.commit };
  }
  const root = resolve(options.cwd, named);
  requireFolder(root);
  const git = await readGitState(root);
  const ref = options.commit ?? options.branch;
  if (git === null && options.commit !== null) {
    throw new AppError("bad_request", `--commit needs a git repository, and ${root} is in none.`, {
      hint: "Leave --commit out to deploy the files as they are, or run `git init` and commit them.",
    });
  }
  if (git === null || ref === null) return workingTree(root, git, options);
  return commitTree(root, git, ref, options);
}

/** `https://`, `ssh://`, `git@host:path`, `file://`, or anything that ends with `.git`. */
export function isGitUrl(named: string): boolean {
  return (
    /^(https?|ssh|git|file):\/\//i.test(named) || /^[\w.-]+@[\w.-]+:/.test(named) || /\.git\/?$/.test(named)
  );
}

function workingTree(root: string, git: GitState | null, options: SourceOptions): Source {
  return {
    kind: "folder",
    root,
    treeOf: null,
    branch: options.branch ?? git?.branch ?? null,
    commit: git?.commit ?? null,
    message: options.message ?? git?.message ?? null,
    dirty: git?.dirty ?? false,
  };
}

async function commitTree(root: string, git: GitState, ref: string, options: SourceOptions): Promise<Source> {
  const commit = await resolveCommit(root, ref);
  const subject = await tryGit(root, ["log", "-1", "--format=%s", commit]);
  return {
    kind: "folder",
    root,
    treeOf: commit,
    branch: options.branch ?? (commit === git.commit ? git.branch : null),
    commit,
    message: options.message ?? (subject?.trim() || null),
    dirty: false,
  };
}

/** A bare repository on this machine is named by a path; git takes it as a `file://` URL too. */
function gitUrl(cwd: string, named: string): string {
  if (/^[a-z]+:\/\//i.test(named) || /^[\w.-]+@[\w.-]+:/.test(named)) return named;
  const path = resolve(cwd, named);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return pathToFileURL(path).href;
  throw new AppError("not_found", `There is no repository at ${path}.`, {
    hint: "Give a folder, or a git URL that begins with https://, ssh://, file:// or git@.",
  });
}

function requireFolder(root: string): void {
  const stats = statSync(root, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return;
  const what =
    stats === undefined ? `There is no folder ${root}.` : `${root} is a file, and a folder is deployed.`;
  throw new AppError("not_found", what, {
    hint: "Name the folder of the app, or a git URL that begins with https://, ssh://, file:// or git@.",
  });
}
