import type { LogEvent } from "./event-log.ts";

/** One reader of a log that is still written. `behind`: it must read rows before it reads its queue. */
export type Follower = { queue: LogEvent[]; behind: boolean; ended: boolean; wake: () => void };

/** A follower that reads slower than the build writes catches up from the rows instead of filling the memory. */
const MOST_QUEUED = 5_000;

export function createFollower({ ended }: { ended: boolean }): Follower {
  return { queue: [], behind: true, ended, wake: () => {} };
}

/** While it is behind, lines are queued too: the rows it reads may have been read before these were written. */
export function offer(follower: Follower, event: LogEvent): void {
  if (follower.queue.length >= MOST_QUEUED) {
    follower.queue = [];
    follower.behind = true;
  }
  follower.queue.push(event);
  follower.wake();
}

/** Resolves with the next line or the end; at once when one came between the look at the queue and this call. */
export function changed(follower: Follower, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    follower.wake = resolve;
    if (follower.queue.length > 0 || follower.ended || follower.behind || signal.aborted) resolve();
  });
}
