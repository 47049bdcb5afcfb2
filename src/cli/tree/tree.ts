import type { Readable } from "node:stream";

/** Modes as git writes them; others do not occur. */
export const MODE = { file: 0o100644, executable: 0o100755, symlink: 0o120000 } as const;

/** One file of a tree. `sha1` is the SHA-1 of its content (Vercel's digest), not git's id of the blob. */
export type TreeFile = {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly sha1: string;
  /** Bytes. For a symlink: of the target's text, which is its content. */
  readonly size: number;
  readonly mode: number;
};

/** A tree that is ready to be sent. */
export type Tree = {
  readonly files: readonly TreeFile[];
  readonly bytes: number;
  /** The text of `signalbox.yaml`, when the tree has one at its root. */
  readonly config: string | null;
  /** The content of a file; fails when it is no longer what was digested. */
  open(file: TreeFile): Readable;
  close(): void;
};

export type TreeProgress = (done: number, total: number) => void;

export const CONFIG_FILE = "signalbox.yaml";

export function totalBytes(files: readonly TreeFile[]): number {
  return files.reduce((sum, file) => sum + file.size, 0);
}
