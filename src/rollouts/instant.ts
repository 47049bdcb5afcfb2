import type { Stage } from "./strategy.ts";

/** Everything at once. Also the plan of a first release (nothing to split with) and of a target that cannot split. */
export const INSTANT_STAGES: readonly Stage[] = [{ weight: 100, bakeMs: 0 }];

export function describeInstant(): string[] {
  return ["100 % at once"];
}
