import { execFileSync } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import { type Certificates, makeCertificates } from "../../../test/support/certificates.ts";
import { freePort, openSockets, probing, rawServer } from "../../../test/support/probing.ts";
import { dns } from "./dns.ts";
import { readPing } from "./icmp/read-ping.ts";
import { icmp } from "./icmp.ts";
import { tcp } from "./tcp.ts";
import { tls } from "./tls.ts";

const failed = (name: string, message: RegExp) => ({
  status: "down",
  failure: { class: name, message: expect.stringMatching(message) },
});

let made: Certificates;
beforeAll(async () => {
  made = await makeCertificates();
});

async function serveTls(options: object) {
  const server = createServer(options, (socket) => socket.on("error", () => {}).end("220 ready\r\n"));
  server.on("tlsClientError", () => {});
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.dispose]: () => void server.close() };
}

describe("tcp", () => {
  const ask = (port: number, more: object = {}, options = {}) =>
    probing(tcp, { host: "127.0.0.1", port, ...more }, options);

  test("a connection that is taken is enough where nothing more is expected, and is closed again", async () => {
    await using server = await rawServer(() => {});
    const before = openSockets();
    expect(await ask(server.port, { send: "QUIT\r\n" })).toMatchObject({ status: "up" });
    await server.open(0);
    expect(openSockets()).toBeLessThanOrEqual(before);
    expect(await ask(await freePort())).toMatchObject(failed("refused", /nobody listens/));
  });

  test("a greeting, or an answer to what is sent, must hold what is expected", async () => {
    await using server = await rawServer((socket) => {
      socket.write("220 ");
      socket.on("data", (asked) => socket.end(`mail: ${asked}`));
    });
    expect(await ask(server.port, { expect: "220" })).toMatchObject({ status: "up" });
    expect(await ask(server.port, { send: "NOOP", expect: "220 mail: NOOP" })).toMatchObject({
      status: "up",
    });
    const other = await ask(server.port, { send: "NOOP", expect: "+PONG" });
    expect(other).toMatchObject(failed("assertion", /closed after 14 bytes, without "\+PONG"/));
    const late = await ask(server.port, { expect: "+PONG" }, { timeoutMs: 60 });
    expect(late).toMatchObject(failed("timeout", /4 bytes, and no "\+PONG" within/));
  });

  test("silence, a closed door and a reset are told apart", async () => {
    await using silent = await rawServer(() => {});
    const late = await ask(silent.port, { expect: "a" }, { timeoutMs: 60 });
    expect(late).toMatchObject(failed("timeout", /connected, and nothing came/));
    await using closing = await rawServer((socket) => socket.end());
    expect(await ask(closing.port, { expect: "a" })).toMatchObject(failed("reset", /without a word/));
    await using resetting = await rawServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
    expect(await ask(resetting.port, { send: "x", expect: "a" })).toMatchObject(
      failed("reset", /ECONNRESET/),
    );
  });

  test("also through TLS", async () => {
    using server = await serveTls(made.good);
    const secure = { tls: true, ca: made.ca, expect: "220 ready" };
    expect(await ask(server.port, secure)).toMatchObject({
      status: "up",
      phases: { tlsMs: expect.any(Number) },
    });
    expect(await ask(server.port, { tls: true })).toMatchObject(failed("certificate", /issuer/));
  });
});

describe("tls", () => {
  const ask = (port: number, more: object = {}) =>
    probing(tls, { host: "localhost", port, ca: made.ca, ...more });

  test("a good certificate says how long it lasts", async () => {
    using server = await serveTls(made.good);
    const observed = { version: "TLSv1.3", daysLeft: 90, address: "127.0.0.1" };
    expect(await ask(server.port)).toMatchObject({ status: "up", observed });
    expect(await ask(server.port, { servername: "shop.localhost" })).toMatchObject({ status: "up" });
    expect(await ask(server.port, { servername: "a.example" })).toMatchObject(
      failed("certificate", /not for a\.example/),
    );
  });

  test("one that ends soon degrades, and is down below the critical days", async () => {
    using server = await serveTls(made.soon);
    expect(await ask(server.port)).toMatchObject({ status: "degraded", failure: { class: "certificate" } });
    expect(await ask(server.port, { criticalDays: 7 })).toMatchObject(failed("certificate", /in 5 days/));
    expect(await ask(server.port, { warnDays: 3 })).toMatchObject({ status: "up" });
  });

  test("an intermediate that ends before the certificate counts", async () => {
    using chained = await serveTls(made.bySoonAuthority);
    expect(await ask(chained.port)).toMatchObject({ status: "degraded", observed: { daysLeft: 5 } });
  });

  test("expired, and of too old a version", async () => {
    using expired = await serveTls(made.expired);
    expect(await ask(expired.port)).toMatchObject(failed("certificate", /expired on/));
    using old = await serveTls({ ...made.good, maxVersion: "TLSv1.2" });
    expect(await ask(old.port)).toMatchObject({ status: "up", observed: { version: "TLSv1.2" } });
    expect(await ask(old.port, { minVersion: "TLSv1.3" })).toMatchObject(failed("tls", /TLSv1\.2 at best/));
  });
});

