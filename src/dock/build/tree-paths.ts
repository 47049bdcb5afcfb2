import { posix } from "node:path";
import type { TreeFile } from "../store/store.ts";
import { BuildFailure } from "./build.ts";

const SYMLINK = 0o120000;

export function isSymlink(file: TreeFile): boolean {
  return (file.mode & 0o170000) === SYMLINK;
}

/**
 * Refuses a tree that could write outside its directory or mean two things: absolute paths, `..`, NUL, backslashes, a
 * path twice (also by case or Unicode form, as some file systems would see it), a file where others need a directory.
 * @throws BuildFailure `BUILD_INVALID_CONFIG` naming the path.
 */
export function assertSafeTree(files: readonly TreeFile[]): void {
  const seen = new Map<string, string>();
  for (const { path } of files) {
    const problem = problemOf(path);
    if (problem) throw refused(path, problem);
    const folded = fold(path);
    const other = seen.get(folded);
    if (other === path) throw refused(path, "is in the tree twice");
    if (other !== undefined) throw refused(path, `differs from ${quote(other)} only by case or Unicode form`);
    seen.set(folded, path);
  }
  for (const path of seen.values()) {
    for (let parent = posix.dirname(path); parent !== "."; parent = posix.dirname(parent)) {
      const file = seen.get(fold(parent));
      if (file !== undefined) throw refused(path, `lies below ${quote(file)}, which is a file or a link`);
    }
  }
}

function problemOf(path: string): string | null {
  if (path === "") return "is empty";
  if (path.includes("\0")) return "has a NUL character in it";
  if (path.includes("\\")) return "has a backslash in it (use forward slashes)";
  if (path.startsWith("/") || /^[A-Za-z]:/.test(path)) return "is absolute";
  if (Buffer.byteLength(path) > 1024) return "is longer than 1024 bytes";
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === "..") return "is not a plain path below the tree's root";
    if (Buffer.byteLength(part) > 255) return "has a name longer than 255 bytes in it";
  }
  return null;
}

/** Where a link leads, as a path in the tree; null when it leaves the tree. */
export function linkTarget(path: string, target: string): string | null {
  if (target === "" || target.startsWith("/") || target.includes("\0")) return null;
  const resolved = posix.normalize(posix.join(posix.dirname(path), target));
  return resolved === ".." || resolved.startsWith("../") ? null : resolved;
}

export function refused(path: string, problem: string): BuildFailure {
  return new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `The path ${quote(path)} ${problem}.`,
    "Rename or remove it in the repository and deploy again.",
  );
}

function fold(path: string): string {
  return path.normalize("NFC").toLowerCase();
}

function quote(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
