import type { HealthClock } from "./options.ts";

/** The machine's. This folder is published by itself, so it has one of its own. */
export const machineClock: HealthClock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};
