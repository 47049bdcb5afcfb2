import { INSTANT_STAGES } from "./instant.ts";
import type { Stage } from "./strategy.ts";
import { duration } from "./words.ts";

/** A growing share, each held for its bake time; after the last one comes everything. */
export function canaryStages(steps: readonly Stage[]): readonly Stage[] {
  return [...steps.filter((step) => step.weight < 100), ...INSTANT_STAGES];
}

export function describeCanary(steps: readonly Stage[]): string[] {
  const stages = canaryStages(steps).slice(0, -1);
  const hidden = stages.filter(({ weight }) => weight === 0);
  const shares = stages.filter(({ weight }) => weight > 0).map((stage) => `${stage.weight} % ${held(stage)}`);
  return [
    ...hidden.map(({ bakeMs }) =>
      bakeMs === null
        ? "0 % reachable by header, held until a person advances it"
        : `0 % reachable by header, held for ${duration(bakeMs)}`,
    ),
    [...shares, "100 %"].join(", then "),
  ];
}

function held({ bakeMs }: Stage): string {
  return bakeMs === null ? "until a person advances it" : `for ${duration(bakeMs)}`;
}
