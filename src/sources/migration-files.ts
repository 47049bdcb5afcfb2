import { AppError } from "../foundation/errors.ts";
import type { TreeFile } from "../targets/target.ts";

const SYMLINK = 0o120000;
const MAX_FILES = 5_000;
/** Of one file, in bytes. A migration is written by hand; data does not belong into it. */
export const MAX_TEXT_BYTES = 2 ** 20;
const MAX_TOTAL_BYTES = 32 * 2 ** 20;

/**
 * The `*.sql` files directly in one of the folders, sorted by path. Pure.
 * @throws AppError `unprocessable` for links, names with control characters, and what is too large or too many.
 */
export function migrationFiles(files: readonly TreeFile[], dirs: readonly string[]): TreeFile[] {
  const folders = new Set(dirs.map(plainFolder));
  const found = files.filter(({ path }) => path.endsWith(".sql") && folders.has(folderOf(path)));
  for (const { path, mode, size } of found) {
    if (mode === SYMLINK) throw refused(path, "is a symbolic link", "Put the file itself there.");
    if (/\p{Cc}/u.test(path)) throw refused(path, "has a control character in its name", "Rename it.");
    if (size > MAX_TEXT_BYTES) {
      const limit = `has ${size} bytes, and a migration may have ${MAX_TEXT_BYTES}`;
      throw refused(path, limit, "Split it, and load data by other means.");
    }
  }
  const total = found.reduce((sum, { size }) => sum + size, 0);
  if (found.length > MAX_FILES || total > MAX_TOTAL_BYTES) {
    const most = `${MAX_FILES} files and ${MAX_TOTAL_BYTES} bytes are allowed`;
    throw new AppError("unprocessable", `There are ${found.length} migrations of ${total} bytes; ${most}.`, {
      hint: "Remove those that were applied everywhere long ago: what is applied and not there is no problem.",
    });
  }
  return found.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

/** `./db/expand/` and `db/expand` are one folder; `.` is the tree's root. */
function plainFolder(dir: string): string {
  const parts = dir.split("/").filter((part) => part !== "" && part !== ".");
  return parts.join("/");
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? "" : path.slice(0, slash);
}

function refused(path: string, why: string, hint: string): AppError {
  return new AppError("unprocessable", `${JSON.stringify(path)} ${why}.`, { hint });
}
