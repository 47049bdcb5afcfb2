import type { Socket } from "node:net";
import { describe, expect, inject, test } from "vitest";
import { probing, rawServer } from "../../../test/support/probing.ts";
import { bullmq } from "./bullmq.ts";
import { mysql } from "./mysql.ts";
import { pgBoss } from "./pg-boss.ts";
import { postgres } from "./postgres.ts";
import { rabbitmq } from "./rabbitmq.ts";
import { rabbitmqQueue } from "./rabbitmq-queue.ts";
import { redis } from "./redis.ts";
import { FramesReader } from "./websocket/read-frames.ts";

/** What a server says that wants to end us, to fill us, or to keep us busy: each is one attempt that failed. */
const failed = (name: string, message: RegExp) => ({
  status: "down",
  failure: { class: name, message: expect.stringMatching(message) },
});

const user = { username: "a", password: "b" };
const at = (port: number) => ({ host: "127.0.0.1", port });

/** To the first thing that it is sent. */
const answering = (answer: Buffer) => rawServer((socket) => socket.once("data", () => socket.write(answer)));

/** Says the same for as long as somebody listens. */
async function endless(said: string) {
  const chunk = said.repeat(Math.ceil(65_536 / said.length));
  const talk = (socket: Socket) => {
    if (!socket.destroyed) socket.write(chunk, () => setImmediate(talk, socket));
  };
  return await rawServer((socket) => socket.once("data", () => talk(socket)));
}

describe("what a driver cannot read", () => {
  test.each([
    ["a message without what it must hold", Buffer.from("R\0\0\0\u0004")],
    ["an error whose list has no end", Buffer.from("R\0\0\0\u0008\0\0\0\0E\0\0\0\u0007Mab")],
    ["a message that there is none of", Buffer.from("R\0\0\0\u0008\0\0\0\0?\0\0\0\u0004")],
  ])("of Postgres: %s", async (_, said) => {
    await using server = await answering(said);
    const asked = { ...at(server.port), ...user, tls: false };
    expect(await probing(postgres, asked)).toMatchObject(failed("protocol", /what it answers/));
    expect(await probing(pgBoss, { ...asked, queue: "a" })).toMatchObject(
      failed("protocol", /what it answer/),
    );
    await server.open(0);
  });

  test("of MySQL: an answer that is none", async () => {
    const plugin = Buffer.from("mysql_native_password\0");
    const greeting = Buffer.concat([
      Buffer.from("\u000a8.0.0\0\u0001\0\0\0AAAAAAAA\0\xff\xf7\u0021\u0002\0\xff\xc7\u0015", "latin1"),
      Buffer.alloc(10),
      Buffer.from("BBBBBBBBBBBB\0"),
      plugin,
    ]);
    const framed = (sequence: number, body: Buffer) =>
      Buffer.concat([Buffer.from([body.length, 0, 0, sequence]), body]);
    const turns = [
      framed(2, Buffer.from([0, 0, 0, 2, 0, 0, 0])),
      Buffer.concat([framed(1, Buffer.from([1])), framed(2, Buffer.from([0xfc, 0xff]))]),
    ];
    await using server = await rawServer((socket) => {
      socket.write(framed(0, greeting));
      socket.on("data", () => socket.write(turns.shift() ?? ""));
    });
    const asked = { ...at(server.port), ...user, tls: false };
    expect(await probing(mysql, asked)).toMatchObject(failed("protocol", /what it answers/));
    await server.open(0);
  });

  test("of RabbitMQ: a method that is shorter than its arguments", async () => {
    await using server = await answering(Buffer.from("\u0001\0\0\0\0\0\u0004\0\u000a\0\u000a\xce", "latin1"));
    expect(await probing(rabbitmq, at(server.port))).toMatchObject(failed("protocol", /no?t? AMQP/));
    await server.open(0);
  });
});

describe("what never ends", () => {
  test("a list of Redis's without an end, and lists in lists", async () => {
    const asked = (port: number) => probing(bullmq, { ...at(port), queue: "a" }, { timeoutMs: 60_000 });
    const long = `$65536\r\n${"x".repeat(65_536)}\r\n`;
    await using list = await answering(Buffer.from(`*1000000000\r\n${long.repeat(200)}`));
    expect(await asked(list.port)).toMatchObject(failed("too_large", /over 8388608 bytes/));
    await using nested = await endless("*1\r\n");
    expect(await asked(nested.port)).toMatchObject(failed("protocol", /not Redis/));
    await nested.open(0);
  });

  test("a row of Postgres's that is larger than is read", async () => {
    const query = "select repeat('x', 30000000)";
    const large = await probing(postgres, { url: inject("databaseUrl"), query }, { timeoutMs: 60_000 });
    expect(large).toMatchObject(failed("too_large", /over 8388608 bytes/));
  });

  test("frames that carry nothing are refused before they keep us busy", () => {
    const read = (frame: number[], count: number) => () =>
      new FramesReader(1_000_000).read(Buffer.from(Array.from({ length: count }, () => frame).flat()));
    const begun = [0x01, 0];
    expect(() => new FramesReader(9).read(Buffer.from([...begun, 0x80, 1, 97]))).not.toThrow();
    const reader = new FramesReader(1_000_000);
    reader.read(Buffer.from(begun));
    const empty = Buffer.from(Array.from({ length: 20_000 }, () => [0, 0]).flat());
    expect(() => reader.read(empty)).toThrow("more than 10000 parts");
    expect(read([0x89, 0], 1_001)).toThrow("more than 1000 control frames");
  });

  test("a large message in small pieces costs no more than it is long", () => {
    const reader = new FramesReader(16 * 1_048_576);
    const length = 8 * 1_048_576;
    const head = Buffer.alloc(10);
    head.writeUInt16BE(0x827f, 0);
    head.writeBigUInt64BE(BigInt(length), 2);
    const piece = Buffer.alloc(1_024);
    const startedMs = performance.now();
    reader.read(head);
    let received = 0;
    for (let sent = 0; sent < length; sent += piece.length) received += reader.read(piece).length;
    expect(received).toBe(1);
    // Put together anew with each piece, it is 32 GiB that are copied.
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});

test("of a Redis that does not tell its role it is not said that it has the one it should", async () => {
  await using server = await answering(Buffer.from("-NOAUTH Authentication required.\r\n"));
  expect(await probing(redis, at(server.port))).toMatchObject({ status: "up" });
  const asked = { ...at(server.port), role: "master" };
  expect(await probing(redis, asked)).toMatchObject(failed("unsupported", /its role/));
});

test("a queue is not asked for at a port that another protocol would take it at", async () => {
  const asked = { ...at(25), queue: "a" };
  expect(await probing(rabbitmqQueue, asked)).toMatchObject(failed("blocked", /Port 25/));
});

test("the port that a URL names is the one that is asked, also where it is its scheme's own", () => {
  const subject = (url: string) => rabbitmqQueue.subject(rabbitmqQueue.settings.parse({ url, queue: "a" }));
  expect(subject("http://mq.internal:80/")).toBe("rabbitmq-queue://mq.internal:80/a");
  expect(subject("https://u:80@[::1]:443")).toBe("rabbitmq-queue://[::1]:443/a");
  expect(subject("http://u:80@mq.internal/a:80")).toBe("rabbitmq-queue://mq.internal:15672/a");
  expect(redis.subject(redis.settings.parse({ url: "redis://a:7000/80" }))).toBe("redis://a:7000");
});
