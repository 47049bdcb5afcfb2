import { readFile } from "node:fs/promises";
import type { FileStore, TreeFile } from "../store/store.ts";
import { isSymlink } from "./tree-paths.ts";

/** What detection reads: the package directory's files, straight from the store, before anything is written out. */
export type SourceTree = {
  has(path: string): boolean;
  /** True when some file lies below the directory. */
  hasDirectory(path: string): boolean;
  /** Null when there is no such file. */
  read(path: string): Promise<string | null>;
  /** The files, with paths relative to the package directory. */
  readonly files: readonly TreeFile[];
};

/** The tree below `root` (`""`: all of it). */
export function sourceTree(files: readonly TreeFile[], root: string, store: FileStore): SourceTree {
  const prefix = root === "" ? "" : `${root}/`;
  const below = files
    .filter((file) => file.path.startsWith(prefix))
    .map((file) => (prefix === "" ? file : { ...file, path: file.path.slice(prefix.length) }));
  const byPath = new Map(below.map((file) => [file.path, file]));
  return {
    files: below,
    has: (path) => byPath.has(path),
    hasDirectory: (path) => below.some((file) => file.path.startsWith(`${path}/`)),
    read: async (path) => {
      const file = byPath.get(path);
      if (!file || isSymlink(file)) return null;
      return readFile(store.path(file.sha1), "utf8");
    },
  };
}
