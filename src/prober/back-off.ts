import type { LocationState, Policy } from "../checks/index.ts";

const DEAD_AFTER_MS = 600_000;
const INTERVAL_MAX_MS = 300_000;
/** A third of what makes a verdict stale (`maxAgeMs`): asked more rarely than this, the dead would become unknown. */
const DEAD_FACTOR = 2;

/**
 * How many intervals go by between two rounds: two for what has been down here for ten minutes, one for everything
 * else. Never for a critical check, and never beyond five minutes. The ticks that remain are of the same grid, and a
 * good answer at one of them is confirmed at once, so a recovery is found one interval later at most.
 */
export function paceOf(state: LocationState | null, policy: Policy, now: number): number {
  if (policy.critical || state?.state !== "down") return 1;
  if (now - state.since <= DEAD_AFTER_MS) return 1;
  return policy.intervalMs * DEAD_FACTOR <= INTERVAL_MAX_MS ? DEAD_FACTOR : 1;
}
