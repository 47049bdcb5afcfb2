import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSockets, probing, rawServer } from "../../../test/support/probing.ts";
import { type Line, layLine } from "../../../test/support/services/partition.ts";
import { type Rabbitmq, startRabbitmq } from "../../../test/support/services/rabbitmq.ts";
import { canStart } from "../../../test/support/services/service.ts";
import { rabbitmq } from "./rabbitmq.ts";

const classOf = async (written: unknown, options = {}) => {
  const { status, failure } = await probing(rabbitmq, written, options);
  return failure ? `${status} ${failure.class}` : status;
};

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

describe.skipIf(!canStart("rabbitmq"))("a real RabbitMQ", () => {
  let server: Rabbitmq;
  let at: { host: string; port: number };
  const guest = { username: "guest", password: "guest" };

  beforeAll(async () => {
    server = await startRabbitmq();
    at = { host: server.host, port: server.port };
  }, 130_000);
  afterAll(() => server?.stop());

  test("is up without credentials, and tells its version", async () => {
    const outcome = await probing(rabbitmq, at);
    expect(outcome).toMatchObject({ status: "up", observed: { product: "RabbitMQ" } });
    expect(outcome.observed?.version).toMatch(/^\d+\./);
    expect(outcome.phases?.firstByteMs).toBeGreaterThan(0);
  });

  test("is up with credentials, and each connection is closed as it should be", async () => {
    for (let i = 0; i < 5; i++) expect(await classOf({ ...at, ...guest })).toBe("up");
    expect(await classOf({ url: `amqp://guest:guest@127.0.0.1:${at.port}/%2F` })).toBe("up");
    await expect.poll(openSockets).toBe(0);
    const opened = server.log().match(/authenticated and granted access/g)?.length;
    expect(opened).toBe(6);
    // What it writes of a client that went away without a word while its connection was open.
    expect(server.log()).not.toMatch(/vhost: '\/', user: 'guest'\):\s+client unexpectedly closed/);
  });

  test("wrong password, unknown vhost", async () => {
    expect(await classOf({ ...at, ...guest, password: "wrong" })).toBe("down auth");
    expect(await classOf({ ...at, ...guest, vhost: "nowhere" })).toBe("down missing");
  });

  test("frozen: timeout; killed: refused", async () => {
    server.freeze();
    expect(await classOf(at, { timeoutMs: 300 })).toBe("down timeout");
    server.thaw();
    await server.kill();
    expect(await classOf(at)).toBe("down refused");
  });
});

describe.skipIf(!canStart("rabbitmq"))("a RabbitMQ with an alarm, behind a line", () => {
  const network = { allowNetworks: ["127.0.0.0/8", "10.0.0.0/8"] };
  let line: Line;
  let server: Rabbitmq;
  let at: { host: string; port: number; username: string; password: string };

  beforeAll(async () => {
    line = await layLine();
    const config = ["vm_memory_high_watermark.absolute = 1MB"];
    server = await startRabbitmq({ place: line.place, config, management: true });
    at = { ...(await line.reach(server.port)), username: "guest", password: "guest" };
  }, 130_000);
  afterAll(async () => {
    await server?.stop();
    await line?.close();
  });

  test("says that it takes no messages: degraded", async () => {
    await expect.poll(() => classOf(at, { network }), { timeout: 10_000 }).toBe("degraded overloaded");
    expect((await probing(rabbitmq, at, { network })).failure?.message).toMatch(/low on memory/);
  });

  test("is left with no connection of ours, though it does not read our end", async () => {
    const count = (what: RegExp) => server.log().match(what)?.length ?? 0;
    const opened = () => count(/authenticated and granted access/g);
    expect(opened()).toBeGreaterThan(0);
    const closed = () => count(/\[warning\].* closing AMQP connection .*, vhost: /g);
    await expect.poll(() => opened() - closed(), { timeout: 10_000 }).toBe(0);
  });

  test("tells its alarm by the management API too", async () => {
    const { host, port } = await line.reach(server.managementPort ?? 0);
    const management = `http://${host}:${port}/`;
    const asked = { url: `amqp://${at.host}:${at.port}`, management };
    // Without credentials only the API could say, and it asks for some.
    expect(await classOf(asked, { network })).toBe("degraded auth");
    const outcome = await probing(rabbitmq, { ...at, management }, { network });
    expect(outcome.failure?.message).toMatch(/memory/);
  });

  test("is timeout once the line is cut, and answers when it is healed", async () => {
    line.cut();
    expect(await classOf(at, { network, timeoutMs: 300 })).toBe("down timeout");
    line.heal();
    expect(await classOf(at, { network })).toBe("degraded overloaded");
  });
});

test.each([
  ["another language", "220 mail.example.com ESMTP\r\n"],
  ["another version of AMQP", "AMQP\u0003\u0001\0\0"],
])("what answers in %s is no RabbitMQ", async (_, text) => {
  await using server = await rawServer((socket) => void socket.write(text));
  expect(await classOf({ host: "127.0.0.1", port: server.port })).toBe("down protocol");
  expect(await classOf({ host: "127.0.0.1", port: server.port }, { network: { allowNetworks: [] } })).toBe(
    "down blocked",
  );
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
