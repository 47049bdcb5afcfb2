import { once } from "node:events";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { Parser, type ReadEntry } from "tar";
import { AppError, messageOf } from "../../foundation/errors.ts";
import { linkTarget } from "../build/tree-paths.ts";
import type { FileStore, TreeFile } from "../store/store.ts";
import { checkedPath } from "./deployment-request.ts";

export type ArchiveLimits = {
  readonly entries: number;
  /** Unpacked, in all. */
  readonly bytes: number;
  /** Unpacked bytes for each packed one, looked at from `freeBytes` on: text is squeezed 10 times, a bomb 1,000. */
  readonly ratio: number;
  readonly freeBytes: number;
};

const LIMITS: ArchiveLimits = { entries: 100_000, bytes: 4 * 2 ** 30, ratio: 200, freeBytes: 64 * 2 ** 20 };
// Smaller files are held in memory while they are hashed: most are in the store already, and are not written at all.
const SMALL_BYTES = 2 ** 20;
/** Small files that are being stored at once. Each waits for the disk. */
const PARALLEL = 16;

/** As many tell a packed file from a tar. */
const MAGIC_BYTES = 4;

const PART = /^\.vercel\/source\.tgz(?:\.part([1-9]\d{0,5}))?$/;

/**
 * A tree whose files came as one archive (`vercel deploy --archive=tgz`: parts of a gzipped tar, joined in order) with
 * the archive's files in its place, each in the store by its own digest. Any other tree is returned as it is.
 * @throws AppError `bad_request`, `too_large`
 */
