import { type QueryExecutorProvider, sql } from "kysely";
import { unknownSince } from "./judge.ts";
import type { Displayed, FailureClass, ProbeType, State } from "./model.ts";

/** A check and what is shown of it. */
export type ShownCheck = {
  readonly id: string;
  readonly projectId: string;
  /** Its name, which people know. */
  readonly project: string;
  readonly environment: string;
  readonly name: string;
  readonly type: ProbeType;
  readonly subject: string;
  readonly critical: boolean;
  readonly displayed: Displayed;
  /** Of the newest sample of any location. Null: it was never asked. */
  readonly lastAt: Date | null;
  readonly lastLatencyMs: number | null;
  /** The window of maintenance that it is in now. */
  readonly maintenance: string | null;
};

type Row = Omit<ShownCheck, "displayed"> & { displayed: Displayed | null; created_at: Date };

/** All checks, or those of a project or an environment, by name. */
export async function readStates(
  db: QueryExecutorProvider,
  { projectId = null, environment = null }: { projectId?: string | null; environment?: string | null },
  now: Date,
): Promise<ShownCheck[]> {
  const { rows } = await sql<Row>`
    select c.id, c.project_id as "projectId", p.name as project, c.environment, c.name, c.type, c.subject,
      c.policy -> 'critical' = 'true' as critical, s.displayed, c.created_at, l.last_at as "lastAt",
      l.last_latency_ms as "lastLatencyMs",
      (select w.id from maintenance_windows w
        where w.project_id = c.project_id and w.environment = c.environment
          and (w.checks is null or w.checks ? c.name)
          and w.from_at <= ${now} and coalesce(w.ended_at, w.to_at) > ${now}
        order by w.to_at desc limit 1) as maintenance
    from checks c join projects p on p.id = c.project_id
      left join check_states s on s.check_id = c.id
      left join lateral (select last_at, last_latency_ms from check_locations
        where check_id = c.id order by last_at desc limit 1) l on true
    where c.retired_at is null
      and (${projectId}::text is null or c.project_id = ${projectId})
      and (${environment}::text is null or c.environment = ${environment})
    order by p.name, c.environment, c.name`.execute(db);
  return rows.map(({ created_at, displayed, ...row }) => ({
    ...row,
    displayed: displayed ?? unknownSince(created_at.getTime()),
  }));
}

/** One change of what is shown of a check. */
export type CheckEvent = {
  readonly id: number;
  readonly checkId: string;
  /** When it began; and when that was known. */
  readonly at: Date;
  readonly writtenAt: Date;
  readonly from: State;
  readonly to: State;
  readonly failureClass: FailureClass | null;
  readonly message: string | null;
  /** The check, or the window of maintenance, whose trouble it is part of. */
  readonly suppressedBy: string | null;
  readonly deploymentId: string | null;
};

/** The newest first. `after`: only those with a greater id, which is how a reader goes on where it stopped. */
export async function readEvents(
  db: QueryExecutorProvider,
  { checkId = null, after = null, limit }: { checkId?: string | null; after?: number | null; limit: number },
): Promise<CheckEvent[]> {
  const { rows } = await sql<CheckEvent>`
    select id, check_id as "checkId", at, written_at as "writtenAt", from_state as "from", to_state as "to",
      failure_class as "failureClass", message, suppressed_by as "suppressedBy", deployment_id as "deploymentId"
    from check_events
    where (${checkId}::text is null or check_id = ${checkId}) and (${after}::bigint is null or id > ${after})
    order by id desc limit ${limit}`.execute(db);
  return rows;
}
