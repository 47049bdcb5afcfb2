import type { Clock } from "../../foundation/clock.ts";
import { carriesMarker, listProcesses, type ProcessRow } from "./process-table.ts";

/**
 * All processes that come from one start: the group and session of the first one, its descendants, and whatever
 * left them (`setsid`, double fork) but still carries the marker in its environment.
 */
export class ProcessFamily {
  readonly #marker: string;
  readonly #known = new Set<string>();
  readonly #strangers = new Set<string>();
  #leader: number | null = null;

  /** `marker`: a `NAME=value` that only this family's environment holds. */
  constructor(marker: string) {
    this.#marker = marker;
  }

  /** Names the process whose group and session belong to the family. */
  lead(pid: number): void {
    this.#leader = pid;
  }

  /** The living members now. `thorough` reads every environment again instead of trusting an earlier look. */
  members(options: { thorough?: boolean } = {}): ProcessRow[] {
    if (options.thorough) this.#strangers.clear();
    const rows = listProcesses();
    const members = new Map<number, ProcessRow>();
    for (const row of rows) if (this.#belongs(row)) members.set(row.pid, row);
    // Children of members, however deep; each pass adds at least one or ends.
    for (let grew = true; grew; ) {
      grew = false;
      for (const row of rows) {
        if (members.has(row.pid) || !members.has(row.parent)) continue;
        members.set(row.pid, row);
        grew = true;
      }
    }
    for (const row of members.values()) this.#known.add(identity(row));
    return [...members.values()].filter((row) => !row.zombie && row.pid !== process.pid);
  }

  signal(name: NodeJS.Signals): number {
    const members = this.members({ thorough: true });
    for (const { pid } of members) send(pid, name);
    return members.length;
  }

  /**
   * SIGKILL until nothing is left: a process that forks while it is being killed is met again by the next look.
   * @returns how many were killed, and the pids that would not die in `limitMs` (default 10 s).
   */
  async kill(clock: Clock, limitMs = 10_000): Promise<{ killed: number; left: number[] }> {
    const seen = new Set<string>();
    const started = clock.monotonicMs();
    for (let clean = 0; ; ) {
      const members = this.members({ thorough: true });
      for (const row of members) {
        seen.add(identity(row));
        send(row.pid, "SIGKILL");
      }
      clean = members.length === 0 ? clean + 1 : 0;
      // Two empty looks: a child between fork and exec of a dying parent may be missed by one.
      if (clean === 2) return { killed: seen.size, left: [] };
      if (clock.monotonicMs() - started > limitMs) {
        return { killed: seen.size, left: members.map((row) => row.pid) };
      }
      await clock.sleep(clean > 0 ? 2 : 15);
    }
  }

  #belongs(row: ProcessRow): boolean {
    const id = identity(row);
    if (this.#leader !== null && (row.group === this.#leader || row.session === this.#leader)) return true;
    if (this.#known.has(id)) return true;
    if (this.#strangers.has(id)) return false;
    if (carriesMarker(row.pid, this.#marker)) return true;
    this.#strangers.add(id);
    return false;
  }
}

function identity(row: ProcessRow): string {
  return `${row.pid}@${row.startTime}`;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}
