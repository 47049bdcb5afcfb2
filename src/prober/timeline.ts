import type { Clock } from "../foundation/clock.ts";

/**
 * The prober's own time: the wall clock, read once and carried on by the monotonic one. Ticks are on the grid of it, so
 * a clock that creeps or jumps a little moves none of them.
 */
export type Timeline = {
  /** Milliseconds since the epoch, with a fraction. */
  now(): number;
  /**
   * Follows a wall clock that was set (or a machine that slept) by more than a second, and says which way. Ahead: the
   * ticks in between are missed, as after any stall. Back: they all have to be worked out again.
   */
  follow(): "ahead" | "back" | null;
};

const STEP_MS = 1_000;

export function createTimeline(clock: Pick<Clock, "now" | "monotonicMs">): Timeline {
  let offset = clock.now().getTime() - clock.monotonicMs();
  return {
    now: () => clock.monotonicMs() + offset,
    follow: () => {
      const real = clock.now().getTime() - clock.monotonicMs();
      const step = real - offset;
      if (Math.abs(step) <= STEP_MS) return null;
      offset = real;
      return step > 0 ? "ahead" : "back";
    },
  };
}
