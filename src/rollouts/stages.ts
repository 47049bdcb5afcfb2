import { blueGreenStages } from "./blue-green.ts";
import { canaryStages } from "./canary.ts";
import { INSTANT_STAGES } from "./instant.ts";
import { type Rollout, startRollout } from "./rollout.ts";
import type { Stage, Strategy } from "./strategy.ts";

/** The stages that a strategy asks for. `splitWith`: who has the traffic now; with nobody there is nothing to split. */
export function stagesOf(strategy: Strategy, splitWith: string | null): readonly Stage[] {
  if (splitWith === null) return INSTANT_STAGES;
  switch (strategy.kind) {
    case "instant":
      return INSTANT_STAGES;
    case "blue_green":
      return blueGreenStages(strategy.watchMs);
    case "canary":
      return canaryStages(strategy.steps);
  }
}

export function planRollout(strategy: Strategy, splitWith: string | null): Rollout {
  return startRollout(stagesOf(strategy, splitWith));
}
