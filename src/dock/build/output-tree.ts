import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { errorCodeOf } from "../../foundation/errors.ts";
import type { FileStore, TreeFile } from "../store/store.ts";
import { inParallel } from "./in-parallel.ts";
import { isSymlink } from "./tree-paths.ts";

/** A file or a link of a Build Output, wherever its bytes are now. */
export type OutputEntry =
  | {
      readonly kind: "file";
      readonly size: number;
      readonly executable: boolean;
      /** Known when the bytes are in the store already. */
      readonly sha1: string | null;
      /** Absolute. */
      readonly location: string;
    }
  | { readonly kind: "link"; readonly target: string };

/**
 * A Build Output that has not been judged yet, uploaded or just built. Its parts are named as the artifact will have
 * them: `.vercel/output/…`, and files of the repository by their path from its root.
 */
export type OutputTree = {
  /** Everything below `.vercel/output`. */
  readonly entries: ReadonlyMap<string, OutputEntry>;
  /** A file or link of the repository outside of the output; null when there is none. */
  outside(path: string): Promise<OutputEntry | null>;
};

export const OUTPUT_DIRECTORY = ".vercel/output";

/** The output in an uploaded tree. `root`: the directory whose `.vercel/output` is meant, `""` for the tree's own. */
export async function outputInStore(
  files: readonly TreeFile[],
  root: string,
  store: FileStore,
): Promise<OutputTree> {
  const prefix = `${root === "" ? "" : `${root}/`}${OUTPUT_DIRECTORY}/`;
  const entryOf = async (file: TreeFile): Promise<OutputEntry> => {
    const { sha1, size } = file;
    const location = store.path(sha1);
    if (isSymlink(file)) return { kind: "link", target: await readFile(location, "utf8") };
    return { kind: "file", size, sha1, location, executable: (file.mode & 0o100) !== 0 };
  };
  const entries = new Map<string, OutputEntry>();
  const byPath = new Map(files.map((file) => [file.path, file]));
  const inside = files.filter((file) => file.path.startsWith(prefix));
  for (const file of inside) {
    entries.set(`${OUTPUT_DIRECTORY}/${file.path.slice(prefix.length)}`, await entryOf(file));
  }
  return {
    entries,
    async outside(path) {
      const file = byPath.get(path);
      return file ? entryOf(file) : null;
    },
  };
}

/** What a build left in `tree` (absolute), at `<root>/.vercel/output`. `below`: what else to list instead. */
export async function outputOnDisk(
  tree: string,
  root: string,
  below: string = OUTPUT_DIRECTORY,
): Promise<OutputTree> {
  const top = join(tree, root, below);
  const entries = new Map<string, OutputEntry>();
  const walk = async (relative: string): Promise<void> => {
    const names = await readdir(join(top, relative), { withFileTypes: true });
    const folders = names.filter((name) => name.isDirectory());
    const others = names.filter((name) => name.isFile() || name.isSymbolicLink());
    await inParallel(others, 16, async ({ name }) => {
      const entry = await entryOnDisk(join(top, relative, name));
      if (entry) entries.set(posix.join(below, relative, name), entry);
    });
    for (const { name } of folders) await walk(posix.join(relative, name));
  };
  await walk("");
  return { entries, outside: (path) => entryOnDisk(join(tree, path)) };
}

async function entryOnDisk(location: string): Promise<OutputEntry | null> {
  try {
    const facts = await lstat(location);
    if (facts.isSymbolicLink()) return { kind: "link", target: await readlink(location) };
    if (!facts.isFile()) return null;
    return { kind: "file", size: facts.size, sha1: null, location, executable: (facts.mode & 0o100) !== 0 };
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errorCodeOf(error) ?? "")) return null;
    throw error;
  }
}

const MOST_HOPS = 40;

/**
 * Where a path really is once every link on its way is followed, as the file system would do it; null when it leaves
 * the tree or goes in circles. A path to nothing is answered too. Judging a link by its text alone would not do: links
 * that are harmless each may lead out one through the other.
 */
export function realPathIn(entries: ReadonlyMap<string, OutputEntry>, path: string): string | null {
  let hops = 0;
  let done: string[] = [];
  const rest = path.split("/").reverse();
  while (rest.length > 0) {
    const part = rest.pop();
    if (part === undefined || part === "" || part === ".") continue;
    if (part === "..") {
      if (done.length === 0) return null;
      done.pop();
      continue;
    }
    done.push(part);
    const entry = entries.get(done.join("/"));
    if (entry?.kind !== "link") continue;
    if (entry.target.startsWith("/") || entry.target.includes("\0") || ++hops > MOST_HOPS) return null;
    done = done.slice(0, -1);
    rest.push(...entry.target.split("/").reverse());
  }
  return done.join("/");
}
