import { z } from "zod";
import { defineProbe } from "../../checks/probe-kind.ts";
import { hostAndPort } from "./connect.ts";
import { Ended } from "./conversation.ts";
import { checkEndpoint, endpointFields, endpointOf } from "./endpoint.ts";
import { judgeQueue, limitFields, perMinute, type QueueFacts, shareOf } from "./queue-limits.ts";
import { inReadOnlySession, POSTGRES, type Session } from "./read-only-session.ts";

const settings = z
  .strictObject({
    ...endpointFields,
    queue: z.string().min(1).max(255),
    schema: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/, { error: "is no name of a schema" })
      .default("pgboss"),
    /** How far back throughput and failures are counted. */
    windowMs: z.int().min(1_000).max(86_400_000).default(300_000),
    ...limitFields,
  })
  .superRefine(checkEndpoint(POSTGRES));

type PgBossSettings = z.infer<typeof settings>;

/** A queue of pg-boss and its workers, by its tables. */
export const pgBoss = defineProbe<PgBossSettings>({
  type: "pg-boss",
  settings,
  subject: (given) => `pg-boss://${hostAndPort(endpointOf(given, POSTGRES))}/${given.queue}`,
  host: (given) => endpointOf(given, POSTGRES).host,
  run: (given, context) =>
    inReadOnlySession({ endpoint: endpointOf(given, POSTGRES), tls: given.tls }, context, async (session) => {
      const facts = await lookAtQueue(session, given);
      return judgeQueue(`The queue ${given.queue} at ${session.where}`, facts, given);
    }),
});

async function lookAtQueue(session: Session, given: PgBossSettings): Promise<QueueFacts> {
  const { queue, windowMs, schema } = given;
  const missing = (what: string) =>
    new Ended({ class: "missing", message: `${session.where} has no ${what} in the schema ${schema}.` });
  const [has] = await session.rows(HAS, [schema]);
  if (has?.queue !== true) throw missing("tables of pg-boss");
  const [known] = await session.rows(`select from ${schema}.queue where name = $1`, [queue]);
  if (known === undefined) throw missing(`queue ${queue}`);
  const [jobs] = await session.rows(jobsOf(schema, has), [queue, windowMs]);
  const [crew] = has.instance === true ? await session.rows(crewOf(schema), [queue]) : [];
  const [done, failed] = [Number(jobs?.done), Number(jobs?.failed)];
  return {
    depth: Number(jobs?.depth),
    oldestMs: jobs?.oldest == null ? null : Math.max(0, Math.round(Number(jobs.oldest))),
    // Whoever registers no instance is not counted: that there are none is known only where some have been.
    workers: crew === undefined || crew.instances === "0" ? null : Number(crew.workers),
    throughputPerMin: perMinute(done, windowMs),
    stalled: jobs?.stalled == null ? null : Number(jobs.stalled),
    failedShare: shareOf(failed, done),
  };
}

/** What this version has: not all of it came with the first tables of these names. */
const HAS = `
  select to_regclass($1 || '.queue') is not null as queue,
         to_regclass($1 || '.instance') is not null as instance,
         bool_or(attname = 'blocked') as blocked,
         bool_or(attname = 'heartbeat_seconds') as heartbeat,
         bool_or(attname = 'expire_seconds') as expiry
  from pg_attribute where attrelid = to_regclass($1 || '.job')`;

/** By the database's clock, as pg-boss itself. Expired jobs are stalled until its maintenance fails them. */
function jobsOf(schema: string, has: Record<string, unknown>): string {
  const lost = [
    ...(has.expiry ? ["started_on + expire_seconds * interval '1 second' < clock_timestamp()"] : []),
    ...(has.heartbeat ? ["heartbeat_on + heartbeat_seconds * interval '1 second' < clock_timestamp()"] : []),
  ];
  return `
    select waiting.*, working.*, ended.* from
      (select count(*) as depth,
              extract(epoch from clock_timestamp() - min(greatest(created_on, start_after))) * 1000 as oldest
       from ${schema}.job
       where name = $1 and state in ('created', 'retry') and start_after <= clock_timestamp()
             ${has.blocked ? "and not blocked" : ""}) as waiting,
      (select ${lost.length === 0 ? "null::bigint" : "count(*)"} as stalled from ${schema}.job
       where name = $1 and state = 'active' and (${lost.join(" or ") || "false"})) as working,
      (select count(*) filter (where state in ('completed', 'failed')) as done,
              count(*) filter (where state = 'failed') as failed
       from ${schema}.job
       where name = $1 and completed_on > clock_timestamp() - $2::float8 * interval '1 millisecond') as ended`;
}

/** An instance counts until it is stopped or has missed three beats, as for pg-boss's own list. */
function crewOf(schema: string): string {
  return `
    select (select count(*) from ${schema}.instance) as instances,
           coalesce(sum((worker->>'localConcurrency')::int), 0) as workers
    from ${schema}.instance, jsonb_array_elements(workers) as worker
    where stopped_on is null and worker->>'queue' = $1
          and heartbeat_on >= clock_timestamp() - 3 * heartbeat_seconds * interval '1 second'`;
}
