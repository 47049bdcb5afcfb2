import type { QueryExecutorProvider } from "kysely";
import { type Facts, judge, type Transition, type Turn } from "./judge.ts";
import type { Displayed, LocationState } from "./model.ts";
import { type JudgedRow, readJudged } from "./queries.ts";
import { type Judged, writeJudgements } from "./write-judgements.ts";

/** One round's effect on what a location says: each moment is judged by what was known then, not only the last. */
export type Step = {
  readonly location: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly after: LocationState;
};

/**
 * Judges checks whose rows of `check_states` the transaction holds, and writes what changed.
 * @param ahead what is written of a time after it was written before the clock was set back. Null: nothing was.
 */
export async function judgeChecks(
  tx: QueryExecutorProvider,
  ids: readonly string[],
  steps: ReadonlyMap<string, readonly Step[]>,
  now: Date,
  ahead: Date | null = null,
): Promise<Judged[]> {
  if (ids.length === 0) return [];
  const rows = await readJudged(tx, ids, now);
  const judged = rows.map((row) => judgeRow(row, steps.get(row.id) ?? [], now.getTime(), ahead?.getTime()));
  await writeJudgements(tx, judged, now);
  return judged;
}

/** Pure. From what is written of a check and what is new, to what is to be written. */
export function judgeRow(
  row: JudgedRow,
  steps: readonly Step[],
  now: number,
  ahead = Number.POSITIVE_INFINITY,
): Judged {
  const { policy } = row;
  const voices = new Map(row.voices.map((voice) => [voice.location, voice]));
  const transitions: Transition[] = [];
  const turns: Turn[] = [];
  let displayed: Displayed = row.displayed;
  let judgeAt = row.judge_at?.getTime() ?? null;
  const judgeAsOf = (at: number) => {
    const judgement = judge(displayed, { ...factsOf(row), voices: [...voices.values()] }, policy, at);
    ({ displayed, judgeAt } = judgement);
    if (judgement.transition) transitions.push(judgement.transition);
    if (judgement.turn) turns.push(judgement.turn);
  };
  const known = [displayed.since, ...row.voices.map(({ fold }) => fold.lastAt ?? 0)];
  let at = Math.max(0, ...known.filter((each) => each <= ahead));
  for (const { location, startedAt, endedAt, after } of [...steps].sort((a, b) => a.endedAt - b.endedAt)) {
    // It came by another way already, or something newer did.
    const lastAt = voices.get(location)?.lastAt ?? Number.NEGATIVE_INFINITY;
    if (Math.round(endedAt) <= lastAt && lastAt <= ahead) continue;
    // What ended before this round began, ended, although nobody was there to see it.
    if (judgeAt !== null && judgeAt <= startedAt) judgeAsOf(startedAt);
    voices.set(location, { location, fold: after, lastAt: Math.round(endedAt) });
    at = Math.max(at, endedAt);
    judgeAsOf(at);
  }
  judgeAsOf(Math.max(at, now));
  return {
    id: row.id,
    displayed,
    judgeAt,
    turns,
    transitions,
    deploymentId: row.deployment_id,
    isNews: transitions.length > 0 || !isSameToReaders(row.displayed, displayed),
    belongsTo: adopter(row, displayed, transitions),
  };
}

function factsOf(row: JudgedRow): Omit<Facts, "voices"> {
  const from = row.deployment_since?.getTime() ?? null;
  return {
    parents: row.parents,
    grace: from === null || row.policy.graceMs === 0 ? null : { from, until: from + row.policy.graceMs },
    maintenance: row.maintenance,
    nextMaintenanceAt: row.next_maintenance?.getTime() ?? null,
  };
}

function isSameToReaders(a: Displayed, b: Displayed): boolean {
  const shown = ({ changes: _changes, below: _below, reporting: _reporting, ...rest }: Displayed) => rest;
  return JSON.stringify(sorted(shown(a))) === JSON.stringify(sorted(shown(b)));
}

/** `jsonb` has an order of its own. */
function sorted(value: object): unknown {
  return Object.entries(value)
    .map(([key, entry]) => [key, entry !== null && entry.constructor === Object ? sorted(entry) : entry])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

/** The parent that went down at about the same time, and was found so only after this one. */
function adopter(row: JudgedRow, { suppressedBy, since }: Displayed, transitions: readonly Transition[]) {
  if (suppressedBy === null || row.displayed.suppressedBy !== null || transitions.length > 0) return null;
  const parent = row.parents.find(({ id }) => id === suppressedBy);
  const before = row.policy.intervalMs + row.policy.timeoutMs;
  return parent && since >= parent.since - before ? parent.id : null;
}
