import { connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openSockets, probing, rawServer } from "../../../test/support/probing.ts";
import { type Line, layLine } from "../../../test/support/services/partition.ts";
import { type Rabbitmq, startRabbitmq } from "../../../test/support/services/rabbitmq.ts";
import { canStart } from "../../../test/support/services/service.ts";
import type { ProbeKind } from "../../checks/probe-kind.ts";
import { rabbitmq } from "./rabbitmq.ts";
import { rabbitmqQueue } from "./rabbitmq-queue.ts";

const network = { allowNetworks: ["127.0.0.0/8", "10.0.0.0/8"] };
const verdicts =
  <S>(kind: ProbeKind<S>) =>
  async (written: unknown, timeoutMs = 5_000) => {
    const { status, failure } = await probing(kind, written, { network, timeoutMs });
    return failure ? `${status} ${failure.class}` : status;
  };
const classOf = verdicts(rabbitmq);
const queueClassOf = verdicts(rabbitmqQueue);

describe("settings", () => {
  test("a password never shows in what is asked", () => {
    const given = rabbitmq.settings.parse({ url: "amqps://user:pa%20ss@queue.internal/jobs" });
    expect(rabbitmq.subject(given)).toBe("amqp://queue.internal:5671");
    expect(rabbitmq.host(given)).toBe("queue.internal");
  });

  test.each([
    {},
    { url: "http://queue" },
    { host: "a", management: "ftp://a" },
    { host: "a", ports: 1 },
  ])("%j is refused", (written) => expect(rabbitmq.settings.safeParse(written).success).toBe(false));
});

// One node, and in the order of its life: well, with an alarm, out of reach, frozen, dead.
const guest = { username: "guest", password: "guest" };
let line: Line;
let server: Rabbitmq;
let at: { host: string; port: number };
let managed: { host: string; port: number | null };

beforeAll(async () => {
  if (!canStart("rabbitmq")) return;
  line = await layLine();
  server = await startRabbitmq({ place: line.place, management: true });
  at = { host: server.host, port: server.port };
  managed = { host: server.host, port: server.managementPort };
}, 130_000);
afterAll(async () => {
  await server?.stop();
  await line?.close();
});

const logged = (what: RegExp) => server.log().match(what)?.length ?? 0;
const opened = () => logged(/authenticated and granted access/g);

describe.skipIf(!canStart("rabbitmq"))("a real RabbitMQ that is well", () => {
  test("is up without credentials, and tells its version", async () => {
    const outcome = await probing(rabbitmq, at, { network });
    expect(outcome).toMatchObject({ status: "up", observed: { product: "RabbitMQ" } });
    expect(outcome.observed?.version).toMatch(/^\d+\./);
    expect(outcome.phases?.firstByteMs).toBeGreaterThan(0);
  });

  test("is up with credentials, and each connection is closed as it should be", async () => {
    for (let i = 0; i < 5; i++) expect(await classOf({ ...at, ...guest })).toBe("up");
    expect(await classOf({ url: `amqp://guest:guest@${at.host}:${at.port}/%2F` })).toBe("up");
    await expect.poll(openSockets).toBe(0);
    await expect.poll(opened).toBe(6);
    // What it writes of a client that went away without a word while its connection was open.
    expect(logged(/vhost: '\/', user: 'guest'\):\s+client unexpectedly closed/g)).toBe(0);
  });

  test("wrong password, unknown vhost", async () => {
    expect(await classOf({ ...at, ...guest, password: "wrong" })).toBe("down auth");
    expect(await classOf({ ...at, ...guest, vhost: "nowhere" })).toBe("down missing");
  });

  test("has a queue: depth, consumers, age, and what is missing", async () => {
    const client = await connect(`amqp://guest:guest@${at.host}:${at.port}`);
    onTestFinished(() => client.close());
    const channel = await client.createConfirmChannel();
    await channel.assertQueue("a/b c");
    for (let i = 0; i < 3; i++) channel.sendToQueue("a/b c", Buffer.from("x"));
    await channel.waitForConfirms();
    const asked = { ...managed, queue: "a/b c" };
    const seen = async () => (await probing(rabbitmqQueue, asked, { network })).observed;
    await expect.poll(seen, { timeout: 30_000 }).toMatchObject({ depth: 3, workers: 0, failedShare: null });
    expect(await queueClassOf({ ...asked, maxDepth: { warn: 2, down: 9 } })).toBe("degraded overloaded");
    expect(await queueClassOf({ ...asked, minWorkers: 1 })).toBe("down missing");
    expect(await queueClassOf({ ...asked, maxOldestMs: 1 })).toBe("down unsupported");
    expect(await queueClassOf({ ...asked, queue: "other" })).toBe("down missing");
    expect(await queueClassOf({ ...asked, vhost: "other" })).toBe("down missing");
    expect(await queueClassOf({ ...asked, ...guest, password: "wrong" })).toBe("down auth");
    await channel.consume("a/b c", (message) => message && channel.ack(message));
    await expect.poll(seen, { timeout: 30_000 }).toMatchObject({ depth: 0, workers: 1, unacknowledged: 0 });
    expect(await queueClassOf({ ...asked, minWorkers: 1, maxDepth: 0 })).toBe("up");
  });
});

