import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { copyFile, link, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../../foundation/clock.ts";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import type { Ids } from "../../foundation/ids.ts";
import type { FileStore } from "./store.ts";

const SHA1 = /^[0-9a-f]{40}$/;
/** Directories read or files looked at together: enough to keep the disk busy, few enough to leave it to others. */
const PARALLEL = 32;

type Shelf = {
  readonly directory: string;
  /** Where files are written before they get their name. */
  readonly temporary: string;
  readonly maxFileBytes: number;
  readonly clock: Clock;
  readonly ids: Ids;
  /** Digests that were seen here, and when (ms since 1970) they were last asked for or stored. */
  readonly known: Map<string, number>;
};

/**
 * The content store in a directory. It remembers the digests that it has seen: the second look at a tree of 5,000 files
 * touches no disk, and what a client was just told is there is not collected before its deployment exists.
 * @param options.maxFileBytes largest body taken, default 2 GiB.
 */
export async function createFileStore(
  directory: string,
  deps: { clock: Clock; ids: Ids },
  options: { maxFileBytes?: number } = {},
): Promise<FileStore> {
  const temporary = join(directory, "tmp");
  // Left by a process that was killed while it wrote: never whole, never named.
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const maxFileBytes = options.maxFileBytes ?? 2 ** 31;
  const shelf: Shelf = { directory, temporary, maxFileBytes, ...deps, known: new Map() };
  return {
    directory,
    path: (sha1) => pathOf(shelf, sha1),
    missing: (sha1s) => missing(shelf, sha1s),
    put: (sha1, body) => put(shelf, sha1, body),
    add: (body) => add(shelf, body),
    importFile: (path) => importFile(shelf, path),
    collect: (retained, olderThan) => collect(shelf, retained, olderThan),
  };
}

function pathOf({ directory }: Shelf, sha1: string): string {
  return join(directory, assertDigest(sha1).slice(0, 2), sha1.slice(2));
}

/** Directories are listed instead of files being looked at one by one: 256 readings at most, however large the tree. */
async function missing({ directory, known, clock }: Shelf, sha1s: Iterable<string>): Promise<string[]> {
  const wanted = new Set<string>();
  for (const sha1 of sha1s) wanted.add(assertDigest(sha1));
  const unknown = [...wanted].filter((sha1) => !known.has(sha1));
  const prefixes = [...new Set(unknown.map((sha1) => sha1.slice(0, 2)))];
  await inParallel(prefixes, async (prefix) => {
    for (const name of await namesIn(join(directory, prefix))) {
      if (wanted.has(prefix + name)) known.set(prefix + name, 0);
    }
  });
  const now = clock.now().getTime();
  return [...wanted].filter((sha1) => {
    if (!known.has(sha1)) return true;
    known.set(sha1, now);
    return false;
  });
}

async function put(shelf: Shelf, sha1: string, body: Readable | Uint8Array): Promise<{ size: number }> {
  assertDigest(sha1);
  const name = join(shelf.temporary, shelf.ids("put"));
  try {
    const written = await writeHashed(name, body, shelf.maxFileBytes);
    if (written.sha1 !== sha1) {
      throw new AppError("bad_request", `The body's SHA-1 is ${written.sha1}, the digest said ${sha1}.`, {
        hint: "Send the file again; it changed or was cut short on its way.",
      });
    }
    await settle(shelf, name, sha1);
    return { size: written.size };
  } catch (error) {
    await rm(name, { force: true });
    throw explainDisk(error, shelf.directory);
  }
}

async function add(shelf: Shelf, body: Readable | Uint8Array): Promise<{ sha1: string; size: number }> {
  if (body instanceof Uint8Array) {
    // Small ones mostly are here already: hashing is cheaper than writing.
    const sha1 = createHash("sha1").update(body).digest("hex");
    if ((await missing(shelf, [sha1])).length === 0) return { sha1, size: body.length };
  }
  const name = join(shelf.temporary, shelf.ids("add"));
  try {
    const written = await writeHashed(name, body, shelf.maxFileBytes);
    await settle(shelf, name, written.sha1);
    return written;
  } catch (error) {
    await rm(name, { force: true });
    throw explainDisk(error, shelf.directory);
  }
}

async function importFile(shelf: Shelf, source: string): Promise<{ sha1: string; size: number }> {
  const hash = createHash("sha1");
  let size = 0;
  for await (const chunk of createReadStream(source, { highWaterMark: 256 * 1024 })) {
    hash.update(chunk);
    size += chunk.length;
  }
  const sha1 = hash.digest("hex");
  if (shelf.known.has(sha1) || (await exists(pathOf(shelf, sha1)))) {
    shelf.known.set(sha1, shelf.clock.now().getTime());
    return { sha1, size };
  }
  const name = join(shelf.temporary, shelf.ids("imp"));
  try {
    await linkOrCopy(source, name);
    await syncFile(name);
    await settle(shelf, name, sha1);
    return { sha1, size };
  } catch (error) {
    await rm(name, { force: true });
    throw explainDisk(error, shelf.directory);
  }
}

/** Gives a whole file its name. */
async function settle(shelf: Shelf, from: string, sha1: string): Promise<void> {
  const folder = join(shelf.directory, sha1.slice(0, 2));
  await mkdir(folder, { recursive: true });
  await rename(from, pathOf(shelf, sha1));
  await syncDirectory(folder);
  shelf.known.set(sha1, shelf.clock.now().getTime());
}

async function collect(
  { directory, known }: Shelf,
  retained: ReadonlySet<string>,
  olderThan: Date,
): Promise<{ removed: number; bytes: number }> {
  let removed = 0;
  let bytes = 0;
  const prefixes = (await readdir(directory)).filter((name) => /^[0-9a-f]{2}$/.test(name));
  await inParallel(prefixes, async (prefix) => {
    for (const name of await namesIn(join(directory, prefix))) {
      const sha1 = prefix + name;
      if (retained.has(sha1) || (known.get(sha1) ?? 0) > olderThan.getTime()) continue;
      const info = await stat(join(directory, prefix, name));
      // The inode's change time too: importing by hard link keeps the (old) modification time.
      if (Math.max(info.mtimeMs, info.ctimeMs) > olderThan.getTime()) continue;
      // Asked for while we looked at the disk: somebody was just told that it is here.
      if ((known.get(sha1) ?? 0) > olderThan.getTime()) continue;
      known.delete(sha1);
      await rm(join(directory, prefix, name), { force: true });
      removed += 1;
      bytes += info.size;
    }
  });
  return { removed, bytes };
}

function assertDigest(sha1: string): string {
  if (!SHA1.test(sha1)) {
    throw new AppError(
      "bad_request",
      `"${sha1.slice(0, 60)}" is not a SHA-1 digest (40 lower-case hex digits).`,
    );
  }
  return sha1;
}

async function writeHashed(
  name: string,
  body: Readable | Uint8Array,
  maxFileBytes: number,
): Promise<{ sha1: string; size: number }> {
  const hash = createHash("sha1");
  let size = 0;
  const file = await open(name, "wx", 0o644);
  try {
    const source = body instanceof Uint8Array ? Readable.from([body]) : body;
    await pipeline(source, async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) {
        size += chunk.length;
        if (size > maxFileBytes) {
          throw new AppError("too_large", `The file is larger than ${maxFileBytes} bytes.`, {
            hint: "Leave it out of the deployment, or fetch it at build time.",
          });
        }
        hash.update(chunk);
        await writeAll(file, chunk);
      }
    });
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha1: hash.digest("hex"), size };
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.length) offset += (await file.write(chunk, offset)).bytesWritten;
}

async function linkOrCopy(source: string, name: string): Promise<void> {
  try {
    await link(source, name);
  } catch {
    // Another file system, or one without hard links.
    await copyFile(source, name, constants.COPYFILE_FICLONE);
  }
}

async function syncFile(name: string): Promise<void> {
  const file = await open(name, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

const syncDirectory = syncFile;

async function exists(name: string): Promise<boolean> {
  return stat(name).then(
    () => true,
    () => false,
  );
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return [];
    throw error;
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, worker));
}

/** A full disk is the operator's to solve, and must say so. */
export function explainDisk(error: unknown, directory: string): unknown {
  const code = errorCodeOf(error);
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new AppError("unavailable", `The disk that holds ${directory} is full; the file was not stored.`, {
    hint: "Free some space there and deploy again; what was stored before is kept.",
    cause: error,
  });
}
