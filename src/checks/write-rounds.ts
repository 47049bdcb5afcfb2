import { type QueryExecutorProvider, type RawBuilder, sql } from "kysely";
import { bucketOf } from "./histogram.ts";
import type { LocationState, Policy, Round } from "./model.ts";
import { sampleOf } from "./sample.ts";

/** A round, and what its location says because of it. */
export type FoldedRound = {
  readonly round: Round;
  readonly check: { readonly id: string; readonly policy: Policy };
  readonly before: LocationState | null;
  readonly after: LocationState;
};

/** Rows are written in one order by everybody, so that two writers never wait for one another in a circle. */
export function inRowOrder(batch: readonly FoldedRound[]): FoldedRound[] {
  return [...batch].sort(
    (a, b) =>
      compare(a.check.id, b.check.id) ||
      compare(a.round.location, b.round.location) ||
      a.round.scheduledAt - b.round.scheduledAt,
  );
}

/** One statement for all of them. A round that is there already is left as it is. Answers how many were not. */
export async function writeSamples(
  db: QueryExecutorProvider,
  sorted: readonly FoldedRound[],
): Promise<number> {
  const rows = sorted.map(({ round, before }) => ({
    round,
    sample: sampleOf(round, before?.state === "down"),
  }));
  const column = <T>(type: string, read: (row: (typeof rows)[number]) => T) => array(type, rows.map(read));
  const { numAffectedRows } = await sql`
    insert into check_samples (check_id, location, scheduled_at, started_at, late_ms, status, untrusted, latency_ms,
      latency_bucket, failure_class, details)
    select check_id, location, to_timestamp(scheduled_ms / 1000), to_timestamp(started_ms / 1000), late_ms, status,
      untrusted, latency_ms, latency_bucket, failure_class, nullif(details, 'null')
    from rows from (unnest(
      ${column("text", ({ round }) => round.checkId)},
      ${column("text", ({ round }) => round.location)},
      ${column("float8", ({ round }) => Math.round(round.scheduledAt))},
      ${column("float8", ({ round }) => Math.round(round.startedAt))},
      ${column("real", ({ round }) => round.lateMs)},
      ${column("text", ({ sample }) => sample.status)},
      ${column("text", ({ round }) => round.untrusted)},
      ${column("real", ({ sample }) => sample.latencyMs)},
      ${column("smallint", ({ sample }) =>
        sample.isMeasured && sample.latencyMs !== null ? bucketOf(sample.latencyMs) : null,
      )},
      ${column("text", ({ sample }) => sample.failureClass)}
    ), ${jsonColumn(rows.map(({ sample }) => sample.details))})
      as t (check_id, location, scheduled_ms, started_ms, late_ms, status, untrusted, latency_ms, latency_bucket,
      failure_class, details)
    on conflict do nothing`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/**
 * What each location says now. What is older than what is written changes nothing, unless that is of after `ahead`:
 * then it is of a clock that was set back.
 */
export async function writeLocations(
  db: QueryExecutorProvider,
  sorted: readonly FoldedRound[],
  ahead: Date | null,
): Promise<void> {
  const rows = [...newestOfEach(sorted).values()].map(({ round, before, after }) => ({
    round,
    after,
    sample: sampleOf(round, before?.state === "down"),
  }));
  const column = <T>(type: string, read: (row: (typeof rows)[number]) => T) => array(type, rows.map(read));
  await sql`
    insert into check_locations as l (check_id, location, fold, last_at, last_latency_ms, last_status)
    select check_id, location, fold, to_timestamp(last_ms / 1000), last_latency_ms, last_status
    from rows from (unnest(
      ${column("text", ({ round }) => round.checkId)},
      ${column("text", ({ round }) => round.location)},
      ${column("float8", ({ round }) => Math.round(round.endedAt))},
      ${column("real", ({ sample }) => sample.latencyMs)},
      ${column("text", ({ sample }) => sample.status)}
    ), ${jsonColumn(rows.map(({ after }) => after))})
      as t (check_id, location, last_ms, last_latency_ms, last_status, fold)
    on conflict (check_id, location) do update set fold = excluded.fold, last_at = excluded.last_at,
      last_latency_ms = excluded.last_latency_ms, last_status = excluded.last_status
    where excluded.last_at > l.last_at or l.last_at > ${ahead}`.execute(db);
}

function newestOfEach(sorted: readonly FoldedRound[]): ReadonlyMap<string, FoldedRound> {
  const newest = new Map<string, FoldedRound>();
  for (const one of sorted) {
    const key = `${one.check.id} ${one.round.location}`;
    const other = newest.get(key);
    if (!other || one.round.endedAt >= other.round.endedAt) newest.set(key, one);
  }
  return newest;
}

/** A bound array for `unnest`. */
export function array(type: string, values: readonly unknown[]): RawBuilder<unknown> {
  return sql`${values}::${sql.raw(type)}[]`;
}

/** All in one value: escaping each for an array of texts would cost more than everything else. */
function jsonColumn(values: readonly unknown[]): RawBuilder<unknown> {
  return sql`jsonb_array_elements(${JSON.stringify(values)}::jsonb)`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
