import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, errorCodeOf } from "../foundation/errors.ts";
import { isAlive, startTimeOf } from "../foundation/process.ts";

/** A process for ever: pids are reused, (pid, start time) pairs are not. */
export type ProcessName = { readonly pid: number; readonly startTime: string | null };

export function nameOf(pid: number): ProcessName {
  return { pid, startTime: startTimeOf(pid) };
}

export function lives(name: ProcessName): boolean {
  return isAlive(name.pid) && startTimeOf(name.pid) === name.startTime;
}

/**
 * Takes `<dir>/supervisor.lock` for this process; `tookOver` when its earlier holder died without releasing it.
 * @throws AppError `conflict` while another supervisor lives that holds it.
 */
export async function lockDirectory(dir: string): Promise<{ tookOver: boolean; release(): Promise<void> }> {
  await mkdir(dir, { recursive: true });
  const lock = join(dir, "supervisor.lock");
  const mine = `${lock}.${process.pid}`;
  await writeFile(mine, JSON.stringify(nameOf(process.pid)));
  try {
    for (let tookOver = false; ; tookOver = true) {
      // link(2) fails when the name exists: unlike a write, it cannot be half done.
      if (await succeeds(link(mine, lock))) return { tookOver, release: () => rm(lock, { force: true }) };
      await removeIfStale(lock, dir);
    }
  } finally {
    await rm(mine, { force: true });
  }
}

async function removeIfStale(lock: string, dir: string): Promise<void> {
  const text = await readFile(lock, "utf8").catch(() => null);
  if (text === null) return;
  const holder = JSON.parse(text) as ProcessName;
  if (lives(holder)) {
    throw new AppError("conflict", `Another supervisor (pid ${holder.pid}) holds ${dir}.`, {
      hint: "Use it as it is, stop it with `signalbox down`, or choose another folder with SIGNALBOX_DIR.",
    });
  }
  // Of two that found it stale, one wins this rename; it must not take away a lock that is newer than what it read.
  const aside = `${lock}.stale.${process.pid}`;
  if (!(await succeeds(rename(lock, aside)))) return;
  if ((await readFile(aside, "utf8")) !== text) await succeeds(link(aside, lock));
  await rm(aside, { force: true });
}

async function succeeds(operation: Promise<void>): Promise<boolean> {
  try {
    await operation;
    return true;
  } catch (error) {
    if (["EEXIST", "ENOENT"].includes(errorCodeOf(error) ?? "")) return false;
    throw error;
  }
}
