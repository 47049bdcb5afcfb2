import { readFileSync } from "node:fs";

// `sysconf(_SC_CLK_TCK)` is 100 on every Linux that node runs on.
const TICK_US = 10_000;

/** A process's CPU time from `/proc/<pid>/stat` (proc(5): utime and stime are fields 14 and 15). */
export function readStat(pid: number): { cpuUs: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { cpuUs: (Number(fields[11]) + Number(fields[12])) * TICK_US };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
