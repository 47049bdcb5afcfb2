import { Queue, Worker, type WorkerOptions } from "bullmq";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { probing, rawServer } from "../../../test/support/probing.ts";
import { startRedis } from "../../../test/support/services/redis.ts";
import { ask, canStart, type Service } from "../../../test/support/services/service.ts";
import { bullmq } from "./bullmq.ts";

test("says what is asked without the password, and takes no setting twice", () => {
  const given = bullmq.settings.parse({ url: "redis://u:secret@cache/2", queue: "mail" });
  expect(bullmq.subject(given)).toBe("bullmq://cache:6379/mail");
  expect(bullmq.settings.safeParse({ url: "redis://cache" }).success).toBe(false);
  expect(bullmq.settings.safeParse({ url: "redis://cache", queue: "a", host: "b" }).success).toBe(false);
});

const real = test.skipIf(!canStart("redis"));
let server: Service;
let connection: { host: string; port: number; maxRetriesPerRequest: null };
beforeAll(async () => {
  if (!canStart("redis")) return;
  server = await startRedis();
  connection = { host: server.host, port: server.port, maxRetriesPerRequest: null };
});
afterAll(() => server?.stop());

const look = (queue: string, more: object = {}, options = {}) =>
  probing(bullmq, { host: server.host, port: server.port, queue, ...more }, options);
const verdictOf = async (queue: string, more: object = {}, options = {}) => {
  const { status, failure } = await look(queue, more, options);
  return failure ? `${status} ${failure.class}` : status;
};

async function makeQueue(name: string): Promise<Queue> {
  const queue = new Queue(name, { connection });
  queue.on("error", () => {});
  onTestFinished(() => queue.close());
  await queue.waitUntilReady();
  return queue;
}

async function makeWorker(
  name: string,
  work: (name: string) => Promise<void>,
  options: Partial<WorkerOptions> = {},
): Promise<Worker> {
  const worker = new Worker(name, (job) => work(job.name), { connection, ...options });
  worker.on("error", () => {});
  onTestFinished(() => worker.close(true));
  await worker.waitUntilReady();
  return worker;
}

real("no such queue, and none with that prefix: missing", async () => {
  await makeQueue("known");
  expect(await verdictOf("known")).toBe("up");
  expect(await verdictOf("unknown")).toBe("down missing");
  expect(await verdictOf("known", { prefix: "other" })).toBe("down missing");
  expect(await verdictOf("known", { database: 1 })).toBe("down missing");
});

real("jobs that nobody takes: depth and age; those that are not due yet do not count", async () => {
  const queue = await makeQueue("waiting");
  const hourAgo = Date.now() - 3_600_000;
  await queue.add("old", {}, { timestamp: hourAgo });
  await queue.add("new", {});
  await queue.add("low", {}, { priority: 9, timestamp: hourAgo - 60_000 });
  await queue.add("later", {}, { delay: 3_600_000 });
  const { observed } = await look("waiting");
  expect(observed).toMatchObject({ depth: 3, workers: 0, stalled: 0, paused: false, failedShare: null });
  expect(observed?.oldestMs).toBeGreaterThanOrEqual(3_660_000);
  expect(observed?.oldestMs).toBeLessThan(3_720_000);
  // Due, and without a worker nobody moves it to those that wait.
  await queue.add("overdue", {}, { delay: 1_000, timestamp: hourAgo });
  expect((await look("waiting")).observed?.depth).toBe(4);
  expect(await verdictOf("waiting", { maxDepth: { warn: 2, down: 10 } })).toBe("degraded overloaded");
  expect(await verdictOf("waiting", { maxOldestMs: 60_000 })).toBe("down overloaded");
  await queue.pause();
  expect((await look("waiting")).observed).toMatchObject({ depth: 4, paused: true });
});

real("counts workers, named or not, of this queue only, and sees them go", async () => {
  const queue = await makeQueue("crew");
  await makeWorker("crew2", async () => {});
  expect(await verdictOf("crew", { minWorkers: 1 })).toBe("down missing");
  const worker = await makeWorker("crew", async () => {});
  await makeWorker("crew", async () => {}, { name: "second" });
  await expect.poll(async () => (await look("crew")).observed?.workers).toBe(2);
  expect(await queue.getWorkersCount()).toBe(2);
  await worker.close();
  await expect.poll(() => verdictOf("crew", { minWorkers: { warn: 2, down: 1 } })).toBe("degraded missing");
});

