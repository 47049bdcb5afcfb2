import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { AppError } from "../../foundation/errors.ts";
import { type FetchedCommit, LIMITS, type Source, type Wanted } from "../../sources/index.ts";
import type { TreeFile } from "../../targets/target.ts";
import { checkAddress } from "./git-address.ts";
import { readBlobs } from "./git-blobs.ts";
import { createCache, type GitCache } from "./git-cache.ts";
import { explain, findTip, listRefs, type Refs, type ResolvedRef, resolveRef } from "./git-refs.ts";
import { type GitAddress, GitFailure, type GitOptions, type GitRun, git } from "./git-run.ts";
import { isLfsPointer, listTree, type TreeEntry } from "./git-tree.ts";

export type { GitOptions } from "./git-run.ts";

const FETCH_TIMEOUT_MS = 300_000;
const READ_TIMEOUT_MS = 300_000;

type Repository = {
  readonly options: GitOptions;
  readonly address: GitAddress;
  readonly dir: string;
  readonly signal: AbortSignal;
};

/** git repositories by URL: the port `Source` over the git that is installed. */
export function createGitSource(options: GitOptions): Source {
  const cache = createCache(options);
  return {
    name: "git",
    fetch: async (wanted, signal) => {
      const address = await checkAddress(options, wanted);
      return cache.use(wanted.url, signal, async (dir) => {
        const repository = { options, address, dir, signal };
        const ref = await fetchWanted(repository, wanted);
        return describeCommit(repository, cache, ref);
      });
    },
    readText: (at, signal) =>
      cache.use(at.url, signal, async (dir) => {
        const run = localRun({ options, dir, signal });
        const entry = (await listTree(run, at.sha)).find(({ path }) => path === at.path);
        if (entry === undefined || entry.mode === 0o120000) return null;
        if (entry.size > at.maxBytes) throw tooLarge(at.path, entry.size, at.maxBytes);
        let text = "";
        await readBlobs(run, [entry.blob], async (_blob, _size, body) => {
          text = (await buffer(body)).toString("utf8");
        });
        return text;
      }),
    readFiles: (at, each, signal) =>
      cache.use(at.url, signal, async (dir) => {
        const run = localRun({ options, dir, signal });
        const digests = await digestBlobs(run, cache, dir, at.sha, await listTree(run, at.sha));
        const wanted = [...digests].filter(([, sha1]) => at.sha1s.has(sha1));
        const blobs = wanted.map(([blob]) => blob);
        await readBlobs(run, blobs, (blob, size, body) =>
          each({ sha1: digests.get(blob) ?? "", size, body }),
        );
      }),
  };
}

/** Commands on the cache only; they speak no protocol. */
function localRun({ options, dir, signal }: Omit<Repository, "address">): Omit<GitRun, "args"> {
  return { options, cwd: dir, signal, timeoutMs: READ_TIMEOUT_MS, address: null };
}

async function fetchWanted(repository: Repository, wanted: Wanted): Promise<ResolvedRef> {
  const { commit, branch } = wanted;
  checkNames(wanted);
  if (commit !== null && isFullSha(commit) && (await hasCommit(repository, commit)))
    return { sha: commit, branch };
  const refs = await listRefs(repository.options, repository.address, repository.dir, repository.signal);
  if (commit === null) {
    const ref = resolveRef(refs, branch, repository.address);
    if (!(await hasCommit(repository, ref.sha))) await fetchShallow(repository, ref.sha);
    return ref;
  }
  return fetchCommit(repository, refs, commit, branch);
}

/** A commit may be the tip of a ref, fetchable by its id, or only somewhere in a branch's history. */
async function fetchCommit(
  repository: Repository,
  refs: Refs,
  commit: string,
  branch: string | null,
): Promise<ResolvedRef> {
  const tip = findTip(refs, commit);
  const sha = tip?.sha ?? (isFullSha(commit) ? commit : null);
  if (sha !== null) {
    const fetched = await fetchShallow(repository, sha).then(
      () => true,
      (error: unknown) => {
        if (tip === null && error instanceof AppError && error.code !== "canceled") return false;
        throw error;
      },
    );
    if (fetched) return { sha, branch: branch ?? tip?.branch ?? null };
  }
  const within = resolveRef(refs, branch, repository.address);
  await fetchHistory(repository, within.sha);
  const full = await fullSha(repository, commit);
  if (full !== null) return { sha: full, branch: branch ?? within.branch };
  const where = branch === null ? "its default branch" : `"${branch}"`;
  throw new AppError("not_found", `${repository.address.shown} has no commit ${commit} in ${where}.`, {
    hint: "Push the commit first, or give the branch that it is on.",
  });
}

