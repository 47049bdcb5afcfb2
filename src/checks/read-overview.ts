import { type QueryExecutorProvider, sql } from "kysely";
import { AppError } from "../foundation/errors.ts";
import { type Explanation, explain } from "./explain.ts";
import {
  type CheckSource,
  type Displayed,
  maxAgeMs,
  type Policy,
  type ProbeType,
  type State,
} from "./model.ts";

/** A check with all that is known of how it is. */
export type CheckOverview = {
  readonly id: string;
  readonly projectId: string;
  readonly project: string;
  readonly environment: string;
  readonly name: string;
  readonly type: ProbeType;
  readonly source: CheckSource;
  readonly subject: string;
  readonly policy: Policy;
  readonly shard: number;
  readonly createdAt: Date;
  readonly state: State;
  readonly since: Date;
  /** Null: nobody has judged it yet. */
  readonly displayed: Displayed | null;
  readonly explanation: Explanation | null;
  readonly lastAt: Date | null;
  readonly latencyMs: number | null;
  /** Its last word is older than a verdict may be. */
  readonly stale: boolean;
  readonly locations: readonly {
    readonly location: string;
    readonly state: State;
    readonly lastAt: string;
    readonly latencyMs: number | null;
  }[];
};

type Row = Omit<CheckOverview, "state" | "since" | "explanation" | "lastAt" | "latencyMs" | "stale"> & {
  state: State | null;
  since: Date | null;
  retiredAt: Date | null;
};

type Filter = {
  readonly id?: string | undefined;
  readonly projectId?: string | undefined;
  readonly environment?: string | undefined;
};

/** What there is, by project, environment and name. */
export async function readOverview(
  db: QueryExecutorProvider,
  { id, projectId, environment }: Filter,
  now: Date,
): Promise<CheckOverview[]> {
  const { rows } = await sql<Row>`
    select c.id, c.project_id as "projectId", p.name as project, c.environment, c.name, c.type, c.source, c.subject,
      c.policy, c.shard, c.created_at as "createdAt", s.state, s.since, s.displayed,
      coalesce((
        select jsonb_agg(jsonb_build_object('location', l.location, 'state', l.fold ->> 'state',
          'lastAt', l.last_at, 'latencyMs', l.last_latency_ms) order by l.location)
        from check_locations l where l.check_id = c.id), '[]') as locations
    from checks c join projects p on p.id = c.project_id left join check_states s on s.check_id = c.id
    where c.retired_at is null
      and (${id ?? null}::text is null or c.id = ${id ?? null})
      and (${projectId ?? null}::text is null or c.project_id = ${projectId ?? null})
      and (${environment ?? null}::text is null or c.environment = ${environment ?? null})
    order by p.name, c.environment, c.name`.execute(db);
  return rows.map((row) => toOverview(row, now));
}

/** @throws AppError `not_found` */
export async function requireCheck(db: QueryExecutorProvider, id: string, now: Date): Promise<CheckOverview> {
  const [check] = await readOverview(db, { id }, now);
  if (check) return check;
  throw new AppError("not_found", `There is no check ${id.slice(0, 80)}.`, {
    hint: "GET /api/checks lists those there are; those that were taken away are not among them.",
  });
}

function toOverview({ retiredAt: _, ...row }: Row, now: Date): CheckOverview {
  const locations = row.locations.map((each) => ({ ...each, lastAt: new Date(each.lastAt).toISOString() }));
  const newest = locations.toSorted((a, b) => (a.lastAt < b.lastAt ? 1 : -1))[0];
  const lastAt = newest === undefined ? null : new Date(newest.lastAt);
  const failureClass = row.displayed?.failure?.class;
  return {
    ...row,
    locations,
    state: row.state ?? "unknown",
    since: row.since ?? row.createdAt,
    explanation: failureClass === undefined ? null : explain(failureClass),
    lastAt,
    latencyMs: newest?.latencyMs ?? null,
    stale: lastAt !== null && now.getTime() - lastAt.getTime() > maxAgeMs(row.policy),
  };
}

const LAST = 50;

/** What happened to one check lately, the newest first. */
export async function readHistory(db: QueryExecutorProvider, id: string) {
  // Of each location, by the index, the newest; over all of them at once every sample of the week would be read.
  const samples = sql<SampleRow>`
    select s.location, scheduled_at as "scheduledAt", started_at as "startedAt", late_ms as "lateMs", status, untrusted,
      latency_ms as "latencyMs", failure_class as "failureClass", details
    from check_locations l cross join lateral (
      select s.* from check_samples s where s.check_id = l.check_id and s.location = l.location
      order by s.scheduled_at desc limit ${LAST}) s
    where l.check_id = ${id} order by scheduled_at desc limit ${LAST}`.execute(db);
  const spans = sql<SpanRow>`
    select from_at as "fromAt", to_at as "toAt", state, failure_class as "failureClass"
    from check_spans where check_id = ${id} order by from_at desc limit ${LAST}`.execute(db);
  const events = readCheckEvents(db, { checkId: id }, LAST);
  return { samples: (await samples).rows, spans: (await spans).rows, events: await events };
}

type SampleRow = {
  location: string;
  scheduledAt: Date;
  startedAt: Date;
  lateMs: number;
  status: State;
  untrusted: string | null;
  latencyMs: number | null;
  failureClass: string | null;
  details: Record<string, unknown> | null;
};
type SpanRow = { fromAt: Date; toAt: Date | null; state: State; failureClass: string | null };

export type EventRow = {
  id: number;
  check: string;
  project: string;
  environment: string;
  at: Date;
  writtenAt: Date;
  from: State;
  to: State;
  failureClass: string | null;
  message: string | null;
  suppressedBy: string | null;
  deploymentId: string | null;
};

/** Transitions, the newest first, of retired checks too. `before`: those with a smaller id, to read on. */
export async function readCheckEvents(
  db: QueryExecutorProvider,
  filter: {
    readonly checkId?: string | undefined;
    readonly projectId?: string | undefined;
    readonly environment?: string | undefined;
    readonly before?: number | undefined;
  },
  limit: number,
): Promise<EventRow[]> {
  const { checkId = null, projectId = null, environment = null, before = null } = filter;
  const { rows } = await sql<EventRow>`
    select e.id, c.name as check, p.name as project, c.environment, e.at, e.written_at as "writtenAt",
      e.from_state as "from", e.to_state as "to", e.failure_class as "failureClass", e.message,
      e.suppressed_by as "suppressedBy", e.deployment_id as "deploymentId"
    from check_events e join checks c on c.id = e.check_id join projects p on p.id = c.project_id
    where (${checkId}::text is null or e.check_id = ${checkId})
      and (${projectId}::text is null or c.project_id = ${projectId})
      and (${environment}::text is null or c.environment = ${environment})
      and (${before}::bigint is null or e.id < ${before})
    order by e.id desc limit ${limit}`.execute(db);
  return rows;
}
