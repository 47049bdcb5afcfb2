import { type Span, tally, type Window } from "../../src/checks/uptime.ts";
import type { Fault, Script, Trouble } from "./accuracy-faults.ts";
import type { Played } from "./accuracy-stand.ts";
import { round, summary } from "./statistics.ts";

export type Score = {
  readonly fault: Fault;
  readonly troubles: number;
  /** Time in the state that the fault brings about: as it was, and as it was reported. */
  readonly trueMs: number;
  readonly reportedMs: number;
  /** 1 - |reported - true| / true, of the time in trouble, where there was any; else of the whole time. */
  readonly accuracy: number;
  /** The share of all time in which what was reported was so (what was unknown counts as neither). */
  readonly agreement: number;
  /** Reported troubles that touch no true one, and true ones that no reported one touches. */
  readonly falseAlarms: number;
  readonly missed: number;
  /** From the first instant of a trouble to the event's being written. */
  readonly delaysMs: readonly number[];
  readonly unknownMs: number;
  readonly rounds: number;
};

/** What was reported, held against what was scripted. */
export function score(script: Script, played: Played, window: Window): Score {
  const state = script.fault === "slow" ? "degraded" : "down";
  const truths = script.troubles.filter(({ truth }) => truth === state);
  const reported = played.spans.filter((span) => span.state === state).map((span) => closed(span, window));
  const trueMs = truths.reduce((sum, { from, to }) => sum + to - from, 0);
  const whole = tally(window, played.spans);
  const reportedMs = state === "down" ? whole.downMs : whole.degradedMs;
  const length = window.to - window.from;
  const wrongMs = disagreement(truths, reported) + (state === "down" ? whole.degradedMs : whole.downMs);
  const delays = truths.flatMap((trouble) => delayOf(trouble, reported, played) ?? []);
  return {
    fault: script.fault,
    troubles: script.troubles.length,
    trueMs,
    reportedMs,
    accuracy: 1 - Math.abs(reportedMs - trueMs) / (trueMs || length),
    agreement: 1 - wrongMs / length,
    falseAlarms: falseAlarms(script, played, state),
    missed: truths.filter((trouble) => !reported.some((span) => touches(span, trouble))).length,
    delaysMs: delays,
    unknownMs: whole.unknownMs,
    rounds: played.rounds,
  };
}

export function sumOf(scores: readonly Score[], read: (of: Score) => number): number {
  return scores.reduce((sum, of) => sum + read(of), 0);
}

/** Of several together, as `Score.accuracy`. */
export function accuracyOf(scores: readonly Score[]): number {
  const trueMs = sumOf(scores, (of) => of.trueMs);
  if (trueMs === 0) return sumOf(scores, (of) => of.accuracy) / scores.length;
  return 1 - Math.abs(sumOf(scores, (of) => of.reportedMs) - trueMs) / trueMs;
}

/** Several as one, for people: shares as percentages with four decimals. */
export function shown(scores: readonly Score[]): Record<string, unknown> {
  const percent = (share: number) => Math.round(share * 1e6) / 1e4;
  const minutes = (read: (of: Score) => number) => round(sumOf(scores, read) / 60_000);
  const delays = scores.flatMap(({ delaysMs }) => delaysMs);
  return {
    troubles: sumOf(scores, (of) => of.troubles),
    trueMinutes: minutes((of) => of.trueMs),
    reportedMinutes: minutes((of) => of.reportedMs),
    accuracyPercent: percent(accuracyOf(scores)),
    agreementPercent: percent(sumOf(scores, (of) => of.agreement) / scores.length),
    falseAlarms: sumOf(scores, (of) => of.falseAlarms),
    missed: sumOf(scores, (of) => of.missed),
    detectionMs: delays.length === 0 ? null : summary(delays),
    unknownMinutes: minutes((of) => of.unknownMs),
  };
}

function closed({ from, to }: Span, window: Window): Window {
  return { from, to: to ?? window.to };
}

function touches(a: Window, b: Window): boolean {
  return a.from < b.to && b.from < a.to;
}

/**
 * Every trouble that is reported without one having been there between its beginning and its being written. Flapping
 * is shown as degraded, with reason, until it has held still for ten minutes.
 */
function falseAlarms({ troubles, fault }: Script, { transitions }: Played, state: string): number {
  const real = troubles.filter(({ truth }) => truth === state);
  return transitions.filter(({ to, at, writtenAt }) => {
    if (to === "up" || to === "unknown") return false;
    if (fault === "flapping" && to === "degraded")
      return !real.some((one) => Math.abs(at - one.to) < 600_000);
    return to !== state || !real.some((one) => touches({ from: at, to: writtenAt }, one));
  }).length;
}

/** Time that is in one of the two and not in the other. Each list is in order and without overlap. */
function disagreement(a: readonly Window[], b: readonly Window[]): number {
  const length = (windows: readonly Window[]) => windows.reduce((sum, { from, to }) => sum + to - from, 0);
  let common = 0;
  let cursor = 0;
  for (const one of a) {
    while (cursor < b.length && (b[cursor]?.to ?? 0) <= one.from) cursor++;
    for (let at = cursor; at < b.length && (b[at]?.from ?? 0) < one.to; at++) {
      const other = b[at] as Window;
      common += Math.min(one.to, other.to) - Math.max(one.from, other.from);
    }
  }
  return length(a) + length(b) - 2 * common;
}

/**
 * By the event where there is one; of a service that is flapping already, and so shown as degraded, a turn for the
 * worse is no event. Null: it was never noticed.
 */
function delayOf(trouble: Trouble, reported: readonly Window[], { transitions }: Played): number | null {
  if (!reported.some((span) => touches(span, trouble))) return null;
  const written = transitions.find(
    ({ to, writtenAt }) =>
      to !== "up" && to !== "unknown" && writtenAt >= trouble.from && writtenAt < trouble.to,
  );
  return written ? written.writtenAt - trouble.from : null;
}