describe("dns", () => {
  /** A resolver that answers every question alike: a code, and addresses for A. */
  async function resolver(answer: (question: Buffer, send: (message: Buffer) => void) => void) {
    const socket = dgram.createSocket("udp4");
    socket.on("message", (message, from) =>
      answer(message, (reply) => socket.send(reply, from.port, from.address)),
    );
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return { port: socket.address().port, [Symbol.dispose]: () => void socket.close() };
  }
  const reply = (question: Buffer, code: number, records: Buffer[] = []) => {
    const end = question.indexOf(0, 12) + 5;
    const head = Buffer.from(question.subarray(0, 12));
    head.writeUInt16BE(0x8180 | code, 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt32BE(0, 8);
    return Buffer.concat([head, question.subarray(12, end), ...records]);
  };
  const record = (type: number, data: Buffer) => {
    const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length]);
    return Buffer.concat([head, data]);
  };
  const ask = (port: number, more: object = {}, options = {}) =>
    probing(dns, { name: "shop.example.com", resolver: "127.0.0.1", resolverPort: port, ...more }, options);

  test("records must be there, as any, all or exactly those that are expected", async () => {
    const addresses = [record(1, Buffer.from([192, 0, 2, 1])), record(1, Buffer.from([192, 0, 2, 2]))];
    using server = await resolver((question, send) => send(reply(question, 0, addresses)));
    expect(await ask(server.port)).toMatchObject({
      status: "up",
      observed: { records: 2, first: "192.0.2.1" },
    });
    const one = { values: ["192.0.2.2"] };
    expect(await ask(server.port, one)).toMatchObject({ status: "up" });
    expect(await ask(server.port, { ...one, match: "exact" })).toMatchObject(
      failed("assertion", /192\.0\.2\.1 was not expected/),
    );
    const other = { values: ["192.0.2.2", "192.0.2.9"] };
    expect(await ask(server.port, { ...other, match: "any" })).toMatchObject({ status: "up" });
    expect(await ask(server.port, other)).toMatchObject(failed("assertion", /192\.0\.2\.9 is missing/));
  });

  test("mail exchangers and texts are compared as they are written", async () => {
    const exchange = Buffer.concat([Buffer.from([0, 10, 4]), Buffer.from("mail"), Buffer.from([0xc0, 12])]);
    const text = Buffer.concat([Buffer.from([3]), Buffer.from("v=1"), Buffer.from([2]), Buffer.from(" x")]);
    using server = await resolver((question, send) => {
      const type = question[question.indexOf(0, 12) + 2];
      send(reply(question, 0, [type === 15 ? record(15, exchange) : record(16, text)]));
    });
    const mail = { record: "MX", values: ["10 MAIL.shop.example.com."], match: "exact" };
    expect(await ask(server.port, mail)).toMatchObject({ status: "up" });
    expect(await ask(server.port, { record: "TXT", values: ["v=1 x"] })).toMatchObject({ status: "up" });
    expect(await ask(server.port, { record: "TXT", values: ["V=1 x"] })).toMatchObject(
      failed("assertion", /v=1 x/),
    );
  });

  test.each([
    [3, /no such name \(NXDOMAIN\)/],
    [2, /failed to find out \(SERVFAIL\)/],
    [5, /refuses to tell \(REFUSED\)/],
    [0, /has no record of that type/],
  ])("an answer with the code %i says which", async (code, message) => {
    using server = await resolver((question, send) => send(reply(question, code)));
    expect(await ask(server.port)).toMatchObject(failed("dns", message));
  });

  test("silence is a timeout, a closed port is refused, and a resolver is guarded", async () => {
    using server = await resolver(() => {});
    expect(await ask(server.port, {}, { timeoutMs: 80 })).toMatchObject(
      failed("timeout", /no answer within \d+ ms/),
    );
    expect(await ask(await freePort(), {}, { timeoutMs: 1_000 })).toMatchObject({
      status: "down",
      failure: { class: "refused" },
    });
    const closed = { network: { allowNetworks: [] } };
    expect(await ask(server.port, {}, closed)).toMatchObject(failed("blocked", /127\.0\.0\.1/));
  });
});

describe("icmp", () => {
  const hasPing = (() => {
    try {
      execFileSync("ping", ["-c", "1", "127.0.0.1"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  })();

  test("an echo comes back; where there is no ping, or it may not, that is no verdict", async () => {
    const result = await probing(icmp, { host: "127.0.0.1", packets: 2 });
    const up = { status: "up", observed: { lossPercent: 0, packets: 2, rttMs: expect.any(Number) } };
    expect(result).toMatchObject(hasPing ? up : failed("unsupported", /ping/));
  });

  test("only an address comes to the program, and only one that may be asked", async () => {
    expect(icmp.settings.safeParse({ host: "-f" }).success).toBe(false);
    expect(icmp.settings.safeParse({ host: "a;b" }).success).toBe(false);
    const closed = { network: { allowNetworks: [] } };
    expect(await probing(icmp, { host: "127.0.0.1" }, closed)).toMatchObject(failed("blocked", /127/));
    expect(await probing(icmp, { host: "nothing.invalid" })).toMatchObject(failed("dns", /nothing/));
  });

  test.each([
    // iputils, BusyBox, BSD; one that came twice; a router's word.
    [
      "64 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.5 ms\n64 bytes from 192.0.2.1: icmp_seq=2 ttl=64 time=1.5 ms",
      2,
      1,
    ],
    ["64 bytes from 192.0.2.1: seq=0 ttl=42 time=10.0 ms", 1, 10],
    ["64 bytes from 192.0.2.1: icmp_seq=0 ttl=57 time<1 ms", 1, 1],
    [
      "64 bytes from ::1: icmp_seq=1 ttl=64 time=2 ms\n64 bytes from ::1: icmp_seq=1 ttl=64 time=2 ms (DUP!)",
      1,
      2,
    ],
    ["From 10.0.0.1 icmp_seq=1 Destination Host Unreachable", 0, null],
  ])("what ping prints is counted: %j", (printed, received, rttMs) => {
    const unreachable = /Unreachable/.test(printed);
    expect(readPing(printed, 3)).toEqual({ sent: 3, received, rttMs, unreachable });
  });
});
