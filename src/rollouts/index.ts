/**
 * Rollouts: how traffic moves to a new release. Pure.
 *
 * - **Strategy**: what the configuration asks for: all at once, or a canary.
 * - **Stage**: a weight that is held for its bake time.
 * - **Rollout**: where a deployment is on its way through the stages; data in its row.
 */
import { INSTANT_STAGES } from "./instant.ts";
import { type Stage, type Strategy, startRollout } from "./strategy.ts";

export { type Limits, nextRolloutStep } from "./canary.ts";
export { INSTANT_STAGES } from "./instant.ts";
export {
  type Counters,
  FAILURES_TO_ABORT,
  type Rollout,
  type RolloutInput,
  type RolloutStep,
  type Stage,
  type Strategy,
  startRollout,
} from "./strategy.ts";

/** The stages that a strategy asks for. `splitWith`: who has the traffic now; with nobody there is nothing to split. */
export function stagesOf(strategy: Strategy, splitWith: string | null): readonly Stage[] {
  if (strategy.kind === "instant" || splitWith === null) return INSTANT_STAGES;
  return [...strategy.steps.filter((step) => step.weight < 100), ...INSTANT_STAGES];
}

export function planRollout(strategy: Strategy, splitWith: string | null) {
  return startRollout(stagesOf(strategy, splitWith));
}
