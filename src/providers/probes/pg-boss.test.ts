import { PgBoss } from "pg-boss";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../../test/support/database.ts";
import { probing, rawServer } from "../../../test/support/probing.ts";
import { pgBoss } from "./pg-boss.ts";

let database: FreshDatabase;
let boss: PgBoss;

beforeAll(async () => {
  database = await freshDatabase({ migrations: [] });
  boss = await makeBoss();
});
afterAll(async () => {
  await boss?.stop({ graceful: false });
  await database?.[Symbol.asyncDispose]();
});

async function makeBoss(): Promise<PgBoss> {
  const made = new PgBoss({
    connectionString: database.databaseUrl,
    registerInstance: true,
    instanceHeartbeatSeconds: 1,
    max: 3,
  });
  made.on("error", () => {});
  return await made.start();
}

const look = (queue: string, more: object = {}) =>
  probing(pgBoss, { url: database.databaseUrl, queue, ...more });
const verdictOf = async (queue: string, more: object = {}) => {
  const { status, failure } = await look(queue, more);
  return failure ? `${status} ${failure.class}` : status;
};

test("takes a schema's name for nothing else", () => {
  const given = { url: "postgres://u:secret@db/app", queue: "mail" };
  expect(pgBoss.subject(pgBoss.settings.parse(given))).toBe("pg-boss://db:5432/mail");
  expect(pgBoss.settings.safeParse({ ...given, schema: "a;drop" }).success).toBe(false);
});

test("no such queue, schema or database: missing", async () => {
  await boss.createQueue("known");
  expect(await verdictOf("known")).toBe("up");
  expect(await verdictOf("unknown")).toBe("down missing");
  expect(await verdictOf("known", { schema: "other" })).toBe("down missing");
  const url = new URL(database.databaseUrl);
  url.pathname = "/nowhere";
  expect(await verdictOf("known", { url: url.href })).toBe("down missing");
});

test("jobs that nobody takes: depth and age; those that are not due yet do not count", async () => {
  await boss.createQueue("waiting");
  await boss.send("waiting", {});
  const old = await boss.send("waiting", {});
  await boss.send("waiting", {}, { startAfter: 3_600 });
  const aged = "update pgboss.job set created_on = $2, start_after = $2 where id = $1";
  await database.pool.query(aged, [old, new Date(Date.now() - 3_600_000)]);
  const { observed } = await look("waiting");
  expect(observed).toMatchObject({ depth: 2, workers: 0, stalled: 0, failedShare: null });
  expect(observed?.oldestMs).toBeGreaterThanOrEqual(3_590_000);
  expect(await verdictOf("waiting", { maxDepth: { warn: 1, down: 10 } })).toBe("degraded overloaded");
  expect(await verdictOf("waiting", { maxOldestMs: 60_000 })).toBe("down overloaded");
  expect(await verdictOf("waiting", { minWorkers: 1 })).toBe("down missing");
});

test("counts the workers of living instances, and the share of failures", async () => {
  await boss.createQueue("crew");
  const other = await makeBoss();
  onTestFinished(() => other.stop({ graceful: false }));
  for (let i = 0; i < 8; i++) await boss.send("crew", { bad: i < 2 }, { retryLimit: 0 });
  await other.work<{ bad: boolean }>(
    "crew",
    { localConcurrency: 2, pollingIntervalSeconds: 0.5 },
    async ([job]) => {
      if (job?.data.bad) throw new Error("as it was told");
    },
  );
  const seen = async () => (await look("crew")).observed;
  await expect.poll(seen, { timeout: 20_000 }).toMatchObject({ depth: 0, workers: 2, failedShare: 0.25 });
  expect((await seen())?.throughputPerMin).toBe(1.6);
  expect(await verdictOf("crew", { maxFailedShare: 0.2 })).toBe("down assertion");
  // As after a crash: no beat for longer than three.
  await other.stop({ graceful: false });
  expect(await verdictOf("crew", { minWorkers: 1 })).toBe("down missing");
});

test("an instance that beats no more has no workers", async () => {
  const beats = "update pgboss.instance set stopped_on = null, heartbeat_on = $1 where workers @> $2";
  const workers = JSON.stringify([{ queue: "crew" }]);
  await database.pool.query(beats, [new Date(), workers]);
  expect(await verdictOf("crew", { minWorkers: 1 })).toBe("up");
  await database.pool.query(beats, [new Date(Date.now() - 10_000), workers]);
  expect(await verdictOf("crew", { minWorkers: 1 })).toBe("down missing");
});

test("a job that runs for longer than it may is stalled", async () => {
  await boss.createQueue("stalling");
  await boss.send("stalling", {}, { expireInSeconds: 60 });
  await boss.fetch("stalling");
  expect(await verdictOf("stalling", { maxStalled: 0 })).toBe("up");
  const began = "update pgboss.job set started_on = $1 where name = 'stalling'";
  await database.pool.query(began, [new Date(Date.now() - 61_000)]);
  expect(await verdictOf("stalling", { maxStalled: 0 })).toBe("down missing");
});

test("a user who may not read, one who does not exist, and what is no PostgreSQL", async () => {
  await database.pool.query("create role blind login password 'pw'");
  onTestFinished(async () => {
    await database.pool.query("drop role blind");
  });
  const url = new URL(database.databaseUrl);
  url.username = "blind";
  url.password = "pw";
  expect(await verdictOf("known", { url: url.href })).toBe("down auth");
  url.username = "nobody_here";
  expect((await look("known", { url: url.href })).failure?.class).toMatch(/auth/);
  await using other = await rawServer((socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const at = { url: undefined, host: "127.0.0.1", port: other.port };
  expect(await verdictOf("known", at)).toBe("down protocol");
  await other.open(0);
  await using silent = await rawServer(() => {});
  const asked = probing(
    pgBoss,
    { host: "127.0.0.1", port: silent.port, queue: "a", tls: false },
    { timeoutMs: 300 },
  );
  expect((await asked).failure?.class).toBe("timeout");
  await silent.open(0);
});
