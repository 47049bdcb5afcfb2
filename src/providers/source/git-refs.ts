import { AppError } from "../../foundation/errors.ts";
import { type GitAddress, GitFailure, type GitOptions, git } from "./git-run.ts";

export type Refs = {
  /** Full name of the default branch; null for an empty repository. */
  readonly head: string | null;
  /** Commit ids by full ref name; of an annotated tag, the commit that it names. */
  readonly commits: ReadonlyMap<string, string>;
};

export type ResolvedRef = { readonly sha: string; readonly branch: string | null };

const LIST_TIMEOUT_MS = 60_000;
const SHA = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const SHOWN_BRANCHES = 5;

/** Asks the repository for its branches and tags. */
export async function listRefs(
  options: GitOptions,
  address: GitAddress,
  cwd: string,
  signal: AbortSignal,
): Promise<Refs> {
  const patterns = ["HEAD", "refs/heads/*", "refs/tags/*"];
  const args = ["ls-remote", "--symref", "--", address.url, ...patterns];
  const output = await git({ options, args, cwd, signal, timeoutMs: LIST_TIMEOUT_MS, address }).catch(
    (error) => Promise.reject(explain(error, address)),
  );
  const commits = new Map<string, string>();
  let head: string | null = null;
  for (const line of output.toString("utf8").split("\n")) {
    const [value = "", ref = ""] = line.split("\t");
    if (value.startsWith("ref: ") && ref === "HEAD") head = value.slice(5);
    // `v1^{}` follows `v1` and is what an annotated tag points to.
    else if (SHA.test(value)) commits.set(ref.replace(/\^\{\}$/, ""), value);
  }
  return { head, commits };
}

/**
 * The commit that a branch or tag name means; the default branch without one.
 * @throws AppError `not_found` naming up to five branches that there are.
 */
export function resolveRef(refs: Refs, name: string | null, address: GitAddress): ResolvedRef {
  if (name === null) {
    const sha = refs.head === null ? undefined : refs.commits.get(refs.head);
    if (refs.head !== null && sha !== undefined) return { sha, branch: branchOf(refs.head) };
    throw new AppError("not_found", `${address.shown} has no default branch; it may be empty.`, {
      hint: "Push a commit, or name a branch.",
    });
  }
  for (const ref of [`refs/heads/${name}`, `refs/tags/${name}`, name]) {
    const sha = refs.commits.get(ref);
    if (sha !== undefined && ref.startsWith("refs/")) return { sha, branch: branchOf(ref) };
  }
  throw new AppError("not_found", `${address.shown} has no branch or tag "${name.slice(0, 200)}".`, {
    hint: branchHint(refs),
  });
}

/** A tip whose id begins with `abbreviated`. */
export function findTip(refs: Refs, abbreviated: string): ResolvedRef | null {
  for (const [ref, sha] of refs.commits) {
    if (sha.startsWith(abbreviated) && ref !== "HEAD") return { sha, branch: branchOf(ref) };
  }
  return null;
}

// The numbers only as git words them: a port or a repository's name may hold the same digits.
const ASKS_FOR_LOGIN =
  /could not read (Username|Password)|Authentication failed|Permission denied|returned error: 40[13]\b/i;

/** git's own words as one sentence with a way out. An error that is ours already passes through. */
export function explain(error: unknown, address: GitAddress): unknown {
  if (!(error instanceof GitFailure)) return error;
  const said = error.stderr;
  const { shown } = address;
  if (ASKS_FOR_LOGIN.test(said)) {
    return new AppError("unprocessable", `${shown} is private, or asks for a login.`, {
      hint: "Put a read-only token into the URL (https://token@host/…), or run `signalbox deploy .` in a checkout.",
    });
  }
  if (/not found|does not appear to be a git repository|does not exist|not a git repository/i.test(said)) {
    return new AppError("not_found", `There is no repository at ${shown}.`, {
      hint: "Check the URL; a private repository looks the same without a login.",
    });
  }
  if (/redirect/i.test(said)) {
    return new AppError("unprocessable", `${shown} redirects to another address.`, {
      hint: "Give the repository's present URL; redirects are not followed.",
    });
  }
  return new AppError("upstream", `git could not fetch ${shown}: ${lastLine(said, address)}`, {
    hint: "Check that the host is reachable from the control plane; Signalbox tries again by itself.",
  });
}

/** git repeats the URL with its password in some messages. */
function lastLine(said: string, address: GitAddress): string {
  const line = said.trim().split("\n").at(-1) ?? "";
  return line
    .replaceAll(address.url, address.shown)
    .replace(/\/\/[^/@\s]*@/g, "//")
    .slice(0, 300);
}

function branchOf(ref: string): string | null {
  return ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : null;
}

function branchHint(refs: Refs): string {
  const branches = [...refs.commits.keys()].map(branchOf).filter((branch) => branch !== null);
  if (branches.length === 0) return "It has no branches; push one first.";
  const more = branches.length > SHOWN_BRANCHES ? ` and ${branches.length - SHOWN_BRANCHES} more` : "";
  return `It has ${branches.slice(0, SHOWN_BRANCHES).join(", ")}${more}.`;
}
