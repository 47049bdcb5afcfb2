import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { FileStore } from "../store/store.ts";
import type { SourceTree } from "./source-tree.ts";
import { isSymlink, linkTarget } from "./tree-paths.ts";

/** A file to be served, wherever its bytes are now. */
export type StaticSource = {
  /** Relative to the output directory, forward slashes. */
  readonly path: string;
  readonly size: number;
  /** Known when the bytes are in the store already. */
  readonly sha1: string | null;
  /** Absolute. */
  readonly location: string;
};

/** The tree's files below `directory` (`.`: all), which are in the store already: nothing is read or hashed. */
export async function sourcesOfTree(
  tree: SourceTree,
  directory: string,
  store: FileStore,
): Promise<StaticSource[]> {
  const prefix = directory === "." ? "" : `${directory}/`;
  const byPath = new Map(tree.files.map((file) => [file.path, file]));
  const sources: StaticSource[] = [];
  for (const listed of tree.files) {
    if (!listed.path.startsWith(prefix)) continue;
    let file = listed;
    for (let hops = 0; isSymlink(file) && hops < 8; hops++) {
      const target = linkTarget(file.path, await readFile(store.path(file.sha1), "utf8"));
      const next = target === null ? undefined : byPath.get(target);
      if (!next) break;
      file = next;
    }
    if (isSymlink(file)) continue;
    const { sha1, size } = file;
    sources.push({ path: listed.path.slice(prefix.length), size, sha1, location: store.path(sha1) });
  }
  return sources;
}

/**
 * The files below a directory of a finished build. Links are followed while they stay inside `boundary`: a build must
 * not publish the machine's files. `onOutside` hears of those that do not.
 */
export async function sourcesOfDirectory(
  directory: string,
  boundary: string,
  onOutside: (path: string) => void,
): Promise<StaticSource[]> {
  const sources: StaticSource[] = [];
  const inside = `${await realpath(boundary)}${sep}`;
  const walk = async (relative: string): Promise<void> => {
    const entries = await readdir(join(directory, relative), { withFileTypes: true });
    for (const entry of entries) {
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules" && entry.name !== ".git") await walk(path);
        continue;
      }
      if (!entry.isFile() && !entry.isSymbolicLink()) continue;
      const location = await realpath(join(directory, path)).catch(() => null);
      if (location === null || !location.startsWith(inside)) {
        onOutside(path);
        continue;
      }
      const facts = await stat(location);
      if (facts.isFile()) sources.push({ path, size: facts.size, sha1: null, location });
    }
  };
  await walk("");
  return sources;
}
