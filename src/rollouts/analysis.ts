import { compareService, MEASURED, type Measured } from "./compare-service.ts";
import { samplesNeeded } from "./comparison.ts";
import { type Finding, judgeErrors, judgeLatency, judgeQuery } from "./limits.ts";
import {
  bakedAtMs,
  isEnd,
  type Rollout,
  type RolloutInput,
  stageOf,
  type Verdict,
  withNote,
  withVerdicts,
} from "./rollout.ts";
import { type AnalysisPolicy, analysisOf, type Strategy } from "./strategy.ts";
import { type ServiceWindow, takeSamples } from "./windows.ts";

/** Intervals of a bake beyond those that the comparison needs: a look may be late, an interval without visitors. */
const SPARE_INTERVALS = 2;

type Judged = Pick<RolloutInput, "counters" | "queries" | "weight" | "now">;

/** True when a judgement is due, so that the shell asks the policy's queries for the coming look, and only then. */
export function analysisDue(rollout: Rollout, strategy: Strategy, now: Date): boolean {
  if (rollout.aborted !== null || rollout.paused !== null || namesOf(rollout, strategy).length === 0)
    return false;
  return rollout.nextAnalysisAtMs !== null && now.getTime() >= rollout.nextAnalysisAtMs;
}

/** When the next judgement is due after one now, or after the stage was reached now; null: nothing is judged. */
export function nextAnalysisAtMs(rollout: Rollout, strategy: Strategy, now: Date): number | null {
  const policy = analysisOf(strategy);
  if (!policy || namesOf(rollout, strategy).length === 0) return null;
  const nowMs = now.getTime();
  const interval = intervalMs(rollout, strategy, policy);
  // From when it was due and not from now, so that late looks do not add up to an interval too few.
  const planned = (rollout.nextAnalysisAtMs ?? nowMs) + interval;
  const next = planned > nowMs ? planned : nowMs + interval;
  const bakedAt = bakedAtMs(rollout);
  return bakedAt !== null && bakedAt > nowMs ? Math.min(next, bakedAt) : next;
}

/** A bake that is compared has at least the intervals that the comparison needs. */
function intervalMs(rollout: Rollout, strategy: Strategy, policy: AnalysisPolicy): number {
  const { bakeMs } = stageOf(rollout);
  if (bakeMs === null || bakeMs === 0 || !compares(rollout, strategy)) return policy.intervalMs;
  return Math.min(policy.intervalMs, bakeMs / (samplesNeeded(policy.confidence) + SPARE_INTERVALS));
}

/** One judgement of everything that this stage judges. */
export function judgeAll(rollout: Rollout, strategy: Strategy, input: Judged): Rollout {
  const policy = analysisOf(strategy);
  if (!policy) return rollout;
  const sampled = { ...rollout, windows: takeSamples(rollout.windows) };
  const verdicts = namesOf(rollout, strategy).map((name) => verdictOn(name, sampled, policy, input));
  const judged = recordRound(sampled, verdicts);
  return { ...judged, nextAnalysisAtMs: nextAnalysisAtMs(judged, strategy, input.now) };
}

/**
 * Only the share of errors, on any look between judgements and while it is paused: a bad release does not get to wait
 * for the next interval. Where several failed judgements in a row are asked for, it counts as one when one is due.
 */
export function watchErrors(rollout: Rollout, strategy: Strategy, input: Judged): Rollout {
  const policy = analysisOf(strategy);
  if (!policy || rollout.reachedAtMs === null || !namesOf(rollout, strategy).includes("errors"))
    return rollout;
  const verdict = verdictOn("errors", rollout, policy, input);
  if (verdict.is !== "fail") return rollout;
  if (policy.failureLimit <= 1) return recordRound(rollout, [verdict]);
  const due = rollout.nextAnalysisAtMs !== null && input.now.getTime() >= rollout.nextAnalysisAtMs;
  if (!due || rollout.paused === null) return rollout;
  const judged = recordRound(rollout, [verdict]);
  return { ...judged, nextAnalysisAtMs: nextAnalysisAtMs(judged, strategy, input.now) };
}

/** Why the judgements take it back; null: they do not. */
export function failureOf(rollout: Rollout, strategy: Strategy): string | null {
  const policy = analysisOf(strategy);
  if (!policy || rollout.failedInRow < Math.max(1, policy.failureLimit)) return null;
  const failed = newestRound(rollout).filter(({ is }) => is === "fail");
  const times = rollout.failedInRow > 1 ? ` (${rollout.failedInRow} failed judgements in a row)` : "";
  return unique(failed.map(({ reason }) => reason)).join("; ") + times;
}

/** What a stage that has baked does not know yet, as a reason to wait for a person; null: enough is known. */
export function unknownOf(rollout: Rollout, strategy: Strategy): string | null {
  const { weight } = stageOf(rollout);
  if (rollout.failedInRow > 0) {
    // The newest round said nothing, or the row would be longer or over.
    const said = unique(newestRound(rollout).map(({ reason }) => reason));
    return `${weight} %: after a failed judgement: ${said.join("; ")}`;
  }
  const missing = requiredOf(rollout, strategy).filter((name) => !rollout.passed.includes(name));
  if (missing.length === 0) return null;
  const reasons = missing.map(
    (name) =>
      rollout.verdicts.findLast((verdict) => verdict.name === name)?.reason ?? `${name} was not judged`,
  );
  return `${weight} %: ${unique(reasons).join("; ")}`;
}