export async function unpackArchive(
  store: FileStore,
  files: readonly TreeFile[],
  limits: ArchiveLimits = LIMITS,
): Promise<readonly TreeFile[]> {
  const parts = files.filter((file) => PART.test(file.path));
  if (parts.length === 0) return files;
  const ordered = parts.sort((a, b) => numberOf(a) - numberOf(b));
  for (const [index, part] of ordered.entries()) {
    if (numberOf(part) === index + 1) continue;
    throw bad(`its part ${index + 1} of ${ordered.length} is missing`);
  }
  const tree = await unpack(store, ordered, limits);
  // What was sent beside the archive was meant to be what it is.
  for (const file of files) if (!PART.test(file.path)) tree.set(file.path, file);
  return [...tree.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function numberOf(part: TreeFile): number {
  return Number(PART.exec(part.path)?.[1] ?? "1");
}

async function unpack(
  store: FileStore,
  parts: readonly TreeFile[],
  limits: ArchiveLimits,
): Promise<Map<string, TreeFile>> {
  const taking = new Taking(store, limits);
  const parser = new Parser({
    onReadEntry: (entry) => taking.entry(entry),
    onwarn: (code, message) => {
      if (code !== "TAR_ENTRY_INFO") taking.fail(bad(messageOf(message)));
    },
  });
  const gunzip = createGunzip();
  let packed = 0;
  const join = async function* () {
    for (const part of parts) {
      for await (const chunk of createReadStream(store.path(part.sha1))) {
        packed += chunk.length;
        yield chunk;
      }
    }
  };
  try {
    await pipeline(Readable.from(join()), gunzip, async (chunks: AsyncIterable<Buffer>) => {
      let unpacked = 0;
      for await (const chunk of wholeStart(chunks)) {
        if (unpacked === 0) assertTar(chunk);
        unpacked += chunk.length;
        assertSize(unpacked, packed, limits);
        const drained = parser.write(chunk) || Promise.race([once(parser, "drain"), taking.failure]);
        await drained;
        await taking.room(PARALLEL);
      }
      const ended = Promise.race([once(parser, "end"), taking.failure]);
      parser.end();
      await ended;
      await taking.room(1);
    });
  } catch (error) {
    await taking.giveUp();
    throw error instanceof AppError ? error : bad(messageOf(error));
  }
  return taking.tree;
}

/** The files of an archive on their way into the store, several at once. */
class Taking {
  readonly tree = new Map<string, TreeFile>();
  /** Rejects with the first thing that went wrong. */
  readonly failure: Promise<never>;
  readonly #store: FileStore;
  readonly #limits: ArchiveLimits;
  readonly #running = new Set<Promise<void>>();
  readonly #large = new Map<Readable, Promise<unknown>>();
  readonly #reject: (error: unknown) => void;
  /** By path, the number of the entry in `tree`. */
  readonly #taken = new Map<string, number>();
  #entries = 0;

  constructor(store: FileStore, limits: ArchiveLimits) {
    this.#store = store;
    this.#limits = limits;
    const { promise, reject } = Promise.withResolvers<never>();
    this.failure = promise;
    this.#reject = reject;
    promise.catch(() => {});
  }

  entry(entry: ReadEntry): void {
    const work = this.#take(entry).catch((error) => {
      entry.resume();
      this.fail(error);
    });
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  fail(error: unknown): void {
    this.#reject(error);
  }

  /** Resolves once fewer than `most` are under way. @throws whatever went wrong with one */
  async room(most: number): Promise<void> {
    // A failure is reported although nothing is under way any more.
    await Promise.race([this.failure, Promise.resolve()]);
    while (this.#running.size >= most) await Promise.race([this.failure, ...this.#running]);
    await Promise.race([this.failure, Promise.resolve()]);
  }

  /** Ends the large files that wait for bytes which never come, and waits until nothing of them is left. */
  async giveUp(): Promise<void> {
    for (const stream of this.#large.keys()) stream.destroy(new Error("the archive is given up"));
    await Promise.allSettled(this.#large.values());
  }

  async #take(entry: ReadEntry): Promise<void> {
    const number = ++this.#entries;
    if (this.#entries > this.#limits.entries) throw tooLarge(`more than ${this.#limits.entries} entries`);
    if (entry.type === "Directory" || entry.type === "GNUDumpDir") return void entry.resume();
    const path = pathOf(entry);
    if (entry.type === "SymbolicLink") {
      entry.resume();
      const target = entry.linkpath ?? "";
      if (linkTarget(path, target) === null) throw bad(`its link ${quote(path)} leads outside`);
      const { sha1, size } = await this.#store.add(Buffer.from(target));
      return this.#keep(number, { path, sha1, size, mode: 0o120000 });
    }
    if (!["File", "OldFile", "ContiguousFile"].includes(entry.type)) {
      throw bad(`${quote(path)} is a ${entry.type}; only files, directories and symbolic links are taken`);
    }
    const { sha1, size } = await (entry.size <= SMALL_BYTES
      ? this.#store.add(await entry.concat())
      : this.#takeLarge(entry));
    this.#keep(number, { path, sha1, size, mode: (entry.mode ?? 0) & 0o100 ? 0o100755 : 0o100644 });
  }

  /** Of two entries of one path the later one counts, as tar has it, and not the one that took longer to store. */
  #keep(number: number, file: TreeFile): void {
    if ((this.#taken.get(file.path) ?? 0) > number) return;
    this.#taken.set(file.path, number);
    this.tree.set(file.path, file);
  }

  async #takeLarge(entry: ReadEntry): Promise<{ sha1: string; size: number }> {
    const stream = Readable.from(entry);
    // It may be given up before the store listens to it; an error that nobody hears would end the process.
    stream.on("error", () => {});
    const stored = this.#store.add(stream);
    this.#large.set(stream, stored);
    return stored.finally(() => this.#large.delete(stream));
  }
}

function pathOf(entry: ReadEntry): string {
  const path = entry.path.replace(/^(\.\/)+/, "");
  if (!path.startsWith("/") && !path.includes("\\")) return checkedPath(path);
  throw bad(`the path ${quote(path)} is not inside the deployment`);
}

/** The same bytes; the first piece is long enough to see what they are. The parser puts such pieces together too. */
async function* wholeStart(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let start: Buffer | null = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (start === null) yield chunk;
    else if (start.length + chunk.length < MAGIC_BYTES) start = Buffer.concat([start, chunk]);
    else {
      yield Buffer.concat([start, chunk]);
      start = null;
    }
  }
  if (start !== null && start.length > 0) yield start;
}

/** The parser would unpack a packed archive inside of this one, and nobody would count its bytes. */
function assertTar(start: Buffer): void {
  const packed = ["1f8b", "28b52ffd"].some((magic) => start.subarray(0, 4).toString("hex").startsWith(magic));
  if (packed) throw bad("there is another packed file in it and no tar");
}

function assertSize(unpacked: number, packed: number, { bytes, ratio, freeBytes }: ArchiveLimits): void {
  if (unpacked > bytes) throw tooLarge(`more than ${Math.round(bytes / 2 ** 20)} MiB`);
  if (unpacked > freeBytes && unpacked > packed * ratio) {
    throw tooLarge(`more than ${ratio} times its size, as no source has it`);
  }
}

function bad(problem: string): AppError {
  return new AppError("bad_request", `The archive .vercel/source.tgz cannot be unpacked: ${problem}.`, {
    hint: "Deploy again, or without --archive.",
  });
}

function tooLarge(what: string): AppError {
  return new AppError("too_large", `The archive .vercel/source.tgz unpacks to ${what}.`, {
    hint: "Leave out what the build does not need with .vercelignore.",
  });
}

function quote(path: string): string {
  return JSON.stringify(path.slice(0, 200));
}
