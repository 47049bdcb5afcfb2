import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { bootId, isAlive } from "./process-table.ts";

// What the next dock process needs to know this one's children again. No variables: they may be secret, and the dock
// brings them along.
const Record = z.object({
  deploymentId: z.string(),
  pid: z.number().int().positive(),
  startTime: z.string(),
  bootId: z.string(),
  startedAt: z.iso.datetime(),
});

export type AppRecord = z.infer<typeof Record>;

/** Written in one go with the start, so that a dock killed right after it leaves no process that nobody knows. */
export function writeRecord(folder: string, record: Omit<AppRecord, "bootId">): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "state.json");
  writeFileSync(`${path}.new`, JSON.stringify({ ...record, bootId: bootId() }));
  renameSync(`${path}.new`, path);
}

/** The record of a process that is still alive; null when there is none, or it has ended. */
export function readLivingRecord(folder: string): AppRecord | null {
  try {
    const record = Record.parse(JSON.parse(readFileSync(join(folder, "state.json"), "utf8")));
    return record.bootId === bootId() && isAlive(record.pid, record.startTime) ? record : null;
  } catch {
    return null;
  }
}

export function removeRecord(folder: string): void {
  rmSync(join(folder, "state.json"), { force: true });
}
