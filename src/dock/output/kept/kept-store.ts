import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { randomText } from "../../../foundation/ids.ts";

/** An answer of a function, or a value that a function has kept, as it is on disk. */
export type Kept = {
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** When its making began: what changed after that is not in it. */
  readonly storedAtMs: number;
  /** null: fresh for ever. */
  readonly freshForS: number | null;
  /** Seconds after which it is not even shown while it is renewed. Where it is absent, something else decides. */
  readonly goneAfterS?: number | null | undefined;
  /** Names under which it can be made stale. */
  readonly tags: readonly string[];
};

export type KeptStore = {
  get(key: string): Promise<Kept | null>;
  put(key: string, kept: Kept): Promise<void>;
  delete(key: string): Promise<void>;
};

export type KeptLimits = {
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Default 50 000. */
  readonly files?: number;
};

const Head = z.object({
  key: z.string(),
  status: z.number(),
  headers: z.array(z.string()),
  storedAtMs: z.number(),
  freshForS: z.number().nullable(),
  goneAfterS: z.number().nullable().optional(),
  tags: z.array(z.string()).default([]),
});

const MEMORY_BYTES = 32 * 2 ** 20;
const DISK_BYTES = 512 * 2 ** 20;
// Each has a name in memory, and a block of the disk however small it is.
const FILES = 50_000;

/**
 * Answers on disk, one file each: written aside and renamed, so that a file is whole or absent. The newest are in
 * memory too. The oldest make way when there are too many.
 */
export function openKeptStore(
  directory: string,
  limits: KeptLimits = { memoryBytes: MEMORY_BYTES, diskBytes: DISK_BYTES },
): KeptStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Of a process that was killed while it wrote.
  for (const name of readdirSync(directory)) if (name.startsWith(".")) rmSync(join(directory, name));
  const most = limits.files ?? FILES;
  const memory = new Recent<Kept>(limits.memoryBytes, most);
  const forgotten = (name: string) => void rm(join(directory, name), { force: true });
  const files = new Recent<true>(limits.diskBytes, most, forgotten);
  for (const { name, size } of filesBySince(directory)) files.set(name, true, size);
  return {
    async get(key) {
      const name = nameOf(key);
      if (files.get(name) === undefined) return null;
      const recent = memory.get(name);
      if (recent !== undefined) return recent;
      const kept = await readKept(join(directory, name), key);
      if (kept !== null) memory.set(name, kept, kept.body.length);
      return kept;
    },
    async put(key, kept) {
      const name = nameOf(key);
      const bytes = encode(key, kept);
      const draft = join(directory, `.${name}-${randomText(6)}`);
      await writeFile(draft, bytes);
      await rename(draft, join(directory, name));
      memory.set(name, kept, kept.body.length);
      files.set(name, true, bytes.length);
    },
    async delete(key) {
      const name = nameOf(key);
      memory.delete(name);
      files.delete(name);
      await rm(join(directory, name), { force: true });
    },
  };
}

/** Values with a size, the least recently used forgotten first. */
class Recent<Value> {
  readonly #limit: number;
  readonly #most: number;
  readonly #forgotten: (name: string) => void;
  readonly #entries = new Map<string, { value: Value; size: number }>();
  #total = 0;

  constructor(limit: number, most: number, forgotten: (name: string) => void = () => {}) {
    this.#limit = limit;
    this.#most = most;
    this.#forgotten = forgotten;
  }

  get(name: string): Value | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry.value;
  }

  delete(name: string): void {
    this.#total -= this.#entries.get(name)?.size ?? 0;
    this.#entries.delete(name);
  }

  set(name: string, value: Value, size: number): void {
    this.#total += size - (this.#entries.get(name)?.size ?? 0);
    this.#entries.delete(name);
    this.#entries.set(name, { value, size });
    for (const [oldest, entry] of this.#entries) {
      const fits = this.#total <= this.#limit && this.#entries.size <= this.#most;
      if (fits || this.#entries.size === 1) break;
      this.#entries.delete(oldest);
      this.#total -= entry.size;
      this.#forgotten(oldest);
    }
  }
}

function nameOf(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 40);
}

function encode(key: string, { body, ...head }: Kept): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify({ key, ...head })}\n`), body]);
}

async function readKept(path: string, key: string): Promise<Kept | null> {
  try {
    const bytes = await readFile(path);
    const end = bytes.indexOf(10);
    const { key: written, ...head } = Head.parse(JSON.parse(bytes.subarray(0, end).toString("utf8")));
    return written === key ? { ...head, body: bytes.subarray(end + 1) } : null;
  } catch {
    return null;
  }
}

function filesBySince(directory: string): { name: string; size: number }[] {
  const files = readdirSync(directory).map((name) => ({ name, ...sizeAndTime(join(directory, name)) }));
  return files.sort((a, b) => a.since - b.since);
}

function sizeAndTime(path: string): { size: number; since: number } {
  const { size, mtimeMs } = statSync(path);
  return { size, since: mtimeMs };
}
