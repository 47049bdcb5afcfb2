import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What tells that a file is still the one that was digested. Times in milliseconds, with fractions. */
export type FileStamp = {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly ino: number;
};

/** Digests of a folder's files (and of its commits' blobs), kept between runs. Losing them costs time only. */
export type DigestCache = {
  find(path: string, stamp: FileStamp): string | null;
  /** `digestedAtMs` is the wall-clock time before the file was opened. */
  remember(path: string, stamp: FileStamp, sha1: string, digestedAtMs: number): void;
  findBlob(oid: string): string | null;
  rememberBlob(oid: string, sha1: string): void;
  /** Writes what was found or remembered in this run; what was neither is forgotten. */
  save(): void;
};

type Row = [sha1: string, size: number, mtimeMs: number, ctimeMs: number, ino: number];
type Stored = { version: number; files: Record<string, Row>; blobs: Record<string, string> };

const VERSION = 1;

export function openDigestCache(cacheDir: string, root: string): DigestCache {
  const file = join(cacheDir, `${createHash("sha256").update(root).digest("hex").slice(0, 24)}.json`);
  const stored = read(file);
  const files: Record<string, Row> = {};
  const blobs: Record<string, string> = {};
  let changed = false;
  return {
    find(path, stamp) {
      const row = stored.files[path];
      if (row === undefined || !sameStamp(row, stamp)) return null;
      files[path] = row;
      return row[0];
    },
    remember(path, stamp, sha1, digestedAtMs) {
      changed = true;
      if (isSettledBefore(stamp, digestedAtMs)) {
        files[path] = [sha1, stamp.size, stamp.mtimeMs, stamp.ctimeMs, stamp.ino];
      }
    },
    findBlob(oid) {
      const sha1 = stored.blobs[oid];
      if (sha1 === undefined) return null;
      blobs[oid] = sha1;
      return sha1;
    },
    rememberBlob(oid, sha1) {
      changed = true;
      blobs[oid] = sha1;
    },
    save() {
      if (!changed) return;
      // A run reads either the working tree or a commit: the other kind is carried over as it was.
      const next: Stored = {
        version: VERSION,
        files: Object.keys(files).length > 0 ? files : stored.files,
        blobs: Object.keys(blobs).length > 0 ? blobs : stored.blobs,
      };
      write(file, next);
    },
  };
}

/**
 * A file that was changed in the same tick of the file system's clock in which it was digested may change again
 * without a new time, so its digest is not kept. Ticks: 4 ms on Linux; 2 s where times are whole seconds.
 */
function isSettledBefore(stamp: FileStamp, digestedAtMs: number): boolean {
  const tickMs = stamp.mtimeMs % 1_000 === 0 ? 2_000 : 20;
  return Math.max(stamp.mtimeMs, stamp.ctimeMs) < digestedAtMs - tickMs;
}

function sameStamp([, size, mtimeMs, ctimeMs, ino]: Row, stamp: FileStamp): boolean {
  return size === stamp.size && mtimeMs === stamp.mtimeMs && ctimeMs === stamp.ctimeMs && ino === stamp.ino;
}

function read(file: string): Stored {
  try {
    const stored = JSON.parse(readFileSync(file, "utf8")) as Stored;
    if (stored.version === VERSION && stored.files && stored.blobs) return stored;
  } catch {
    // Not there yet, or damaged: everything is digested anew.
  }
  return { version: VERSION, files: {}, blobs: {} };
}

function write(file: string, next: Stored): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}.tmp`;
    writeFileSync(temporary, JSON.stringify(next));
    renameSync(temporary, file);
  } catch {
    // A home that cannot be written to (a CI container, a full disk) must not stop a deployment.
  }
}
