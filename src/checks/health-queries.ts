import { type QueryExecutorProvider, sql } from "kysely";
import type { HealthRow } from "./health-body.ts";
import type { FailureClass, State } from "./model.ts";

type Cells = [
  project: string,
  environment: string,
  name: string,
  critical: boolean,
  calls: boolean,
  intervalMs: number,
  timeoutMs: number,
  state: State,
  createdMs: number,
  lastMs: number | null,
  latencyMs: number | null,
];

/**
 * All checks that are run now, by name: only what everybody may see, for it is read every second. As one value, which
 * takes the event loop a fraction of the time that a thousand rows do.
 */
export async function readHealthRows(db: QueryExecutorProvider): Promise<HealthRow[]> {
  const { rows } = await sql<{ all: Cells[] | null }>`
    select json_agg(json_build_array(p.name, c.environment, c.name, c.policy -> 'critical' = 'true',
      c.type = 'heartbeat', c.policy -> 'intervalMs', c.policy -> 'timeoutMs', coalesce(s.state, 'unknown'),
      extract(epoch from c.created_at) * 1000, extract(epoch from l.last_at) * 1000, l.last_latency_ms)
      order by p.name, c.environment, c.name) as all
    from checks c join projects p on p.id = c.project_id
      left join check_states s on s.check_id = c.id
      left join lateral (select last_at, last_latency_ms from check_locations
        where check_id = c.id order by last_at desc limit 1) l on true
    where c.retired_at is null`.execute(db);
  return (rows[0]?.all ?? []).map(rowOf);
}

function rowOf(cells: Cells): HealthRow {
  const [project, environment, name, critical, calls, intervalMs, timeoutMs, ...said] = cells;
  const [state, createdMs, lastMs, latencyMs] = said;
  const createdAt = new Date(createdMs);
  const lastAt = lastMs === null ? null : new Date(lastMs);
  const limits = { intervalMs, timeoutMs };
  return {
    project,
    environment,
    name,
    critical,
    calls,
    ...limits,
    state,
    createdAt,
    lastAt,
    lastLatencyMs: latencyMs,
  };
}

/** What those with a token see of a check, beside its row. */
export type HealthDetails = {
  readonly project: string;
  readonly environment: string;
  readonly name: string;
  readonly type: string;
  readonly subject: string;
  readonly since: Date;
  readonly class: FailureClass | null;
  readonly message: string | null;
  readonly suppressedBy: string | null;
  readonly disputedSince: number | null;
  readonly flappingSince: number | null;
  readonly locations: readonly {
    location: string;
    status: string;
    lastAt: string;
    latencyMs: number | null;
  }[];
  /** Of the last 24 hours, 0 to 1, what is unknown left out. Null: nothing is known of them. */
  readonly uptime: number | null;
};

export async function readHealthDetails(db: QueryExecutorProvider, now: Date): Promise<HealthDetails[]> {
  const dayAgo = new Date(now.getTime() - 86_400_000);
  const { rows } = await sql<HealthDetails>`
    select p.name as project, c.environment, c.name, c.type, c.subject,
      coalesce(s.since, c.created_at) as since, s.displayed -> 'failure' ->> 'class' as class,
      s.displayed -> 'failure' ->> 'message' as message, s.displayed ->> 'suppressedBy' as "suppressedBy",
      (s.displayed ->> 'disputedSince')::float8 as "disputedSince",
      (s.displayed ->> 'flappingSince')::float8 as "flappingSince",
      coalesce((select jsonb_agg(jsonb_build_object('location', l.location, 'status', l.last_status,
          'lastAt', l.last_at, 'latencyMs', l.last_latency_ms) order by l.location)
        from check_locations l where l.check_id = c.id), '[]') as locations,
      (select coalesce(sum(extract(epoch from least(coalesce(to_at, ${now}), ${now}) - greatest(from_at, ${dayAgo})))
            filter (where state in ('up', 'degraded')), 0)
          / nullif(sum(extract(epoch from least(coalesce(to_at, ${now}), ${now}) - greatest(from_at, ${dayAgo})))
            filter (where state <> 'unknown'), 0)
        from check_spans where check_id = c.id and coalesce(to_at, ${now}) > ${dayAgo} and from_at < ${now}
      )::float8 as uptime
    from checks c join projects p on p.id = c.project_id left join check_states s on s.check_id = c.id
    where c.retired_at is null`.execute(db);
  return rows;
}

/** When a prober of this installation was last heard of, and how late its rounds are. Null: there was never one. */
export async function readProber(
  db: QueryExecutorProvider,
): Promise<{ readonly seenAt: Date; readonly latenessMs: number | null } | null> {
  const { rows } = await sql<{ seenAt: Date; latenessMs: number | null }>`
    select seen_at as "seenAt", (report ->> 'latenessP99Ms')::float8 as "latenessMs"
    from probers where kind = 'inside' order by seen_at desc limit 1`.execute(db);
  return rows[0] ?? null;
}
