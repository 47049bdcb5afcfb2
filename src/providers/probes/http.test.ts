import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, type Identity, makeCertificates } from "../../../test/support/certificates.ts";
import { freePort, openSockets, probing, rawServer } from "../../../test/support/probing.ts";
import { http } from "./http.ts";

async function serve(listener: RequestListener, identity: Identity | null = null) {
  const server = identity === null ? createServer(listener) : https.createServer(identity, listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { port, url: `http://127.0.0.1:${port}/`, [Symbol.dispose]: close };
}

const raw = (text: string) => rawServer((socket) => socket.once("data", () => socket.write(text)));
const ask = (url: string, more: object = {}, options = {}) => probing(http, { url, ...more }, options);
const failed = (name: string, message: RegExp) => ({
  status: "down",
  failure: { class: name, message: expect.stringMatching(message) },
});

describe("a request", () => {
  test("says who asks, asks for no encoding, and keeps the host's name of what is under .localhost", async () => {
    let seen: { method?: string; headers?: Record<string, unknown>; body?: string } = {};
    using app = await serve(async (request, response) => {
      const parts = await Array.fromAsync(request);
      seen = {
        method: request.method ?? "",
        headers: request.headers,
        body: Buffer.concat(parts).toString(),
      };
      response.end("thanks");
    });
    const url = `http://shop.localhost:${app.port}/in?token=x`;
    const result = await ask(url, { method: "POST", headers: { Authorization: "Bearer t" }, body: "grüße" });
    expect(result).toMatchObject({ status: "up", observed: { status: 200, bytes: 6, address: "127.0.0.1" } });
    expect(seen).toMatchObject({
      method: "POST",
      body: "grüße",
      headers: {
        host: `shop.localhost:${app.port}`,
        "user-agent": "signalbox-probe",
        "x-signalbox-probe": "1",
        "accept-encoding": "identity",
        authorization: "Bearer t",
      },
    });
    expect(http.subject(http.settings.parse({ url }))).toBe(`http://shop.localhost:${app.port}/in`);
  });

  test("has phases that the server's own clock agrees with", async () => {
    using app = await serve((_request, response) => {
      setTimeout(() => response.write("a"), 60);
      setTimeout(() => response.end("b"), 120);
    });
    const { phases = {} } = await ask(app.url);
    expect(phases.firstByteMs).toBeGreaterThan(55);
    expect(phases.transferMs).toBeGreaterThan(50);
    expect(phases.dnsMs).toBeLessThan(55);
    expect(phases.connectMs).toBeLessThan(55);
  });

  test("is refused where its settings cannot be sent, or its address would show a password", () => {
    const refused = (more: object) => http.settings.safeParse({ url: "https://a.example/", ...more }).success;
    expect(refused({})).toBe(true);
    expect(refused({ url: "https://me:pw@a.example/" })).toBe(false);
    expect(refused({ url: "file:///etc/passwd" })).toBe(false);
    expect(refused({ headers: { "x-a": "1\r\nx-b: 2" } })).toBe(false);
    expect(refused({ headers: { "Content-Length": "5" } })).toBe(false);
    expect(refused({ expect: { matches: "(" } })).toBe(false);
    expect(refused({ expect: { json: "$.a = 1" } })).toBe(false);
    expect(refused({ expect: { status: "2xx" } })).toBe(false);
    expect(refused({ nosuch: 1 })).toBe(false);
  });
});

describe("an answer", () => {
  test.each([
    [200, "200-299", "up"],
    [503, "200-299", "status"],
    [503, 503, "up"],
    [404, [200, "400-404"], "up"],
    [405, [200, "400-404"], "status"],
  ] as const)("of status %i where %j is asked for: %s", async (status, asked, expected) => {
    using app = await serve((_request, response) => response.writeHead(status).end());
    const result = await ask(app.url, { expect: { status: asked } });
    expect(result.failure?.class ?? result.status).toBe(expected);
    expect(result.observed).toMatchObject({ status });
  });

  test.each([
    [{ contains: ["ready", "größe"] }, null],
    [{ contains: "Ready" }, /does not contain "Ready"/],
    [{ lacks: "error" }, null],
    [{ lacks: ["x", "ready"] }, /contains "ready"/],
    [{ matches: "depth\\W+\\d+" }, null],
    [{ matches: "depth\\W+[a-z]" }, /does not match the body/],
    [{ json: ['$.status == "ready"', "$.queue.depth < 10", "$.list[1] == 2", "$.list.length >= 2"] }, null],
    [{ json: "$.queue.depth < 7" }, /\$\.queue\.depth < 7 does not hold: it is 7/],
    [{ json: ['$["größe"] exists', "$.error missing", "$.none == null"] }, null],
    [{ json: "$.queue.age exists" }, /there is none/],
    [{ json: "$.toString exists" }, /there is none/],
    [{ headers: { "X-Version": "7.1" } }, null],
    [{ headers: { "x-version": "7.2" } }, /header x-version is "7.1", not "7.2"/],
    [{ headers: { "x-version": { matches: "^7\\." } } }, null],
    [{ headers: { "x-none": "1" } }, /has no header x-none/],
  ])("is looked into: %j", async (asked, message) => {
    const body = { status: "ready", queue: { depth: 7 }, list: [1, 2], größe: 1, none: null };
    using app = await serve((_request, response) =>
      response.writeHead(200, { "x-version": "7.1" }).end(JSON.stringify(body)),
    );
    const result = await ask(app.url, { expect: asked });
    if (message === null) expect(result.status).toBe("up");
    else expect(result).toMatchObject(failed("assertion", message));
  });

  test("that is no JSON, or encoded after all, is none that was asked for", async () => {
    using app = await serve((request, response) =>
      response.writeHead(200, request.url === "/gzip" ? { "content-encoding": "gzip" } : {}).end("<html>"),
    );
    expect(await ask(app.url, { expect: { json: "$ exists" } })).toMatchObject(
      failed("assertion", /no JSON/),
    );
    expect(await ask(`${app.url}gzip`, { expect: { contains: "a" } })).toMatchObject(
      failed("protocol", /gzip/),
    );
  });

  test("on which a pattern would take hours is given up, and is no verdict on the service", async () => {
    using app = await serve((_request, response) => response.end("a".repeat(70_000)));
    const result = await ask(app.url, { expect: { matches: "^(a+)+$b" } });
    expect(result).toMatchObject(failed("unsupported", /took longer than 25 ms/));
  });

  test("larger than is read, by its length or by its chunks, is too large, and not read on", async () => {
    using app = await serve((request, response) => {
      if (request.url === "/length")
        return void response.writeHead(200, { "content-length": 1e9 }).flushHeaders();
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on("drain", more);
      more();
    });
    expect(await ask(app.url)).toMatchObject(failed("too_large", /larger than 1048576 bytes/));
    expect(await ask(`${app.url}length`)).toMatchObject(failed("too_large", /larger/));
  });
});

describe("redirects", () => {
  async function redirecting() {
    const asked: string[] = [];
    const app = await serve((request, response) => {
      const { url = "", method, headers } = request;
      asked.push(`${method} ${url} ${headers.authorization ?? "-"}`);
      const [, kind, to] = url.split("/");
      if (kind === "end") return void response.end("here");
      const status = kind === "see" ? 303 : kind === "keep" ? 307 : 302;
      const other = `http://localhost:${(app as { port: number }).port}/end`;
      const next = kind === "n" ? `/n/${Number(to) + 1}` : kind === "circle" ? "/circle" : "/end";
      response.writeHead(status, { location: kind === "away" || kind === "keep" ? other : next }).end();
    });
    return { ...app, asked };
  }

  test("are answers unless they are to be followed", async () => {
    using app = await redirecting();
    expect(await ask(`${app.url}a`)).toMatchObject(
      failed("status", /302, not 200-299; it redirects, and `follow`/),
    );
    const followed = await ask(`${app.url}a`, { follow: 1, expect: { contains: "here" } });
    expect(followed).toMatchObject({ status: "up", observed: { redirects: 1, status: 200 } });
  });

  test("in a circle, or too many, end the probe", async () => {
    using app = await redirecting();
    expect(await ask(`${app.url}circle`, { follow: 5 })).toMatchObject(failed("redirects", /in a circle/));
    expect(app.asked.length).toBe(1);
    expect(await ask(`${app.url}n/0`, { follow: 3 })).toMatchObject(
      failed("redirects", /more redirects than the 3/),
    );
    expect(app.asked.length).toBe(1 + 4);
  });

  test("to another origin take no credentials along, and no body", async () => {
    using app = await redirecting();
    const headers = { authorization: "Bearer t" };
    expect(await ask(`${app.url}away`, { follow: 1, headers })).toMatchObject({ status: "up" });
    expect(app.asked).toEqual(["GET /away Bearer t", "GET /end -"]);
    const withBody = { follow: 1, headers, method: "POST", body: "secret" };
    expect(await ask(`${app.url}keep`, withBody)).toMatchObject(failed("redirects", /body/));
    app.asked.length = 0;
    await ask(`${app.url}see`, withBody);
    expect(app.asked).toEqual(["POST /see Bearer t", "GET /end Bearer t"]);
  });

  test("are guarded, also from an address of ours to one that is not", async () => {
    using app = await serve((_request, response) =>
      response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" }).end(),
    );
    expect(await ask(app.url, { follow: 1 })).toMatchObject(failed("blocked", /169\.254\.169\.254/));
    expect(await ask(app.url, { follow: 1 }, { network: null })).toMatchObject(failed("blocked", /169\.254/));
  });
});

describe("certificates", () => {
  let made: Certificates;
  beforeAll(async () => {
    made = await makeCertificates();
  });

  test.each([
    ["expired", "certificate", /it expired on \d{4}-\d\d-\d\d, \d days ago/],
    ["notYet", "certificate", /it is not valid before 20/],
    ["otherName", "certificate", /it is for shop\.example\.com, not for localhost/],
    ["selfSigned", "certificate", /it is signed by itself/],
  ] as const)("%s: %s, before anything was sent", async (kind, name, message) => {
    let requests = 0;
    using app = await serve(() => requests++, made[kind]);
    const url = `https://localhost:${app.port}/`;
    expect(await ask(url, { ca: made.ca })).toMatchObject(failed(name, message));
    expect(requests).toBe(0);
  });

  test("by nobody who is known here say whom to add; with `insecure` any will do", async () => {
    using app = await serve((_request, response) => response.end(), made.good);
    const url = `https://localhost:${app.port}/`;
    expect(await ask(url)).toMatchObject(
      failed("certificate", /issuer is not known here \(Test authority\)/),
    );
    expect(await ask(url, { insecure: true })).toMatchObject({ status: "up" });
    const good = await ask(url, { ca: made.ca });
    expect(good).toMatchObject({ status: "up", observed: { certificateDaysLeft: 90 } });
    expect(good.phases?.tlsMs).toBeGreaterThan(0);
  });

  test("near their end degrade, from the day that is asked for", async () => {
    using app = await serve((_request, response) => response.end(), made.soon);
    const url = `https://localhost:${app.port}/`;
    const soon = {
      status: "degraded",
      failure: { class: "certificate", message: expect.stringContaining("in 5 days") },
    };
    expect(await ask(url, { ca: made.ca })).toMatchObject(soon);
    expect(await ask(url, { ca: made.ca, certificateDays: 3 })).toMatchObject({ status: "up" });
  });

  test("a server that wants one of ours says so only after the handshake: no TLS with it", async () => {
    const wanting = { ...made.good, requestCert: true, rejectUnauthorized: true, ca: made.ca };
    using app = await serve((_request, response) => response.end(), wanting);
    const result = await ask(`https://localhost:${app.port}/`, { ca: made.ca });
    expect(result).toMatchObject(failed("tls", /certificate required/));
  });

  test("a peer that speaks no TLS, or breaks the handshake off", async () => {
    await using plain = await raw("HTTP/1.1 400 Bad Request\r\n\r\n");
    expect(await ask(`https://127.0.0.1:${plain.port}/`)).toMatchObject(failed("tls", /is no TLS/));
    await using breaking = await rawServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
    expect(await ask(`https://127.0.0.1:${breaking.port}/`)).toMatchObject(failed("reset", /during the TLS/));
    await using silent = await rawServer(() => {});
    const late = await ask(`https://127.0.0.1:${silent.port}/`, {}, { timeoutMs: 80 });
    expect(late).toMatchObject(failed("timeout", /connected, and no TLS handshake within \d+ ms/));
  });
});

describe("no answer", () => {
  test("nobody listens", async () => {
    const url = `http://127.0.0.1:${await freePort()}/`;
    expect(await ask(url)).toMatchObject(failed("refused", /nobody listens there \(ECONNREFUSED/));
  });

  test("no such host, and one that the guard refuses", async () => {
    expect(await ask("http://nothing.invalid/")).toMatchObject(failed("dns", /nothing\.invalid/));
    const guarded = { network: { allowNetworks: [] } };
    expect(await ask("http://127.0.0.1:1/", {}, guarded)).toMatchObject(failed("blocked", /127\.0\.0\.1/));
  });

  test.each([
    ["", "no answer", /connected, and no answer within \d+ ms/],
    [
      "HTTP/1.1 200 OK\r\nconte",
      "half a head",
      /began \d+ ms after the request, and stopped before its head was whole/,
    ],
    ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "a body", /stopped after 3 bytes of its body, of 9/],
  ])("hangs after %j (%s)", async (text, _what, message) => {
    await using server = await raw(text);
    const late = await ask(`http://127.0.0.1:${server.port}/`, {}, { timeoutMs: 80 });
    expect(late).toMatchObject(failed("timeout", message));
  });

  test.each([
    ["", /closed the connection without an answer/],
    ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", /cut its answer off after 3 bytes of its body, of 9/],
    [
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
      /cut its answer off after 2 bytes of its body\./,
    ],
  ])("is closed after %j", async (text, message) => {
    await using server = await rawServer((socket) => socket.once("data", () => socket.end(text)));
    expect(await ask(`http://127.0.0.1:${server.port}/`)).toMatchObject(failed("reset", message));
  });

  test("is reset in the middle of a body", async () => {
    await using server = await rawServer((socket) =>
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", () => socket.resetAndDestroy());
      }),
    );
    expect(await ask(`http://127.0.0.1:${server.port}/`)).toMatchObject(failed("reset", /^127/));
  });

  test.each([
    "SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef",
    "HTTP/2 200\r\n\r\n",
  ])("is no HTTP/1.1: %j", async (text) => {
    await using server = await raw(text);
    const result = await ask(`http://127.0.0.1:${server.port}/`);
    expect(result).toMatchObject(failed("protocol", /is no HTTP\/1\.1/));
  });

  test("a probe that nobody waits for any more leaves no socket", async () => {
    await using server = await rawServer(() => {});
    const before = openSockets();
    const abort = new AbortController();
    const url = `http://127.0.0.1:${server.port}/`;
    const running = Array.from({ length: 10 }, () => ask(url, {}, { signal: abort.signal }));
    await server.open(10);
    abort.abort();
    await Promise.all(running);
    await server.open(0);
    expect(openSockets()).toBeLessThanOrEqual(before);
  });
});

describe("a process that serves", () => {
  let app: ChildProcess;
  let url: string;
  beforeAll(async () => {
    app = fork(join(import.meta.dirname, "../../../test/support/serving.mjs"), { execArgv: [] });
    const [port] = (await once(app, "message")) as [number];
    url = `http://127.0.0.1:${port}/`;
  });
  afterAll(() => void app.kill("SIGKILL"));

  test("is frozen, goes on, and is killed", async () => {
    expect(await ask(url)).toMatchObject({ status: "up" });
    app.kill("SIGSTOP");
    // The kernel still takes connections for it.
    expect(await ask(url, {}, { timeoutMs: 80 })).toMatchObject(
      failed("timeout", /connected, and no answer/),
    );
    app.kill("SIGCONT");
    expect(await ask(url)).toMatchObject({ status: "up" });
    const asked = ask(`${url}hang`);
    await once(app, "message");
    const exited = once(app, "exit");
    app.kill("SIGKILL");
    expect(await asked).toMatchObject(failed("reset", /reset the connection|without an answer/));
    await exited;
    expect(await ask(url)).toMatchObject(failed("refused", /nobody listens/));
  });
});
