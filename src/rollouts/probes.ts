import { type Rollout, type RolloutInput, stageOf } from "./rollout.ts";
import { FAILURES_TO_ABORT } from "./strategy.ts";

/** Counts failed probes in a row: of the release, and of the one before it. */
export function foldProbes(rollout: Rollout, input: RolloutInput): Rollout {
  return countBaseline(countOwn(rollout, input), input);
}

/** Why the probes take it back; null: they do not. */
export function probesFailed(rollout: Rollout, weight: number): string | null {
  if (rollout.failures < FAILURES_TO_ABORT) return null;
  return `${rollout.failures} probes in a row failed at ${weight} %: ${rollout.lastFailure}`;
}

/**
 * True when this release answers and the one before it does not: then more of it is the remedy, not the risk, and
 * holding it back keeps visitors on what is down (argoproj/argo-rollouts#1416).
 */
export function baselineIsDown(rollout: Rollout, { probe }: RolloutInput): boolean {
  return (
    rollout.baselineFailures >= FAILURES_TO_ABORT &&
    rollout.failures === 0 &&
    probe?.ok === true &&
    stageOf(rollout).weight < 100
  );
}

function countOwn(rollout: Rollout, { probe, publicAnswer }: RolloutInput): Rollout {
  const failed = [probe, publicAnswer].find((answer) => answer && !answer.ok);
  if (failed) return { ...rollout, failures: rollout.failures + 1, lastFailure: failed.detail };
  if (!probe?.ok && !publicAnswer?.ok) return rollout;
  return rollout.failures === 0 ? rollout : { ...rollout, failures: 0 };
}

/** Where both fail, the fault may be ours or the network's: only looks in which this one answered count. */
function countBaseline(rollout: Rollout, { probe, baselineProbe }: RolloutInput): Rollout {
  if (baselineProbe === null || probe === null) return rollout;
  const baselineFailures = probe.ok && !baselineProbe.ok ? rollout.baselineFailures + 1 : 0;
  return baselineFailures === rollout.baselineFailures ? rollout : { ...rollout, baselineFailures };
}
