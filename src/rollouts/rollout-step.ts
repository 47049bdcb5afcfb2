import {
  analysisDue,
  failureOf,
  judgeAll,
  justFailed,
  nextAnalysisAtMs,
  noteLimits,
  noteUnjudged,
  unknownOf,
  watchErrors,
} from "./analysis.ts";
import { baselineIsDown, foldProbes, probesFailed } from "./probes.ts";
import {
  bakedAtMs,
  enterStage,
  isEnd,
  isLastStage,
  type Rollout,
  type RolloutInput,
  type RolloutStep,
  stageOf,
  withNote,
  withVerdicts,
} from "./rollout.ts";
import { foldSignals, toEverything } from "./signals.ts";
import { analysisOf, type Strategy } from "./strategy.ts";
import { growWindows } from "./windows.ts";

/**
 * The next step of a rollout that is under way. Pure. Only the observed weight counts: a shift that was asked for but
 * not seen is asked for again. A weight is never lowered on the way up, and an abort is final.
 */
export function nextRolloutStep(input: RolloutInput, strategy: Strategy): RolloutStep {
  const { weight } = input;
  const told = foldSignals(foldProbes(input.rollout, input), input.signals, input.now);
  if (told.aborted !== null) return { do: "abort", reason: told.aborted, rollout: told };
  const unanswered = probesFailed(told, weight);
  if (unanswered) return abort(told, input, unanswered, "probe");
  // Of a release that has no traffic nobody could have noticed anything.
  if (input.unwell !== null && weight > 0) return abort(told, input, input.unwell, "check");
  const seen = watchErrors(countTraffic(told, input), strategy, input);
  const failure = failureOf(seen, strategy);
  if (failure) return abort(seen, input, failure);
  if (seen.paused !== null) return { do: "paused", rollout: seen };
  return stageStep(baselineIsDown(seen, input) ? promoteOver(seen, input) : seen, input, strategy);
}

/** Counts from the look on in which the stage was reached; what came before it is not this stage's. */
function countTraffic(rollout: Rollout, { counters }: RolloutInput): Rollout {
  if (rollout.reachedAtMs === null || isEnd(rollout)) return rollout;
  return { ...rollout, windows: growWindows(rollout.windows, counters) };
}

function promoteOver(rollout: Rollout, input: RolloutInput): Rollout {
  const detail = input.baselineProbe?.detail ?? "";
  const reason =
    `the release before it failed ${rollout.baselineFailures} probes in a row${detail && ` (${detail})`}, ` +
    "while this one answered: promoted at once";
  const verdict = {
    atMs: input.now.getTime(),
    weight: input.weight,
    name: "probe",
    is: "pass",
    reason,
  } as const;
  const note = `${stageOf(rollout).weight} %: ${reason}`;
  return withNote(withVerdicts(toEverything(rollout), [verdict]), note);
}

function stageStep(rollout: Rollout, input: RolloutInput, strategy: Strategy): RolloutStep {
  const stage = stageOf(rollout);
  if (input.weight < stage.weight) {
    // A weight that was seen and is gone has to be seen again, and for its whole bake time.
    const lost =
      rollout.reachedAtMs === null || rollout.bakeOver ? rollout : enterStage(rollout, rollout.index);
    return { do: "shift", weight: stage.weight, rollout: lost };
  }
  if (stage.weight === 0 && input.weight === 0 && !rollout.opened) {
    return { do: "shift", weight: 0, rollout: { ...rollout, opened: true } };
  }
  if (rollout.reachedAtMs === null) return reachStage(rollout, input, strategy);
  if (isEnd(rollout)) return finishWhenSeen(rollout, input);
  return bake(rollout, input, strategy);
}

function reachStage(rollout: Rollout, input: RolloutInput, strategy: Strategy): RolloutStep {
  const at = { ...rollout, reachedAtMs: input.now.getTime() };
  if (isEnd(at)) return finishWhenSeen(at, input);
  const counted = noteLimits(countTraffic(at, input), strategy);
  return hold({ ...counted, nextAnalysisAtMs: nextAnalysisAtMs(counted, strategy, input.now) }, input);
}

function bake(rollout: Rollout, input: RolloutInput, strategy: Strategy): RolloutStep {
  const due = analysisDue(rollout, strategy, input.now);
  const asks = (analysisOf(strategy)?.queries.length ?? 0) > 0;
  // A signal of this very look made it due, so nobody asked the queries: at the next look they will.
  if (due && asks && input.queries === null) return hold(rollout, input);
  const judged = due ? judgeAll(rollout, strategy, input) : rollout;
  const failure = failureOf(judged, strategy);
  if (failure) return abort(judged, input, failure);
  const bakedAt = bakedAtMs(judged);
  if (bakedAt === null || input.now.getTime() < bakedAt) return hold(judged, input);
  // A stage is not left on a failed judgement, nor before the one that its end asks for.
  if (justFailed(judged) || (!due && judged.nextAnalysisAtMs !== null)) return hold(judged, input);
  const unknown = unknownOf(judged, strategy);
  if (unknown !== null) return pauseFor(judged, input, unknown);
  return leaveStage(noteUnjudged(judged, strategy), input, strategy);
}

function leaveStage(rollout: Rollout, input: RolloutInput, strategy: Strategy): RolloutStep {
  if (isLastStage(rollout))
    return finishWhenSeen({ ...rollout, bakeOver: true, nextAnalysisAtMs: null }, input);
  return stageStep(enterStage(rollout, rollout.index + 1), input, strategy);
}

function pauseFor(rollout: Rollout, input: RolloutInput, reason: string): RolloutStep {
  const sinceMs = input.now.getTime();
  const paused = { sinceMs, kind: "inconclusive", by: "analysis", reason } as const;
  return { do: "paused", rollout: { ...rollout, paused } };
}

function hold(rollout: Rollout, { now }: RolloutInput): RolloutStep {
  const times = [bakedAtMs(rollout), rollout.nextAnalysisAtMs].filter((time) => time !== null);
  const until = times.length === 0 ? now : new Date(Math.min(...times));
  return { do: "bake", until, rollout };
}

function finishWhenSeen(rollout: Rollout, { publicAnswer, now }: RolloutInput): RolloutStep {
  return publicAnswer?.ok ? { do: "finish", rollout } : { do: "bake", until: now, rollout };
}

function abort(rollout: Rollout, input: RolloutInput, reason: string, verdict?: string): RolloutStep {
  const { now, weight } = input;
  const failed = verdict ? [{ atMs: now.getTime(), weight, name: verdict, is: "fail", reason } as const] : [];
  return {
    do: "abort",
    reason,
    rollout: { ...withVerdicts(rollout, failed), paused: null, aborted: reason },
  };
}
