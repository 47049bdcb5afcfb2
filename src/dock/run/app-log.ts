import { closeSync, copyFileSync, mkdirSync, openSync, truncateSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorCodeOf } from "../../foundation/errors.ts";

// Two files of this size at most: an app's output is bounded by about 5 MiB.
const FILE_LIMIT_BYTES = 2.5 * 2 ** 20;
const TAIL_BYTES = 256 * 2 ** 10;

export function logFile(folder: string): string {
  return join(folder, "output.log");
}

/** A descriptor for a child's output. It appends, so that a truncated file is written from its beginning again. */
export function withLogDescriptor<Value>(folder: string, use: (descriptor: number) => Value): Value {
  const path = logFile(folder);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const descriptor = openSync(path, "a", 0o600);
  try {
    return use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Keeps the newest output and forgets the rest. The app goes on writing into the same file, because it must go on
 * writing when no dock is there; what it writes between copy and truncation is lost.
 */
export async function boundLog(folder: string, limit = FILE_LIMIT_BYTES): Promise<boolean> {
  const path = logFile(folder);
  const size = (await stat(path).catch(() => null))?.size ?? 0;
  if (size <= limit) return false;
  if (size <= limit * 2) copyFileSync(path, `${path}.1`);
  else await writeEnd(path, `${path}.1`, size, limit);
  truncateSync(path, 0);
  return true;
}

async function writeEnd(from: string, to: string, size: number, length: number): Promise<void> {
  await using target = await open(to, "w", 0o600);
  await target.writeFile(await readRange(from, size - length, length));
}

/** The newest lines, oldest first. */
export async function tailLog(folder: string, lines: number): Promise<string[]> {
  const path = logFile(folder);
  const parts = await Promise.all([readEnd(`${path}.1`), readEnd(path)]);
  const all = Buffer.concat(parts).toString("utf8").split("\n");
  if (all.at(-1) === "") all.pop();
  return lines <= 0 ? [] : all.slice(-lines);
}

async function readEnd(path: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    const length = Math.min(size, TAIL_BYTES);
    return await readRange(path, size - length, length);
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

async function readRange(path: string, start: number, length: number): Promise<Buffer> {
  await using file = await open(path, "r");
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, start);
  return buffer.subarray(0, bytesRead);
}
