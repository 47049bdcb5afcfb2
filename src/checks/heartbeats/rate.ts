import type { Clock } from "../../foundation/clock.ts";

/** A burst of ten, then one every two seconds: more than any job needs. */
const BURST = 10;
const REFILL_MS = 2_000;
const REMEMBERED = 10_000;

/** How often each name may do something. Answers 0, or how long until it may again. */
export function createRate(clock: Pick<Clock, "monotonicMs">): (name: string) => number {
  // Of each name, when its bucket is full again; in the order of their last use.
  const fullAt = new Map<string, number>();
  return (name) => {
    const now = clock.monotonicMs();
    const full = Math.max(fullAt.get(name) ?? 0, now) + REFILL_MS;
    const waitMs = full - now - BURST * REFILL_MS;
    if (waitMs > 0) return waitMs;
    fullAt.delete(name);
    fullAt.set(name, full);
    // A name that is forgotten has a full bucket again, which is what most of them have anyway.
    for (const oldest of fullAt.keys()) {
      if (fullAt.size <= REMEMBERED) break;
      fullAt.delete(oldest);
    }
    return 0;
  };
}
