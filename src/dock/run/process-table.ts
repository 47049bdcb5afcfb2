import { readdirSync, readFileSync } from "node:fs";

/** One row of /proc. Start time and boot make a pid unique: pids are used again, these pairs are not. */
export type ProcessRow = {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot, as the kernel writes them. */
  readonly startTime: string;
  readonly rssBytes: number;
  /** A zombie has ended; only its parent has not read how. */
  readonly zombie: boolean;
};

// Linux reports RSS in pages; every architecture that Node is built for here uses at least this size.
const PAGE_BYTES = 4096;

/** Parses `/proc/<pid>/stat`. The command's name may hold spaces and brackets, so fields count from its end. */
export function parseStat(text: string): ProcessRow | null {
  const open = text.indexOf(" (");
  const close = text.lastIndexOf(") ");
  if (open < 0 || close < 0) return null;
  const fields = text.slice(close + 2).split(" ");
  const [state, parent, group, session] = fields;
  const startTime = fields[19];
  if (state === undefined || startTime === undefined) return null;
  return {
    pid: Number(text.slice(0, open)),
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    startTime,
    rssBytes: Number(fields[21]) * PAGE_BYTES,
    zombie: state === "Z" || state === "X",
  };
}

/** Every process of this machine that can be seen. Synchronous: a scan must not be torn by our own event loop. */
export function listProcesses(): ProcessRow[] {
  const rows: ProcessRow[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const row = readProcess(Number(name));
    if (row) rows.push(row);
  }
  return rows;
}

/** Null when there is no such process. */
export function readProcess(pid: number): ProcessRow | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return null;
  }
}

/** True when the process was started with exactly this `NAME=value`, which outlives fork, exec and `setsid`. */
export function carriesMarker(pid: number, marker: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
    return environment.startsWith(`${marker}\0`) || environment.includes(`\0${marker}\0`);
  } catch {
    return false;
  }
}

/** The value of a variable that the process was started with; null without it, or for another user's process. */
export function startVariable(pid: number, name: string): string | null {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    return environment.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
  } catch {
    return null;
  }
}

/** Changes with every boot, so that a pid from before a reboot is never taken for a live one. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

/** Alive, not a zombie, and the very process that had this start time. */
export function isAlive(pid: number, startTime: string): boolean {
  const row = readProcess(pid);
  return row !== null && !row.zombie && row.startTime === startTime;
}
