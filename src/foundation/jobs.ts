import type pg from "pg";
import { fromKysely, PgBoss } from "pg-boss";
import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

export type JobOptions = {
  /** Not before this time. Default: at once. */
  startAfter?: Date;
  /** What the job is about, for whoever reads the table. */
  singletonKey?: string;
};

/** A Kysely transaction, or the database itself, of whatever tables. */
export type JobTransaction = Parameters<typeof fromKysely>[0];

export type Jobs = {
  /** Adds a job in the caller's transaction: with it, or not at all. */
  add(tx: JobTransaction, queue: string, data: object, options?: JobOptions): Promise<void>;
  /** Runs `handler` for the jobs of `queue`; a handler that throws has its job tried again with backoff. */
  work(queue: string, handler: (data: unknown) => Promise<void>): Promise<void>;
  close(): Promise<void>;
};

const POLL_SECONDS = 1;

/**
 * pg-boss in schema `pgboss` of the same database: durable jobs, delays, retries. Makes `queues` if they are missing.
 */
export async function startJobs(deps: { pool: pg.Pool; queues: readonly string[]; log: Log }): Promise<Jobs> {
  const boss = new PgBoss({ db: fromPool(deps.pool), schema: "pgboss", schedule: false });
  boss.on("error", (error) => deps.log.warn({ reason: messageOf(error) }, "the job queue had an error"));
  await boss.start();
  for (const queue of deps.queues) {
    // Kept an hour after the end: the state lives in our own rows, and these would only grow the table.
    const options = { retryLimit: 5, retryBackoff: true, expireInSeconds: 60, deleteAfterSeconds: 3_600 };
    if (!(await boss.getQueue(queue))) await boss.createQueue(queue, options);
  }
  return {
    async add(tx, queue, data, options = {}) {
      await boss.send(queue, data, { ...options, db: fromKysely(tx) });
    },
    async work(queue, handler) {
      await boss.work(queue, { pollingIntervalSeconds: POLL_SECONDS, batchSize: 50 }, async (jobs) => {
        for (const job of jobs) await handler(job.data);
      });
    },
    async close() {
      await boss.stop({ graceful: true, timeout: 2_000, close: false });
    },
  };
}

function fromPool(pool: pg.Pool) {
  return { executeSql: (text: string, values?: unknown[]) => pool.query(text, values) };
}
