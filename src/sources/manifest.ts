import { createHash } from "node:crypto";
import { AppError } from "../foundation/errors.ts";
import type { TreeFile } from "../targets/target.ts";

export const LIMITS = {
  files: 50_000,
  treeBytes: 2 * 2 ** 30,
  fileBytes: 512 * 2 ** 20,
  /** Of a path, in bytes: what Linux takes (PATH_MAX) less room for the folder that it is put into. */
  pathBytes: 3_072,
} as const;

const MAX_PROBLEMS = 20;
const FILE_TYPE = 0o170000;
const REGULAR = 0o100000;
const SYMLINK = 0o120000;

/**
 * Checks a list of files that someone sent, and answers it sorted by path and with plain modes.
 * @throws AppError `bad_request` or `too_large` with the first 20 problems.
 */
export function checkManifest(entries: readonly unknown[]): TreeFile[] {
  if (entries.length > LIMITS.files) {
    throw new AppError("too_large", `The tree has ${entries.length} files; ${LIMITS.files} are allowed.`, {
      hint: "Leave out what a build makes anew: add it to .gitignore or .vercelignore.",
    });
  }
  const problems: string[] = [];
  const files: TreeFile[] = [];
  for (const entry of entries) {
    const file = readEntry(entry);
    if (typeof file === "string") problems.push(file);
    else files.push(file);
    if (problems.length >= MAX_PROBLEMS) break;
  }
  files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  if (problems.length < MAX_PROBLEMS)
    problems.push(...collisions(files).slice(0, MAX_PROBLEMS - problems.length));
  if (problems.length > 0) {
    throw new AppError("bad_request", `The list of files is not valid: ${problems.slice(0, 3).join("; ")}.`, {
      hint: "Paths are relative, with forward slashes; digests are SHA-1 of the content.",
      details: problems,
    });
  }
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size > LIMITS.treeBytes) {
    throw new AppError("too_large", `The tree has ${size} bytes; ${LIMITS.treeBytes} are allowed.`, {
      hint: "Leave out large files: add them to .gitignore or .vercelignore.",
    });
  }
  return files;
}

/** SHA-256 of the sorted manifest: two trees with the same digest are the same files. */
export function digestManifest(files: readonly TreeFile[]): string {
  const hash = createHash("sha256");
  for (const { path, mode, sha1, size } of files)
    hash.update(`${path}\0${mode.toString(8)} ${sha1} ${size}\n`);
  return hash.digest("hex");
}

/** Why a path cannot be in a tree; null when it can. */
export function pathProblem(path: string): string | null {
  if (path === "") return "is empty";
  if (path.includes("\0")) return "has a NUL character";
  if (path.includes("\\")) return "has a backslash";
  if (path.startsWith("/") || /^[a-z]:/i.test(path)) return "is absolute";
  if (Buffer.byteLength(path) > LIMITS.pathBytes) return `is longer than ${LIMITS.pathBytes} bytes`;
  if (!path.isWellFormed()) return "is no valid Unicode";
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === ".")) return "has an empty part";
  if (parts.includes("..")) return "leads out of the tree (..)";
  if (parts.some((part) => Buffer.byteLength(part) > 255)) return "has a name longer than 255 bytes";
  return null;
}

function readEntry(entry: unknown): TreeFile | string {
  if (typeof entry !== "object" || entry === null) return "an entry is no object";
  const { path, sha1, size, mode } = entry as Partial<Record<keyof TreeFile, unknown>>;
  if (typeof path !== "string") return "an entry has no path";
  const shown = JSON.stringify(path.length > 200 ? `${path.slice(0, 197)}...` : path);
  const problem = pathProblem(path);
  if (problem !== null) return `${shown} ${problem}`;
  if (typeof sha1 !== "string" || !/^[0-9a-f]{40}$/.test(sha1))
    return `${shown}: sha1 is no lower-case SHA-1`;
  if (typeof size !== "number" || !Number.isInteger(size) || size < 0)
    return `${shown}: size is no number of bytes`;
  if (size > LIMITS.fileBytes) return `${shown} has ${size} bytes, and ${LIMITS.fileBytes} are allowed`;
  const plain = plainMode(mode);
  return plain === null
    ? `${shown}: mode is neither a file's nor a symbolic link's`
    : { path, sha1, size, mode: plain };
}

/** As git keeps modes: 100644, 100755 or 120000. Other bits would make the same content look like another tree. */
function plainMode(mode: unknown): number | null {
  if (typeof mode !== "number" || !Number.isInteger(mode) || mode < 0 || mode > 0o177777) return null;
  const type = mode & FILE_TYPE;
  if (type === SYMLINK) return SYMLINK;
  if (type !== REGULAR && type !== 0) return null;
  return (mode & 0o100) === 0 ? REGULAR | 0o644 : REGULAR | 0o755;
}

/** Paths that cannot all exist on a disk: one twice, two that differ by case only, a file that is a folder too. */
function collisions(files: readonly TreeFile[]): string[] {
  const problems: string[] = [];
  const seen = new Map<string, string>();
  for (const { path } of files) {
    const folded = path.normalize("NFC").toLowerCase();
    const other = seen.get(folded);
    if (other === path) problems.push(`${JSON.stringify(path)} is there twice`);
    else if (other !== undefined)
      problems.push(`${JSON.stringify(path)} and ${JSON.stringify(other)} differ by case only`);
    else seen.set(folded, path);
  }
  const folders = new Set<string>();
  for (const folded of seen.keys()) {
    // A folder that is known already has known parents.
    for (let slash = folded.lastIndexOf("/"); slash > 0; slash = folded.lastIndexOf("/", slash - 1)) {
      const folder = folded.slice(0, slash);
      if (folders.has(folder)) break;
      folders.add(folder);
    }
  }
  for (const [folded, path] of seen) {
    if (folders.has(folded)) problems.push(`${JSON.stringify(path)} is a file and a folder`);
  }
  return problems;
}
