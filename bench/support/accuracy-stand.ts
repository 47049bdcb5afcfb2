import { fold } from "../../src/checks/fold.ts";
import { type Transition, unknownSince } from "../../src/checks/judge.ts";
import { judgeRow, type Step } from "../../src/checks/judge-checks.ts";
import type { LocationState, Round } from "../../src/checks/model.ts";
import type { JudgedRow } from "../../src/checks/queries.ts";
import type { Span, Window } from "../../src/checks/uptime.ts";
import type { Random } from "../../test/scenarios/random.ts";
import { type Fault, reactionOf, type Script, type Trouble } from "./accuracy-faults.ts";
import { playRound } from "./accuracy-round.ts";

export type Played = {
  readonly spans: readonly Span[];
  /** As they would be written, and when. */
  readonly transitions: readonly (Transition & { readonly writtenAt: number })[];
  readonly rounds: number;
};

/** The judge's sweep comes so often. */
const SWEEP_MS = 1_000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Looks at a scripted target for the whole window, in virtual time: rounds, what locations say, what is shown and the
 * spans come from the code that runs in a prober; the clock, the network and the tables are this file's.
 */
export function play(script: Script, window: Window, random: Random): Played {
  const { policy, fault } = script;
  const row = blankRow(script, window.from);
  const folds = new Map<string, LocationState>();
  const spans: Mutable<Span>[] = [{ from: window.from, to: null, state: "unknown" }];
  const transitions: Played["transitions"][number][] = [];
  const judgeAsOf = (steps: readonly Step[], now: number) => {
    const judged = judgeRow(row, steps, now);
    row.displayed = judged.displayed;
    row.judge_at = judged.judgeAt === null ? null : new Date(Math.ceil(judged.judgeAt));
    for (const { state, from } of judged.turns) writeSpan(spans, state, Math.round(from));
    transitions.push(...judged.transitions.map((one) => ({ ...one, writtenAt: now })));
  };
  const looks = startsOf(script, window, random);
  let rounds = 0;
  let swept = window.from;
  for (const { at, location } of looks) {
    const due = row.judge_at?.getTime() ?? Number.POSITIVE_INFINITY;
    if (due <= at) judgeAsOf([], Math.max(due, swept) + random.below(SWEEP_MS));
    swept = at;
    const around = troubleAt(script.troubles, at);
    if (fault === "no prober" && around) continue;
    const before = folds.get(location) ?? null;
    const react = (when: number) => reactionOf(faultAt(script, location, when), policy, random);
    const { attempts, endedAt } = playRound(at, policy, before?.state === "down", react);
    const untrusted = fault === "own network down" && around ? "offline" : null;
    const round: Round = {
      checkId: row.id,
      location,
      scheduledAt: at,
      startedAt: at,
      lateMs: 0,
      endedAt,
      attempts,
      untrusted,
    };
    const after = fold(before, round, policy);
    rounds += 1;
    folds.set(location, after);
    if (isNews(before, after, row.displayed.state)) {
      judgeAsOf([{ location, startedAt: at, endedAt, after }], endedAt);
    }
    row.voices = [...folds].map(([name, said]) => ({ location: name, fold: said, lastAt: said.lastAt ?? 0 }));
  }
  judgeAsOf([], window.to);
  return { spans, transitions, rounds };
}

type Row = { -readonly [K in keyof JudgedRow]: JudgedRow[K] };

function blankRow({ policy }: Script, from: number): Row {
  return {
    id: "chk_1",
    policy,
    displayed: unknownSince(from),
    judge_at: null,
    voices: [],
    parents: [],
    maintenance: null,
    next_maintenance: null,
    deployment_id: null,
    deployment_since: null,
  };
}

/** As `recordRounds` writes them: one that begins where the open one does takes its place. */
function writeSpan(spans: Mutable<Span>[], state: Span["state"], from: number): void {
  const open = spans.at(-1);
  if (open && from <= open.from) {
    open.state = state;
    return;
  }
  if (open) open.to = from;
  spans.push({ from, to: null, state });
}

/** As `recordRounds` decides whether a round has to be judged. */
function isNews(before: LocationState | null, after: LocationState, shown: Span["state"]): boolean {
  if (before === null || (shown === "unknown" && after.state !== "unknown")) return true;
  if (before.state !== after.state || before.since !== after.since) return true;
  return after.state !== "up" && before.failure?.class !== after.failure?.class;
}

/** Every look, in order: each location in its own phase, without drift. */
function* startsOf(
  { policy }: Script,
  window: Window,
  random: Random,
): Iterable<{ at: number; location: string }> {
  const phases = policy.locations.map((location) => ({ location, phase: random.below(policy.intervalMs) }));
  phases.sort((a, b) => a.phase - b.phase);
  for (let tick = window.from; tick < window.to; tick += policy.intervalMs) {
    for (const { location, phase } of phases) {
      if (tick + phase + policy.timeoutMs < window.to) yield { at: tick + phase, location };
    }
  }
}

function faultAt({ fault, troubles }: Script, location: string, at: number): Fault | null {
  const trouble = troubleAt(troubles, at);
  return trouble && (trouble.seenBy === null || trouble.seenBy.includes(location)) ? fault : null;
}

/** Asked in the order of time, millions of times: from where the last answer was. */
const cursors = new WeakMap<readonly Trouble[], number>();

function troubleAt(troubles: readonly Trouble[], at: number): Trouble | null {
  let cursor = cursors.get(troubles) ?? 0;
  while (cursor > 0 && (troubles[cursor - 1]?.to ?? 0) > at) cursor--;
  while (cursor < troubles.length && (troubles[cursor]?.to ?? 0) <= at) cursor++;
  cursors.set(troubles, cursor);
  const trouble = troubles[cursor];
  return trouble && trouble.from <= at ? trouble : null;
}
