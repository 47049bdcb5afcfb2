import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../foundation/clock.ts";
import type { ProcessFamily } from "../run/process-family.ts";
import { BuildFailure } from "./build.ts";

export type BuildLimits = {
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
};

const SAMPLE_MS = 250;
// Measuring a big tree is slow: it may take at most a tenth of the time.
const MEASURE_SHARE = 10;

/**
 * Watches one build's memory and disk until `signal` aborts. Resolves with the failure of the first limit crossed, or
 * null. Memory is the sum of the resident sets, so pages shared by several processes count several times.
 */
export async function watchLimits(options: {
  family: ProcessFamily;
  directories: readonly string[];
  limits: BuildLimits;
  clock: Clock;
  signal: AbortSignal;
}): Promise<BuildFailure | null> {
  const { family, limits, clock, signal } = options;
  const disk = await diskWatch(options);
  while (!signal.aborted) {
    const memory = family.members().reduce((sum, row) => sum + row.rssBytes, 0);
    if (memory > limits.memoryBytes) return outOfMemory(memory, limits.memoryBytes);
    const grown = await disk();
    if (grown > limits.diskBytes) return diskFull(limits.diskBytes);
    await clock.sleep(SAMPLE_MS, signal).catch(() => {});
  }
  return null;
}

/** Returns a function that says by how many bytes the directories have grown, measured no oftener than is cheap. */
async function diskWatch(options: {
  directories: readonly string[];
  limits: BuildLimits;
  clock: Clock;
}): Promise<() => Promise<number>> {
  const { directories, limits, clock } = options;
  const baseline = await sizeOf(directories);
  const usedBefore = await usedOf(directories[0]);
  let grown = 0;
  let nextAt = 0;
  return async () => {
    const now = clock.monotonicMs();
    // The file system's own figure costs nothing. Others write there too, so it only says when to look closely.
    const suspicious = (await usedOf(directories[0])) - usedBefore > Math.max(limits.diskBytes, grown * 1.5);
    if (now < nextAt && !suspicious) return grown;
    grown = (await sizeOf(directories)) - baseline;
    const took = clock.monotonicMs() - now;
    nextAt = clock.monotonicMs() + Math.max(SAMPLE_MS * 2, took * MEASURE_SHARE);
    return grown;
  };
}

function outOfMemory(used: number, limit: number): BuildFailure {
  return new BuildFailure(
    "BUILD_OUT_OF_MEMORY",
    `The build used ${mebibytes(used)} of memory; the limit is ${mebibytes(limit)}.`,
    "Make the build use less (fewer workers, smaller heap), or raise SIGNALBOX_BUILD_MEMORY_MB.",
  );
}

/** The failure of a build that wrote more than its limit. */
export function diskFull(limit: number): BuildFailure {
  return new BuildFailure(
    "BUILD_OUTPUT_TOO_LARGE",
    `The build wrote more than ${mebibytes(limit)} to disk, which is the limit.`,
    "Write less (check for a loop that fills a file), or raise SIGNALBOX_BUILD_DISK_MB.",
  );
}

export function mebibytes(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.round(bytes / 1024)} KiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

async function usedOf(directory: string | undefined): Promise<number> {
  if (directory === undefined) return 0;
  const figures = await statfs(directory).catch(() => null);
  return figures ? (figures.blocks - figures.bfree) * figures.bsize : 0;
}

async function sizeOf(directories: readonly string[]): Promise<number> {
  const sizes = await Promise.all(directories.map((directory) => directorySize(directory)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Bytes that the files of a tree occupy. What vanishes while being measured counts as nothing. */
export async function directorySize(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  let sum = 0;
  for (let at = 0; at < entries.length; at += 64) {
    const sizes = await Promise.all(
      entries.slice(at, at + 64).map(async (entry) => {
        const path = join(directory, entry.name);
        if (entry.isDirectory()) return directorySize(path);
        const facts = entry.isFile() ? await stat(path).catch(() => null) : null;
        // Blocks, not length: a sparse file of a terabyte fills nothing.
        return facts ? facts.blocks * 512 : 0;
      }),
    );
    sum += sizes.reduce((total, size) => total + size, 0);
  }
  return sum;
}
