import { z } from "zod";
import { defineProbe } from "../../checks/probe-kind.ts";
import { hostAndPort } from "./connect.ts";
import { Ended } from "./conversation.ts";
import { checkEndpoint, endpointFields, endpointOf } from "./endpoint.ts";
import { judgeQueue, limitFields, type QueueFacts } from "./queue-limits.ts";
import { inReadOnlySession, POSTGRES, type Session } from "./read-only-session.ts";

// Jobs that are done are deleted: nothing says how many there were, so no share of failures can be told.
const { maxDepth, maxOldestMs, minWorkers, maxStalled } = limitFields;

const settings = z
  .strictObject({
    ...endpointFields,
    schema: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/, { error: "is no name of a schema" })
      .default("graphile_worker"),
    /** Only jobs of this task; only those of this named queue. */
    task: z.string().min(1).max(128).optional(),
    queue: z.string().min(1).max(128).optional(),
    maxDepth,
    maxOldestMs,
    minWorkers,
    maxStalled,
  })
  .superRefine(checkEndpoint(POSTGRES));

type GraphileSettings = z.infer<typeof settings>;

/** The jobs of Graphile Worker and its workers, by its public view. */
export const graphileWorker = defineProbe<GraphileSettings>({
  type: "graphile-worker",
  settings,
  subject: (given) => `graphile-worker://${hostAndPort(endpointOf(given, POSTGRES))}/${nameOf(given)}`,
  host: (given) => endpointOf(given, POSTGRES).host,
  run: (given, context) =>
    inReadOnlySession({ endpoint: endpointOf(given, POSTGRES), tls: given.tls }, context, async (session) => {
      const { facts, failedForGood } = await look(session, given);
      const outcome = judgeQueue(`The queue ${nameOf(given)} at ${session.where}`, facts, given);
      return { ...outcome, observed: { ...outcome.observed, failedForGood } };
    }),
});

function nameOf({ task, queue, schema }: GraphileSettings): string {
  return [task, queue].filter((each) => each !== undefined).join("/") || schema;
}

async function look(session: Session, given: GraphileSettings) {
  const { schema, task = null, queue = null } = given;
  const view = `"${schema}".jobs`;
  const [has] = await session.rows("select to_regclass($1) is not null as jobs", [view]);
  if (has?.jobs !== true) {
    const message = `${session.where} has no tables of Graphile Worker in the schema ${schema}.`;
    throw new Ended({ class: "missing", message });
  }
  const [jobs] = await session.rows(jobsOf(view), [task, queue]);
  const [crew] = await session.rows(CREW);
  const facts: QueueFacts = {
    depth: Number(jobs?.depth),
    oldestMs: jobs?.oldest == null ? null : Math.max(0, Math.round(Number(jobs.oldest))),
    workers: Number(crew?.hidden) > 0 ? null : Number(crew?.workers),
    throughputPerMin: null,
    stalled: Number(jobs?.stalled),
    failedShare: null,
  };
  return { facts, failedForGood: Number(jobs?.failed) };
}

/** By the database's clock. Locks are given up after four hours by Graphile Worker itself; until then they hold. */
function jobsOf(view: string): string {
  const isFree = "locked_at is null and attempts < max_attempts and run_at <= clock_timestamp()";
  return `
    select count(*) filter (where ${isFree}) as depth,
           extract(epoch from clock_timestamp() - min(run_at) filter (where ${isFree})) * 1000 as oldest,
           count(*) filter (where locked_at < clock_timestamp() - interval '4 hours') as stalled,
           count(*) filter (where locked_at is null and attempts >= max_attempts) as failed
    from ${view}
    where ($1::text is null or task_identifier = $1) and ($2::text is null or queue_name = $2)`;
}

/**
 * Each process with workers listens for jobs on a connection that does nothing else. Of connections whose statement
 * we may not see it cannot be told.
 */
const CREW = `
  select count(*) filter (where query like 'LISTEN "jobs:insert"%') as workers,
         count(*) filter (where query = '<insufficient privilege>') as hidden
  from pg_stat_activity
  where datname = current_database()`;
