import {
  type Counters,
  FAILURES_TO_ABORT,
  type Rollout,
  type RolloutInput,
  type RolloutStep,
} from "./strategy.ts";

export type Limits = { readonly maxErrorRate: number; readonly minRequests: number };

/**
 * The next step of a rollout that is under way. Pure. Only the observed weight counts: a shift that was asked for but
 * not seen is asked for again. A weight is never lowered on the way up.
 */
export function nextRolloutStep(input: RolloutInput, limits: Limits | null): RolloutStep {
  const rollout = countProbes(input);
  if (rollout.failures >= FAILURES_TO_ABORT) {
    return abort(
      rollout,
      `${rollout.failures} probes in a row failed at ${input.weight} %: ${rollout.lastFailure}`,
    );
  }
  const stage = rollout.stages[rollout.index];
  if (!stage) return { do: "finish", rollout };
  const tooMany = limits && rollout.reachedAtMs !== null ? errorsAbove(rollout, input, limits) : null;
  if (tooMany) return abort(rollout, tooMany);
  if (input.weight < stage.weight) return { do: "shift", weight: stage.weight, rollout };
  if (stage.weight === 100 && stage.bakeMs === 0) return finishWhenSeen(rollout, input);
  if (rollout.reachedAtMs === null) return holdStage(rollout, input, stage.bakeMs);
  const bakedAt = new Date(rollout.reachedAtMs + stage.bakeMs);
  if (input.now < bakedAt) return { do: "bake", until: bakedAt, rollout };
  if (stage.weight === 100) return finishWhenSeen(rollout, input);
  return nextStage(rollout, input, limits);
}

function countProbes({ rollout, probe, publicAnswer }: RolloutInput): Rollout {
  const failed = [probe, publicAnswer].find((answer) => answer && !answer.ok);
  if (failed) return { ...rollout, failures: rollout.failures + 1, lastFailure: failed.detail };
  if (!probe?.ok && !publicAnswer?.ok) return rollout;
  return rollout.failures === 0 ? rollout : { ...rollout, failures: 0 };
}

function holdStage(rollout: Rollout, input: RolloutInput, bakeMs: number): RolloutStep {
  const reached = { ...rollout, reachedAtMs: input.now.getTime(), baseline: input.counters };
  return { do: "bake", until: new Date(input.now.getTime() + bakeMs), rollout: reached };
}

function finishWhenSeen(rollout: Rollout, input: RolloutInput): RolloutStep {
  if (input.publicAnswer?.ok) return { do: "finish", rollout };
  return { do: "bake", until: input.now, rollout };
}

function nextStage(rollout: Rollout, input: RolloutInput, limits: Limits | null): RolloutStep {
  const weight = rollout.stages[rollout.index]?.weight ?? 100;
  const note = limits && noteOf(weight, rollout, input, limits);
  const next: Rollout = {
    ...rollout,
    index: rollout.index + 1,
    reachedAtMs: null,
    baseline: null,
    notes: note ? [...rollout.notes, note] : rollout.notes,
  };
  const stage = next.stages[next.index];
  if (!stage) return { do: "finish", rollout: next };
  if (input.weight < stage.weight) return { do: "shift", weight: stage.weight, rollout: next };
  return holdStage(next, input, stage.bakeMs);
}

function errorsAbove(rollout: Rollout, input: RolloutInput, limits: Limits): string | null {
  const window = since(rollout.baseline, input.counters);
  if (!window || window.requests < limits.minRequests || window.requests === 0) return null;
  const share = window.errors5xx / window.requests;
  if (share <= limits.maxErrorRate) return null;
  return (
    `${window.errors5xx} of ${window.requests} answers at ${input.weight} % were 5xx ` +
    `(${percent(share)}, allowed ${percent(limits.maxErrorRate)})`
  );
}

function noteOf(weight: number, rollout: Rollout, input: RolloutInput, limits: Limits): string | null {
  const window = since(rollout.baseline, input.counters);
  if (!window) return `${weight} %: the gateway's counters could not be read, so only probes judged`;
  if (window.requests >= limits.minRequests) return null;
  return `${weight} %: ${window.requests} requests, too few to judge the error share (${limits.minRequests} needed)`;
}

/** What was added since the baseline. A gateway that restarted counts from 0, so all of its count is new. */
function since(baseline: Counters | null, now: Counters | null): Counters | null {
  if (!baseline || !now) return null;
  if (now.requests < baseline.requests) return now;
  return { requests: now.requests - baseline.requests, errors5xx: now.errors5xx - baseline.errors5xx };
}

function abort(rollout: Rollout, reason: string): RolloutStep {
  return { do: "abort", reason, rollout };
}

function percent(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`;
}
