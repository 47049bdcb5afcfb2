import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import type { Transition } from "./judge.ts";
import { unknownSince } from "./judge.ts";
import { judgeChecks, type Step } from "./judge-checks.ts";
import { judgeChildren } from "./judge-due.ts";
import { admit, beginStates, type Fence, lockStates } from "./queries.ts";
import type { CheckTables } from "./tables.ts";
import { type FoldedRound, inRowOrder, writeLocations, writeSamples } from "./write-rounds.ts";

export type { Fence } from "./queries.ts";
export type { FoldedRound } from "./write-rounds.ts";

export type Recorded = {
  /** Rounds that were not written before. */
  readonly written: number;
  /** Ids of the checks that are not ours any more, or that are no checks: nothing of them was written. */
  readonly refused: readonly string[];
  readonly transitions: readonly (Transition & { readonly checkId: string })[];
};

/** A prober's own clock follows the machine's within a second. */
const AHEAD_MS = 2_000;

/**
 * Writes rounds, and what follows from them, at once or not at all: samples, what each location says, and, for the
 * checks of which a location says something new, what is shown, its span, its event and its notification. The same
 * rounds may come twice, and from two writers: the second time nothing happens.
 *
 * @param fence null: an outside agent, whose token its caller has checked.
 */
export async function recordRounds(
  deps: { readonly db: Database<CheckTables>; readonly clock: Clock },
  batch: readonly FoldedRound[],
  fence: Fence | null,
): Promise<Recorded> {
  if (batch.length === 0) return { written: 0, refused: [], transitions: [] };
  const now = deps.clock.now();
  // Whoever holds the shard is the only writer: what lies ahead of its clock is its own, of before that was set back.
  const ahead = fence && new Date(now.getTime() + AHEAD_MS);
  const ids = [...new Set(batch.map(({ check }) => check.id))];
  const { judged, ...recorded } = await deps.db.transaction().execute(async (tx) => {
    const shown = await admit(tx, ids, fence);
    const rounds = inRowOrder(batch.filter((one) => isOurs(one, fence) && shown.has(one.check.id)));
    const refused = ids.filter((id) => !rounds.some(({ check }) => check.id === id));
    if (rounds.length === 0) return { written: 0, refused, judged: [] };
    const written = await writeSamples(tx, rounds);
    const news = rounds.filter((one) => isNews(one, shown.get(one.check.id) ?? null));
    const steps = stepsOf(rounds, new Set(news.map(({ check }) => check.id)));
    const begun = [...steps].filter(([id]) => shown.get(id) === null);
    await beginStates(
      tx,
      begun.map(([id, [first]]) => ({
        id,
        displayed: unknownSince(Math.round(first?.startedAt ?? now.getTime())),
      })),
    );
    if (steps.size > 0) await lockStates(tx, [...steps.keys()]);
    const judged = await judgeChecks(tx, [...steps.keys()], steps, now, ahead);
    await writeLocations(tx, rounds, ahead);
    return { written, refused, judged };
  });
  const changed = judged.filter(({ transitions }) => transitions.length > 0);
  const children = await judgeChildren(deps.db, changed, now);
  const transitions = [...changed, ...children].flatMap(({ id, transitions }) =>
    transitions.map((transition) => ({ ...transition, checkId: id })),
  );
  return { ...recorded, transitions };
}

function isOurs({ round }: FoldedRound, fence: Fence | null): boolean {
  return fence === null || round.location === fence.location;
}

/** Whether the check has to be judged because of it. Nearly always not: it says what was said before. */
function isNews({ before, after }: FoldedRound, shown: string | null): boolean {
  if (before === null || shown === null) return true;
  if (shown === "unknown" && after.state !== "unknown") return true;
  if (before.state !== after.state || before.since !== after.since) return true;
  return after.state !== "up" && before.failure?.class !== after.failure?.class;
}

/** All rounds of the checks that are to be judged, in the order of the ids. */
function stepsOf(sorted: readonly FoldedRound[], ids: ReadonlySet<string>): Map<string, Step[]> {
  const steps = new Map<string, Step[]>();
  for (const { check, round, after } of sorted) {
    if (!ids.has(check.id)) continue;
    const { location, startedAt, endedAt } = round;
    const step = { location, startedAt, endedAt, after };
    const others = steps.get(check.id);
    if (others) others.push(step);
    else steps.set(check.id, [step]);
  }
  return steps;
}
