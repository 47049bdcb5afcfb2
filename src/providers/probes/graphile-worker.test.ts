import { Logger, type Runner, run, runMigrations } from "graphile-worker";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../../test/support/database.ts";
import { probing } from "../../../test/support/probing.ts";
import { graphileWorker } from "./graphile-worker.ts";

let database: FreshDatabase;

beforeAll(async () => {
  database = await freshDatabase({ migrations: [] });
  await runMigrations({ connectionString: database.databaseUrl });
});
afterAll(() => database?.[Symbol.asyncDispose]());

const look = (more: object = {}) => probing(graphileWorker, { url: database.databaseUrl, ...more });
const verdictOf = async (more: object = {}) => {
  const { status, failure } = await look(more);
  return failure ? `${status} ${failure.class}` : status;
};
const add = (task: string, spec = "") =>
  database.pool.query(`select graphile_worker.add_job($1${spec})`, [task]);

async function startWorker(taskList: Record<string, () => Promise<void>>): Promise<Runner> {
  const runner = await run({
    connectionString: database.databaseUrl,
    taskList,
    concurrency: 2,
    noHandleSignals: true,
    logger: new Logger(() => () => {}),
    pollInterval: 100,
  });
  runner.promise.catch(() => {});
  return runner;
}

test("takes a schema's name for nothing else, and no limit that it cannot hold", () => {
  const given = { url: "postgres://u:secret@db/app", task: "mail" };
  expect(graphileWorker.subject(graphileWorker.settings.parse(given))).toBe("graphile-worker://db:5432/mail");
  expect(graphileWorker.settings.safeParse({ ...given, schema: 'a"' }).success).toBe(false);
  expect(graphileWorker.settings.safeParse({ ...given, maxFailedShare: 1 }).success).toBe(false);
});

test("no such schema: missing; nothing to do: up", async () => {
  expect(await verdictOf()).toBe("up");
  expect(await verdictOf({ schema: "other" })).toBe("down missing");
});

test("jobs that nobody takes: depth and age, by task and queue", async () => {
  await add("mail");
  await add("mail", ", queue_name => 'slow', run_at => now() - interval '1 hour'");
  await add("mail", ", run_at => now() + interval '1 hour'");
  const { observed } = await look({ task: "mail" });
  expect(observed).toMatchObject({ depth: 2, workers: 0, stalled: 0, failedForGood: 0, failedShare: null });
  expect(observed?.oldestMs).toBeGreaterThanOrEqual(3_600_000);
  expect((await look({ queue: "slow" })).observed?.depth).toBe(1);
  expect((await look({ task: "other" })).observed).toMatchObject({ depth: 0, oldestMs: null });
  expect(await verdictOf({ maxDepth: { warn: 1, down: 10 } })).toBe("degraded overloaded");
  expect(await verdictOf({ maxOldestMs: 60_000 })).toBe("down overloaded");
  expect(await verdictOf({ minWorkers: 1 })).toBe("down missing");
});

test("counts the processes with workers, sees them go, and what failed for good", async () => {
  await add("bad", ", max_attempts => 1");
  const fail = async () => {
    throw new Error("as it was told");
  };
  const runner = await startWorker({ mail: async () => {}, bad: fail });
  const seen = async () => (await look()).observed;
  await expect.poll(seen, { timeout: 20_000 }).toMatchObject({ depth: 0, workers: 1, failedForGood: 1 });
  await runner.stop();
  await expect.poll(() => verdictOf({ minWorkers: 1 }), { timeout: 20_000 }).toBe("down missing");
});

test("a job that is locked for longer than its lock holds is stalled", async () => {
  await add("long");
  const lock =
    "update graphile_worker._private_jobs set locked_by = 'gone', locked_at = $1 where key is null";
  await database.pool.query(lock, [new Date(Date.now() - 3_600_000)]);
  expect(await verdictOf({ maxStalled: 0 })).toBe("up");
  await database.pool.query(lock, [new Date(Date.now() - 5 * 3_600_000)]);
  expect(await verdictOf({ maxStalled: 0 })).toBe("down missing");
});

test("a user who does not see others' statements cannot count workers", async () => {
  await database.pool.query("create role reads_jobs login password 'pw'");
  await database.pool.query("grant usage on schema graphile_worker to reads_jobs");
  onTestFinished(async () => {
    await database.pool.query("drop owned by reads_jobs; drop role reads_jobs");
  });
  const url = new URL(database.databaseUrl);
  url.username = "reads_jobs";
  url.password = "pw";
  expect(await verdictOf({ url: url.href })).toBe("down auth");
  await database.pool.query("grant select on graphile_worker.jobs to reads_jobs");
  expect((await look({ url: url.href })).observed?.workers).toBe(null);
  expect(await verdictOf({ url: url.href, minWorkers: 1 })).toBe("down unsupported");
});