function checkNames({ branch, commit }: Wanted): void {
  if (commit !== null && !/^[0-9a-f]{7,64}$/.test(commit)) {
    throw new AppError("bad_request", `"${commit.slice(0, 80)}" is no commit id.`, {
      hint: "Give 7 to 40 hexadecimal digits, lower case.",
    });
  }
  // What git-check-ref-format refuses; a leading dash would read as an option.
  if (branch !== null && (branch === "" || /^-|\.\.|[\s\p{Cc}~^:?*[\\]|@\{|\/$|\.lock$/u.test(branch))) {
    throw new AppError("bad_request", `"${branch.slice(0, 80)}" is no name of a branch or tag.`, {
      hint: "Give it as `git branch` shows it.",
    });
  }
}

function isFullSha(commit: string): boolean {
  return commit.length === 40 || commit.length === 64;
}

function fetchShallow(repository: Repository, sha: string): Promise<void> {
  return fetchInto(repository, ["--depth=1"], sha);
}

async function fetchHistory(repository: Repository, sha: string): Promise<void> {
  const shallow = await git({ ...localRun(repository), args: ["rev-parse", "--is-shallow-repository"] });
  const depth = shallow.toString("utf8").trim() === "true" ? ["--unshallow"] : [];
  await fetchInto(repository, depth, sha);
}

async function fetchInto(repository: Repository, depth: readonly string[], sha: string): Promise<void> {
  const { options, address, dir, signal } = repository;
  const flags = [
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--force",
    ...depth,
  ];
  const args = ["fetch", ...flags, "--", address.url, `${sha}:refs/signalbox/${sha}`];
  try {
    await git({ options, args, cwd: dir, signal, timeoutMs: FETCH_TIMEOUT_MS, address });
  } catch (error) {
    throw explain(error, address);
  }
}

async function hasCommit(repository: Repository, sha: string): Promise<boolean> {
  return (await fullSha(repository, sha)) !== null;
}

/** The full id of a commit in the cache; null when it is not there or not clear. */
async function fullSha(repository: Repository, commit: string): Promise<string | null> {
  const args = ["rev-parse", "--quiet", "--verify", "--end-of-options", `${commit}^{commit}`];
  try {
    return (await git({ ...localRun(repository), args })).toString("utf8").trim();
  } catch (error) {
    if (error instanceof GitFailure) return null;
    throw error;
  }
}

async function describeCommit(
  repository: Repository,
  cache: GitCache,
  ref: ResolvedRef,
): Promise<FetchedCommit> {
  const run = localRun(repository);
  const entries = await listTree(run, ref.sha);
  checkSizes(entries);
  const digests = await digestBlobs(run, cache, repository.dir, ref.sha, entries);
  const subject = await git({
    ...run,
    args: ["show", "--no-patch", "--format=%s", "--end-of-options", ref.sha],
  });
  const files = entries.map(
    ({ path, mode, blob, size }): TreeFile => ({ path, sha1: digests.get(blob) ?? "", size, mode }),
  );
  files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { sha: ref.sha, message: subject.toString("utf8").trim(), branch: ref.branch, files };
}

/** SHA-1 of every content by git's id of it, kept beside the cache: git's id has a header in it, so it is no help. */
async function digestBlobs(
  run: Omit<GitRun, "args">,
  cache: GitCache,
  dir: string,
  sha: string,
  entries: readonly TreeEntry[],
): Promise<Map<string, string>> {
  const kept = await cache.readDigests(dir, sha);
  if (kept !== null) return kept;
  const digests = new Map<string, string>();
  const paths = new Map(entries.map(({ blob, path }) => [blob, path]));
  await readBlobs(run, [...paths.keys()], async (blob, _size, body) => {
    const hash = createHash("sha1");
    let first = true;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (first && isLfsPointer(chunk)) throw lfsPointer(paths.get(blob) ?? blob);
      first = false;
      hash.update(chunk);
    }
    digests.set(blob, hash.digest("hex"));
  });
  await cache.writeDigests(dir, sha, digests);
  return digests;
}

function checkSizes(entries: readonly TreeEntry[]): void {
  if (entries.length > LIMITS.files) {
    throw new AppError("too_large", `The commit has ${entries.length} files; ${LIMITS.files} are allowed.`, {
      hint: "Deploy a smaller repository, or one folder of it from a checkout.",
    });
  }
  const large = entries.find(({ size }) => size > LIMITS.fileBytes);
  if (large) throw tooLarge(large.path, large.size, LIMITS.fileBytes);
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  if (total > LIMITS.treeBytes) throw tooLarge("The commit's tree", total, LIMITS.treeBytes);
}

function tooLarge(what: string, size: number, limit: number): AppError {
  return new AppError("too_large", `${what} has ${size} bytes; ${limit} are allowed.`, {
    hint: "Keep large files out of the repository, and fetch them at build or run time.",
  });
}

function lfsPointer(path: string): AppError {
  return new AppError(
    "unprocessable",
    `${path} is a Git LFS pointer; the file itself is not in the repository.`,
    {
      hint: "Deploy a checkout in which `git lfs pull` was run: `signalbox deploy .`.",
    },
  );
}