real("the share of failures, also where finished jobs are removed at once", async () => {
  const queue = await makeQueue("failing");
  for (let i = 0; i < 20; i++)
    await queue.add(i < 5 ? "bad" : "good", {}, { removeOnComplete: true, removeOnFail: true });
  await makeWorker("failing", async (name) => {
    if (name === "bad") throw new Error("as it was told");
  });
  await expect.poll(async () => (await look("failing")).observed?.failedShare).toBe(0.25);
  expect((await look("failing")).observed).toMatchObject({ depth: 0, oldestMs: null, throughputPerMin: 4 });
  expect(await verdictOf("failing", { maxFailedShare: 0.2 })).toBe("down assertion");
});

real("a busy queue is counted by what its latest events cover", async () => {
  const queue = await makeQueue("busy");
  await queue.addBulk(Array.from({ length: 600 }, () => ({ name: "a", data: {} })));
  await makeWorker("busy", async () => {}, { concurrency: 20 });
  await expect.poll(() => queue.getCompletedCount(), { timeout: 20_000 }).toBe(600);
  const { observed } = await look("busy", { windowMs: 86_400_000 });
  // Within a day these would be no half of one a minute.
  expect(observed?.throughputPerMin).toBeGreaterThan(10);
  expect(observed?.failedShare).toBe(0);
});

real("a job whose worker died is stalled; one at work is not", async () => {
  const queue = await makeQueue("stalling");
  const { promise: never, resolve: release } = Promise.withResolvers<void>();
  onTestFinished(() => release());
  await queue.add("a", {});
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const work = () => {
    begin();
    return never;
  };
  const worker = await makeWorker("stalling", work, { lockDuration: 400 });
  await begun;
  expect(await verdictOf("stalling", { maxStalled: 0 })).toBe("up");
  await worker.close(true);
  await expect.poll(() => verdictOf("stalling", { maxStalled: 0 })).toBe("down missing");
  expect((await look("stalling")).observed).toMatchObject({ stalled: 1, depth: 0, workers: 0 });
});

real("where clients may not be listed, their number is not known; other limits hold", async () => {
  const queue = await makeQueue("managed");
  await queue.add("a", {});
  await ask(server.host, server.port, "ACL SETUSER few on >pw ~* &* +@all -client|list\r\n");
  const user = { username: "few", password: "pw" };
  expect((await look("managed", user)).observed).toMatchObject({ depth: 1, workers: null });
  expect(await verdictOf("managed", { ...user, minWorkers: 1 })).toBe("down unsupported");
  expect(await verdictOf("managed", { ...user, minWorkers: 1, maxDepth: 0 })).toBe("down overloaded");
});

real("a wrong password, and a user who may not read: auth", async () => {
  await ask(server.host, server.port, "ACL SETUSER none on >pw ~other:* +@all\r\n");
  expect(await verdictOf("known", { username: "none", password: "no" })).toBe("down auth");
  expect(await verdictOf("known", { username: "none", password: "pw" })).toBe("down auth");
});

real("frozen: timeout; killed: refused", async () => {
  server.freeze();
  expect(await verdictOf("known", {}, { timeoutMs: 300 })).toBe("down timeout");
  server.thaw();
  await server.kill();
  expect(await verdictOf("known")).toBe("down refused");
});

test("what is no Redis: protocol; a node of a cluster that has not the queue: unsupported", async () => {
  await using other = await rawServer((socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  await using node = await rawServer((socket) => {
    socket.once("data", () => socket.write("*2\r\n$1\r\n1\r\n$1\r\n0\r\n-MOVED 1 127.0.0.1:7000\r\n"));
    socket.once("data", () => socket.write("-MOVED 1 127.0.0.1:7000\r\n".repeat(11)));
  });
  const classAt = async (port: number, network?: { allowNetworks: string[] }) => {
    const options = network === undefined ? {} : { network };
    return (await probing(bullmq, { host: "127.0.0.1", port, queue: "a" }, options)).failure?.class;
  };
  expect(await classAt(other.port)).toBe("protocol");
  expect(await classAt(node.port)).toBe("unsupported");
  expect(await classAt(node.port, { allowNetworks: [] })).toBe("blocked");
  await node.open(0);
});
