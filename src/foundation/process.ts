import { readFileSync } from "node:fs";

/** True when a process with this pid lives. A zombie (dead, not yet reaped by its parent) does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
  return stateOf(pid) !== "Z";
}

/**
 * When the process started, in clock ticks since boot; null when it is gone or this is no Linux. With the pid it names
 * one process for ever: pids are reused, pairs are not.
 */
export function startTimeOf(pid: number): string | null {
  return statOf(pid)?.[19] ?? null;
}

function stateOf(pid: number): string | null {
  return statOf(pid)?.[0] ?? null;
}

/** The fields of /proc/<pid>/stat after the command's name, which may itself hold spaces and parentheses. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}
