import { setPriority } from "node:os";

/**
 * Who gets the processor first when there is not enough of it (nice values; lower is first). A rollback has to come
 * through just when an app is drowning, so what decides and moves traffic goes before the apps, and builds go last.
 */
export const NICE = { control: -5, app: 0, build: 10 } as const;

/** Best effort: only root may go below what a process has, and whoever may not runs as before. */
export function prioritise(pid: number | undefined, nice: number): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, nice);
  } catch {
    // EACCES without the right to, ESRCH when it has ended already: neither is a reason to stop.
  }
}
