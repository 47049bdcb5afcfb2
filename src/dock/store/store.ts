import type { Readable } from "node:stream";

/**
 * A file of a deployment's tree: path with forward slashes, no leading one; `mode` as in git (0o100644, 0o100755,
 * 0o120000).
 */
export type TreeFile = {
  readonly path: string;
  readonly sha1: string;
  readonly size: number;
  readonly mode: number;
};

/**
 * The content-addressed store. Keyed by SHA-1 because Vercel's protocol is (`x-now-digest`); every byte is hashed on
 * the way in and a mismatch is refused. Bytes of digest `abcd…` live at `<directory>/ab/cd…`, written to a temporary
 * name, fsynced and renamed, so that a name in place is always whole.
 */
export type FileStore = {
  /** Absolute. */
  readonly directory: string;
  /** Where the bytes of a digest are, whether or not they are there yet. */
  path(sha1: string): string;
  /** The digests that are not here, each once, in the order given. */
  missing(sha1s: Iterable<string>): Promise<string[]>;
  /** Stores a body. Idempotent. @throws AppError `bad_request` on a digest mismatch, `too_large` over the limit. */
  put(sha1: string, body: Readable | Uint8Array): Promise<{ size: number }>;
  /** Stores a body whose digest nobody said, and says it. @throws AppError `too_large` over the limit. */
  add(body: Readable | Uint8Array): Promise<{ sha1: string; size: number }>;
  /** Stores a file of this machine (hard link where it can, copy otherwise) and says its digest. */
  importFile(path: string): Promise<{ sha1: string; size: number }>;
  /** Removes what is neither in `retained` nor younger than `olderThan`. */
  collect(retained: ReadonlySet<string>, olderThan: Date): Promise<{ removed: number; bytes: number }>;
};
