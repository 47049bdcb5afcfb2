import { type ChannelModel, connect } from "amqplib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { probing, rawServer } from "../../../test/support/probing.ts";
import { type Rabbitmq, startRabbitmq } from "../../../test/support/services/rabbitmq.ts";
import { canStart } from "../../../test/support/services/service.ts";
import { rabbitmqQueue } from "./rabbitmq-queue.ts";

const real = test.skipIf(!canStart("rabbitmq"));
let server: Rabbitmq;
let client: ChannelModel;

beforeAll(async () => {
  if (!canStart("rabbitmq")) return;
  server = await startRabbitmq({ management: true, config: ["collect_statistics_interval = 1000"] });
  client = await connect(`amqp://guest:guest@127.0.0.1:${server.port}`);
  client.on("error", () => {});
});
afterAll(async () => {
  await client?.close().catch(() => {});
  await server?.stop();
});

const look = (queue: string, more: object = {}, options = {}) =>
  probing(rabbitmqQueue, { host: "127.0.0.1", port: server.managementPort, queue, ...more }, options);
const verdictOf = async (queue: string, more: object = {}, options = {}) => {
  const { status, failure } = await look(queue, more, options);
  return failure ? `${status} ${failure.class}` : status;
};

test("says what is asked without the password, and takes no limit that it cannot hold", () => {
  const given = { url: "https://u:secret@mq.internal/base", queue: "a/b" };
  expect(rabbitmqQueue.subject(rabbitmqQueue.settings.parse(given))).toBe(
    "rabbitmq-queue://mq.internal:443/a/b",
  );
  expect(rabbitmqQueue.settings.safeParse({ ...given, maxFailedShare: 1 }).success).toBe(false);
});

real("a real queue: depth, consumers, age, and what is missing", async () => {
  const channel = await client.createConfirmChannel();
  await channel.assertQueue("a/b c");
  for (let i = 0; i < 3; i++) channel.sendToQueue("a/b c", Buffer.from("x"));
  await channel.waitForConfirms();
  const seen = async () => (await look("a/b c")).observed;
  await expect.poll(seen, { timeout: 30_000 }).toMatchObject({ depth: 3, workers: 0, failedShare: null });
  expect(await verdictOf("a/b c", { maxDepth: { warn: 2, down: 9 } })).toBe("degraded overloaded");
  expect(await verdictOf("a/b c", { minWorkers: 1 })).toBe("down missing");
  expect(await verdictOf("a/b c", { maxOldestMs: 1 })).toBe("down unsupported");
  expect(await verdictOf("other")).toBe("down missing");
  expect(await verdictOf("a/b c", { vhost: "other" })).toBe("down missing");
  expect(await verdictOf("a/b c", { username: "guest", password: "wrong" })).toBe("down auth");
  await channel.consume("a/b c", (message) => message && channel.ack(message));
  await expect.poll(seen, { timeout: 30_000 }).toMatchObject({ depth: 0, workers: 1, unacknowledged: 0 });
  expect(await verdictOf("a/b c", { minWorkers: 1, maxDepth: 0 })).toBe("up");
});

real("frozen: timeout; killed: refused", async () => {
  server.freeze();
  expect(await verdictOf("a/b c", {}, { timeoutMs: 300 })).toBe("down timeout");
  server.thaw();
  await server.kill();
  expect(await verdictOf("a/b c")).toBe("down refused");
});

test("what is no management API: protocol", async () => {
  await using other = await rawServer((socket) => void socket.write("220 mail.example.com ESMTP\r\n\r\n"));
  await using page = await rawServer((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"));
  });
  for (const { port } of [other, page]) {
    const outcome = await probing(rabbitmqQueue, { host: "127.0.0.1", port, queue: "a" });
    expect(outcome.failure?.class).toBe("protocol");
  }
  await other.open(0);
});