describe.skipIf(!canStart("rabbitmq"))("a real RabbitMQ in trouble", () => {
  test("has an alarm and takes no messages: degraded", async () => {
    const before = opened();
    server.raiseMemoryAlarm();
    expect(await classOf({ ...at, ...guest })).toBe("degraded overloaded");
    const { failure } = await probing(rabbitmq, { ...at, ...guest }, { network });
    expect(failure?.message).toMatch(/low on memory/);
    // Without credentials only the API could say, and it asks for some.
    const management = `http://${managed.host}:${managed.port}/`;
    expect(await classOf({ url: `amqp://${at.host}:${at.port}`, management })).toBe("degraded auth");
    const told = await probing(rabbitmq, { ...at, ...guest, management }, { network });
    expect(told.failure?.message).toMatch(/memory/);
    // It does not read our end, and is left with no connection of ours all the same.
    const closed = () => logged(/\[warning\].* closing AMQP connection .*, vhost: /g);
    // Its log is written a little later than its answers.
    await expect.poll(() => opened() - before).toBe(3);
    await expect.poll(() => opened() - before - closed(), { timeout: 10_000 }).toBe(0);
  });

  test("line cut: timeout; healed: as before; frozen: timeout; killed: refused", async () => {
    const broker = { ...(await line.reach(at.port)), ...guest };
    const api = { ...(await line.reach(managed.port ?? 0)), queue: "a/b c" };
    const bothAre = async (expected: readonly string[], timeoutMs?: number) =>
      expect(await Promise.all([classOf(broker, timeoutMs), queueClassOf(api, timeoutMs)])).toEqual(expected);
    line.cut();
    await bothAre(["down timeout", "down timeout"], 300);
    line.heal();
    await bothAre(["degraded overloaded", "up"]);
    server.freeze();
    await bothAre(["down timeout", "down timeout"], 300);
    server.thaw();
    await server.kill();
    expect(await classOf(at)).toBe("down refused");
    expect(await queueClassOf({ ...managed, queue: "a/b c" })).toBe("down refused");
  });
});

test.each([
  ["another language", "220 mail.example.com ESMTP\r\n"],
  ["another version of AMQP", "AMQP\u0003\u0001\0\0"],
])("what answers in %s is no RabbitMQ", async (_, text) => {
  await using server = await rawServer((socket) => void socket.write(text));
  const at = { host: "127.0.0.1", port: server.port };
  expect(await classOf(at)).toBe("down protocol");
  const { failure } = await probing(rabbitmq, at, { network: { allowNetworks: [] } });
  expect(failure?.class).toBe("blocked");
});

test("an early end by the signal leaves no connection", async () => {
  await using server = await rawServer((socket) => void socket.resume());
  const ending = new AbortController();
  const asked = probing(rabbitmq, { host: "127.0.0.1", port: server.port }, { signal: ending.signal });
  await server.open(1);
  ending.abort();
  expect((await asked).failure?.class).toBe("timeout");
  await server.open(0);
});
