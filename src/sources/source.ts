import type { Readable } from "node:stream";
import type { TreeFile } from "../targets/target.ts";

/** What is asked of a repository. Without branch and commit: its default branch. */
export type Wanted = {
  /** Whose repository it is: it is fetched only from where that project may. */
  readonly projectId: string;
  readonly url: string;
  readonly branch: string | null;
  readonly commit: string | null;
};

export type FetchedCommit = {
  /** Full id. */
  readonly sha: string;
  /** First line of the message. */
  readonly message: string;
  /** The branch that it was found by; null for a tag or a bare commit. */
  readonly branch: string | null;
  /** The whole tree, sorted by path, digests of the contents. */
  readonly files: readonly TreeFile[];
};

export type FileContent = { readonly sha1: string; readonly size: number; readonly body: Readable };

/**
 * Port: a place where commits come from. Implemented in `src/providers/source/`, one file each. A method throws
 * AppError: `not_found`, `bad_request`, `unprocessable` for the user's mistakes, `upstream` for what a retry may cure.
 */
export type Source = {
  readonly name: string;
  /** Resolves the ref and fetches that commit. */
  fetch(wanted: Wanted, signal: AbortSignal): Promise<FetchedCommit>;
  /** One small file of a commit fetched before; null when it is not there. @throws when larger than `maxBytes` */
  readText(
    at: { url: string; sha: string; path: string; maxBytes: number },
    signal: AbortSignal,
  ): Promise<string | null>;
  /** Gives the contents with these SHA-1s to `each`, one after the other. */
  readFiles(
    at: { url: string; sha: string; sha1s: ReadonlySet<string> },
    each: (file: FileContent) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
};