/** Says in the result what a stage was left without: an opt-out must not read like a proof. */
export function noteUnjudged(rollout: Rollout, strategy: Strategy): Rollout {
  const { weight } = stageOf(rollout);
  const policy = analysisOf(strategy);
  const open = namesOf(rollout, strategy).filter((name) => !rollout.passed.includes(name));
  if (!policy || open.length === 0 || weight === 0) return rollout;
  const why =
    policy.minRequests === 0 ? "no requests are asked for" : "there is no release before it to compare with";
  return withNote(rollout, `${weight} %: ${open.join(", ")} not judged, as ${why}`);
}

/** What a reader should know of the stage's analysis from its beginning. */
export function noteLimits(rollout: Rollout, strategy: Strategy): Rollout {
  if (strategy.kind !== "blue_green" || !strategy.analysis.compare) return rollout;
  return withNote(
    rollout,
    "Watched by its limits, probes and queries only: with all traffic on it there is nothing to compare with",
  );
}

/** Everything that this stage judges, in the order of the verdicts. */
function namesOf(rollout: Rollout, strategy: Strategy): string[] {
  const policy = analysisOf(strategy);
  if (!policy || rollout.bakeOver || isEnd(rollout)) return [];
  return [
    ...(policy.maxErrorRate === null ? [] : ["errors"]),
    ...(policy.maxLatencyMs === null ? [] : ["latency"]),
    ...(compares(rollout, strategy) ? MEASURED : []),
    ...policy.queries.map(({ name }) => `query:${name}`),
  ];
}

/** The part of it that must have passed: without traffic of its own, or where none is asked for, it is less. */
function requiredOf(rollout: Rollout, strategy: Strategy): string[] {
  const policy = analysisOf(strategy);
  if (!policy || stageOf(rollout).weight === 0) return [];
  const alone = rollout.windows.length > 0 && rollout.windows.every(({ baseline }) => baseline === null);
  return namesOf(rollout, strategy).filter((name) => {
    if (name.startsWith("query:")) return true;
    return policy.minRequests > 0 && !(isMeasured(name) && alone);
  });
}

/** Visitors who are sent by header are no sample of all; and with all traffic on one there is nothing beside it. */
function compares(rollout: Rollout, strategy: Strategy): boolean {
  const { weight } = stageOf(rollout);
  return strategy.kind === "canary" && strategy.analysis.compare && weight > 0 && weight < 100;
}

function verdictOn(name: string, rollout: Rollout, policy: AnalysisPolicy, input: Judged): Verdict {
  const { windows } = rollout;
  const finding = findingOn(name, windows, policy, input);
  return { atMs: input.now.getTime(), weight: input.weight, name, is: finding.is, reason: finding.text };
}

function findingOn(
  name: string,
  windows: readonly ServiceWindow[],
  policy: AnalysisPolicy,
  { counters, queries, weight }: Judged,
): Finding {
  const query = policy.queries.find((candidate) => `query:${candidate.name}` === name);
  if (query) return judgeQuery(query, queries ?? []);
  if (counters === null) return { is: "inconclusive", text: "the gateway's counters could not be read" };
  if (windows.length === 0) return { is: "inconclusive", text: "the gateway counts none of its traffic" };
  return join(
    windows.map((window) => {
      if (isMeasured(name)) return [window.service, compareService(window, name, policy)];
      const finding =
        name === "errors"
          ? judgeErrors(window, policy.maxErrorRate ?? 1, policy, weight)
          : judgeLatency(window, policy.maxLatencyMs ?? Number.POSITIVE_INFINITY, policy, weight);
      return [window.service, finding];
    }),
  );
}

/** One finding of all services: the worst, in the words of those that are as bad. */
function join(findings: readonly (readonly [service: string, Finding | null])[]): Finding {
  const found = findings.flatMap(([service, finding]) => (finding ? [{ service, ...finding }] : []));
  const worst = (["fail", "inconclusive"] as const).find((is) => found.some((finding) => finding.is === is));
  if (found.length === 0)
    return { is: "inconclusive", text: "there is no release before it to compare with" };
  const is = worst ?? "pass";
  const said = found.filter((finding) => finding.is === is);
  const text = said.map(({ service, text: words }) => (findings.length > 1 ? `${service}: ${words}` : words));
  return { is, text: text.join("; ") };
}

/** A judgement that says nothing neither counts as failed nor ends a row of failures. */
function recordRound(rollout: Rollout, verdicts: readonly Verdict[]): Rollout {
  const failed = verdicts.some(({ is }) => is === "fail");
  const passed = verdicts.filter(({ is }) => is === "pass").map(({ name }) => name);
  const quiet = passed.length === 0 ? rollout.failedInRow : 0;
  return {
    ...withVerdicts(rollout, verdicts),
    failedInRow: failed ? rollout.failedInRow + 1 : quiet,
    passed: unique([...rollout.passed, ...passed]),
  };
}

/** True when the newest judgement failed, though not yet often enough to take it back. */
export function justFailed(rollout: Rollout): boolean {
  return rollout.failedInRow > 0 && newestRound(rollout).some(({ is }) => is === "fail");
}

function newestRound({ verdicts }: Rollout): Verdict[] {
  return verdicts.filter(({ atMs }) => atMs === verdicts.at(-1)?.atMs);
}

function isMeasured(name: string): name is Measured {
  return (MEASURED as readonly string[]).includes(name);
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
