import { type Dirent, existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tryGit } from "./git.ts";
import {
  createPathFilter,
  type IgnoreRule,
  isIgnored,
  isNeverSent,
  PREBUILT,
  parseIgnore,
} from "./ignore.ts";

const OWN_IGNORE_FILES = [".signalboxignore", ".vercelignore"] as const;

/**
 * Paths of the files and symlinks to send, sorted, relative to `root`. In a git repository git says what is
 * ignored, elsewhere the `.gitignore` files do; `.signalboxignore` and `.vercelignore` at the root leave out more.
 * Prebuilt output (`.vercel/output`) is always in, although it is ignored nearly everywhere.
 */
export async function listFiles(root: string): Promise<string[]> {
  const own = OWN_IGNORE_FILES.flatMap((name) => readIgnoreFile(root, "", name));
  const listed = await listByGit(root);
  // A folder that git ignores as a whole (a build's output, say) has no listed file, and is meant nevertheless.
  const found = listed === null || listed.length === 0 ? walk(root, "", [...own]) : listed;
  const leftOut = createPathFilter(own);
  const sent = new Set(found.filter((path) => !isNeverSent(path) && !leftOut(path)));
  if (existsSync(join(root, PREBUILT))) for (const path of walkWhole(root, PREBUILT)) sent.add(path);
  return [...sent].sort();
}

/** What git tracks and what it would add, under `root`; null where there is no repository. */
async function listByGit(root: string): Promise<string[] | null> {
  const output = await tryGit(root, ["ls-files", "-co", "--exclude-standard", "-z"]);
  if (output === null) return null;
  const entries = output.split("\0").filter(Boolean);
  const paths: string[] = [];
  for (const entry of entries) {
    // A submodule, or a repository inside this one, is one entry; its files are listed by itself.
    const path = entry.replace(/\/$/, "");
    if (isNeverSent(path)) continue;
    if (entry.endsWith("/") || isDirectory(join(root, path))) {
      const inner = await listFiles(join(root, path));
      paths.push(...inner.map((name) => `${path}/${name}`));
    } else paths.push(path);
  }
  return paths;
}

function walk(root: string, folder: string, above: readonly IgnoreRule[]): string[] {
  const rules = [...above, ...readIgnoreFile(root, folder, ".gitignore")];
  return entriesOf(root, folder).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (isNeverSent(path) || isIgnored(rules, path, entry.isDirectory())) return [];
    if (entry.isDirectory()) return walk(root, path, rules);
    return entry.isFile() || entry.isSymbolicLink() ? [path] : [];
  });
}

function walkWhole(root: string, folder: string): string[] {
  return entriesOf(root, folder).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return walkWhole(root, path);
    return entry.isFile() || entry.isSymbolicLink() ? [path] : [];
  });
}

function entriesOf(root: string, folder: string): Dirent[] {
  return readdirSync(join(root, folder), { withFileTypes: true });
}

function readIgnoreFile(root: string, folder: string, name: string): IgnoreRule[] {
  const file = join(root, folder, name);
  if (!existsSync(file)) return [];
  return parseIgnore(readFileSync(file, "utf8"), folder);
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
