import type { Clock } from "../foundation/clock.ts";
import type { Database, Tx } from "../foundation/db.ts";
import { daysIn } from "./days.ts";
import {
  addMissingRollups,
  type Claimed,
  claimRollups,
  type DayWork,
  type MinuteWork,
  moveRollups,
  takeRerolls,
  writeDays,
  writeHours,
  writeMinutes,
} from "./roll-up-queries.ts";
import type { CheckTables } from "./tables.ts";

export type RollUpDeps = {
  readonly db: Database<CheckTables>;
  readonly clock: Clock;
  /** In whose calendar a project's days are counted. Default: UTC. */
  readonly zoneOf?: (projectId: string) => string;
};

export type RolledUp = {
  /** Minutes counted, those counted again included; and days frozen. */
  readonly minutes: number;
  readonly frozen: number;
  /** There is more to do: call again at once. */
  readonly more: boolean;
};

const MINUTE_MS = 60_000;
/** Results are written within a second or two of being there; a minute is counted when it has been over for so long. */
export const ROLL_UP_LAG_MS = 2 * MINUTE_MS;
/**
 * The last minutes are counted again each time: a transaction that had not committed when its minute was counted did
 * not see that it was late. None takes so long.
 */
const OVERLAP_MS = 3 * MINUTE_MS;
/** A day is frozen when it has been over for so long. What is confirmed or handed in later does not change it. */
export const FREEZE_LAG_MS = 60 * MINUTE_MS;
/** Bounds of one transaction, and of one call. */
const BATCH_CHECKS = 500;
const BATCH_MS = 2 * 60 * MINUTE_MS;
const BATCHES = 40;

/**
 * Counts what is over: minutes from spans and samples, hours and days from minutes, of the checks of these shards
 * (null: of all). To be called every minute or so, by as many probers as like. What changes about a minute that was
 * counted is counted again, as long as its day is not frozen: so counting everything anew gives the same.
 */
export async function rollUp(
  deps: RollUpDeps,
  shards: readonly number[] | null,
  now: Date,
): Promise<RolledUp> {
  await addMissingRollups(deps.db, shards);
  let [minutes, frozen] = [0, 0];
  for (let batch = 0; batch < BATCHES; batch++) {
    const done = await deps.db.transaction().execute((tx) => rollBatch(tx, deps, shards, now.getTime()));
    if (done === null) return { minutes, frozen, more: false };
    minutes += done.minutes;
    frozen += done.frozen;
  }
  return { minutes, frozen, more: true };
}

/** Null: there was nothing to do. */
async function rollBatch(
  tx: Tx<CheckTables>,
  { zoneOf = () => "UTC" }: RollUpDeps,
  shards: readonly number[] | null,
  now: number,
): Promise<{ minutes: number; frozen: number } | null> {
  const horizon = floor(now - ROLL_UP_LAG_MS);
  const claimed = await claimRollups(tx, { shards, horizon: new Date(horizon), limit: BATCH_CHECKS });
  if (claimed.length === 0) return null;
  const late = await takeRerolls(tx, claimed);
  const work = claimed.map((of) => workOf(of, late.get(of.checkId) ?? null));
  const counted = work.filter(({ from, to }) => from < to);
  await writeMinutes(tx, counted);
  await writeHours(tx, counted);
  const days = daysOver(work, zoneOf, now);
  await writeDays(tx, days);
  const frozenTo = new Map(days.filter((day) => day.frozen).map((day) => [day.checkId, day.to]));
  await moveRollups(
    tx,
    work.map((of) => ({ checkId: of.checkId, to: of.to, frozenTo: frozenTo.get(of.checkId) ?? of.frozenTo })),
  );
  const minutes = counted.reduce((sum, { from, to }) => sum + (to - from) / MINUTE_MS, 0);
  return { minutes, frozen: frozenTo.size };
}

type Work = MinuteWork & Pick<Claimed, "projectId" | "frozenTo">;

/** From where to where one check is counted now. It goes back at once, and forward in steps. */
function workOf(of: Claimed, late: number | null): Work {
  const { checkId, projectId, minutesTo, frozenTo } = of;
  const from = Math.max(frozenTo, Math.min(minutesTo - OVERLAP_MS, floor(late ?? minutesTo)));
  const to = Math.min(Math.max(minutesTo, of.target), from + BATCH_MS);
  return { checkId, projectId, frozenTo, from, to: Math.max(from, to) };
}

/** The days that are over and not frozen, where they were counted now or can be frozen. */
function daysOver(work: readonly Work[], zoneOf: (projectId: string) => string, now: number): DayWork[] {
  const kept = new Map<string, ReturnType<typeof daysIn>>();
  const days = (zone: string, from: number, to: number) => {
    const key = `${zone} ${from} ${to}`;
    let found = kept.get(key);
    if (!found) {
      found = daysIn(zone, from, to);
      kept.set(key, found);
    }
    return found;
  };
  return work.flatMap(({ checkId, projectId, frozenTo, from, to }) => {
    const zone = zoneOf(projectId);
    return days(zone, frozenTo, to)
      .filter((day) => day.to <= to)
      .map((day) => ({ ...day, checkId, zone, frozen: day.to + FREEZE_LAG_MS <= now }))
      .filter((day) => day.frozen || day.to > from);
  });
}

function floor(at: number): number {
  return Math.floor(at / MINUTE_MS) * MINUTE_MS;
}
