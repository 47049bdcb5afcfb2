import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  fetchVia,
  only,
  startApp,
  startTestGateway,
  type TestApp,
  type TestGateway,
  until,
  writeSite,
} from "../../test/support/gateway.ts";
import { readCounters } from "./index.ts";

let gateway: TestGateway;
let app: TestApp;
const sockets = new WebSocketServer({ noServer: true });
sockets.on("connection", (socket) => {
  socket.send("hello");
  socket.on("message", (data) => socket.send(`echo ${data}`));
});

beforeAll(async () => {
  gateway = await startTestGateway();
  const { dir } = gateway;
  app = await startApp(join(dir, "app.sock"), respond, (req, socket, head) => {
    if (req.url === "/refuse") socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    else sockets.handleUpgrade(req, socket, head, (ws) => sockets.emit("connection", ws, req));
  });
  writeSite(dir, "dpl_app", { server: true });
  writeSite(dir, "dpl_mixed", { server: true, files: { "/asset.js": { text: "asset", immutable: true } } });
  writeSite(dir, "dpl_gone", { server: true });
  writeSite(dir, "dpl_asleep", { server: true });
  writeSite(dir, "dpl_site", {
    files: {
      "/index.html": { text: "home", br: "HOME" },
      "/docs/index.html": { text: "docs" },
      "/404.html": { text: "lost" },
      "/big.bin": { text: "0123456789".repeat(100_000), type: "application/octet-stream" },
      "/lost.html": { text: "whose bytes are missing" },
    },
  });
  await gateway.push(
    {
      "app.localhost": only("dpl_app"),
      "mixed.localhost": only("dpl_mixed"),
      "gone.localhost": only("dpl_gone"),
      "asleep.localhost": only("dpl_asleep"),
      "site.localhost": only("dpl_site"),
      "unreadable.localhost": only("dpl_unreadable"),
    },
    {
      dpl_app: { socket: app.socket },
      dpl_mixed: { socket: app.socket },
      dpl_gone: { socket: join(dir, "nobody.sock") },
      dpl_asleep: {},
      dpl_site: {},
      dpl_unreadable: {},
    },
  );
});

afterAll(async () => {
  await app.stop();
  await gateway[Symbol.asyncDispose]();
});

/** What the app does, by path. */
function respond(req: http.IncomingMessage, res: http.ServerResponse): void {
  if (req.url === "/hang-up") return void req.socket.destroy();
  if (req.url === "/early") return void res.writeHead(413, { "content-length": "5" }).end("large");
  if (req.url === "/large") return void res.end(Buffer.alloc(5_000_000, "x"));
  if (req.url === "/hop") {
    const headers = { connection: "x-hop", "x-hop": "1", "x-kept": "2", "x-signalbox-deployment": "forged" };
    return void res.writeHead(200, headers).end();
  }
  if (req.url === "/events") {
    res.writeHead(200, { "content-type": "text/event-stream" });
    return void res.flushHeaders();
  }
  if (req.url === "/slow-head") {
    res.writeHead(200, { "content-length": "4000000" });
    return void res.flushHeaders();
  }
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => {
    const body = Buffer.concat(chunks);
    res.setHeader("content-type", "application/json");
    res.end(
      JSON.stringify({
        method: req.method,
        url: req.url,
        headers: req.headers,
        length: body.length,
        body: `${body}`.slice(0, 99),
      }),
    );
  });
}

const via = (path: string, options: Parameters<typeof fetchVia>[2] = {}) =>
  fetchVia(gateway.port, path, options);

/** Sends bytes as they are, and returns all that comes back. */
async function raw(text: string): Promise<string> {
  const socket = net.connect(gateway.port, "127.0.0.1");
  socket.setEncoding("latin1");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  socket.on("error", () => {});
  socket.write(text);
  await once(socket, "close");
  return answer;
}

describe("requests to a process", () => {
  it("arrive whole: method, path as sent, query and headers; the answer names the release", async () => {
    const answer = await via("/a%2Fb/../c?q=1", { method: "PATCH", body: "text", headers: { "x-own": "1" } });
    expect(answer.headers["x-signalbox-deployment"]).toBe("dpl_app");
    expect(JSON.parse(answer.body)).toMatchObject({
      method: "PATCH",
      url: "/a%2Fb/../c?q=1",
      body: "text",
      headers: {
        host: "app.localhost",
        "x-own": "1",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-host": "app.localhost",
        "x-forwarded-proto": "http",
        forwarded: 'for=127.0.0.1;host="app.localhost";proto=http',
      },
    });
  });

  it("carry bodies of any size, with a length and in chunks", async () => {
    const body = Buffer.alloc(3_000_000, "y");
    expect(JSON.parse((await via("/", { method: "POST", body })).body).length).toBe(body.length);
    const chunked = await via("/", { method: "POST", body, headers: { "transfer-encoding": "chunked" } });
    expect(JSON.parse(chunked.body).length).toBe(body.length);
  });

  it("get large answers whole", async () => {
    expect((await via("/large")).body.length).toBe(5_000_000);
  });

  it("lose what only a proxy may say, and answers lose what is hop-by-hop", async () => {
    const headers = {
      "x-forwarded-for": "9.9.9.9",
      forwarded: "for=9.9.9.9",
      proxy: "http://evil",
      te: "trailers",
    };
    const seen = JSON.parse((await via("/", { headers })).body).headers;
    expect(seen["x-forwarded-for"]).toBe("127.0.0.1");
    expect(seen).not.toHaveProperty("proxy");
    expect(seen).not.toHaveProperty("te");
    const hop = await via("/hop");
    expect(hop.headers["x-kept"]).toBe("2");
    expect(hop.headers["x-signalbox-deployment"]).toBe("dpl_app");
    expect(hop.headers).not.toHaveProperty("x-hop");
  });

  it("get the head of an answer before its body is there", async () => {
    for (const path of ["/events", "/slow-head"]) {
      const request = http.get({
        port: gateway.port,
        path,
        headers: { host: "app.localhost" },
        agent: false,
      });
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      expect(response.statusCode).toBe(200);
      request.on("error", () => {});
      request.destroy();
    }
  });

  it("end at the app when the client goes away", async () => {
    const request = http.get({
      port: gateway.port,
      path: "/events",
      headers: { host: "app.localhost" },
      agent: false,
    });
    await once(request, "response");
    request.on("error", () => {});
    request.destroy();
    await until(async () => (await readCounters(gateway.adminSocket)).releases.dpl_app?.inFlight === 0);
  });

  it("that are refused before their upload ended keep the connection usable", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const body = Buffer.alloc(2_000_000, "z");
    expect(await via("/early", { method: "POST", body, agent })).toMatchObject({
      status: 413,
      body: "large",
    });
    expect((await via("/", { agent })).status).toBe(200);
    agent.destroy();
  });

  it("are sent on when the app has closed its idle connections, a POST as well", async () => {
    for (let i = 0; i < 5; i++) {
      await via("/");
      app.closeIdle();
      const answer = await via("/", { method: "POST", body: "again" });
      expect(JSON.parse(answer.body).body).toBe("again");
    }
  });

  it("of a visitor who reads slowly do not hold up those of others", async () => {
    const slow = http.get({
      port: gateway.port,
      path: "/large",
      headers: { host: "app.localhost" },
      agent: false,
    });
    const [response] = (await once(slow, "response")) as [http.IncomingMessage];
    response.pause();
    for (let i = 0; i < 20; i++) expect((await via("/")).status).toBe(200);
    let length = 0;
    response.on("data", (chunk: Buffer) => {
      length += chunk.length;
    });
    response.resume();
    await once(response, "end");
    expect(length).toBe(5_000_000);
  });

  it("are answered without a body where there is none", async () => {
    const head = await via("/", { method: "HEAD" });
    expect(head).toMatchObject({ status: 200, body: "" });
    expect(JSON.parse((await via("/after")).body).url).toBe("/after");
  });
});

describe("WebSockets", () => {
  const connect = (path = "/") =>
    new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, { headers: { host: "app.localhost" } });

  it("are spliced through and count as in flight", async () => {
    const socket = connect();
    expect(String((await once(socket, "message"))[0])).toBe("hello");
    socket.send("there");
    expect(String((await once(socket, "message"))[0])).toBe("echo there");
    await until(async () => (await readCounters(gateway.adminSocket)).releases.dpl_app?.inFlight === 1);
    socket.close();
    await once(socket, "close");
    await until(async () => (await readCounters(gateway.adminSocket)).releases.dpl_app?.inFlight === 0);
  });

  it("that the app declines get the app's answer", async () => {
    const socket = connect("/refuse");
    socket.on("error", () => {});
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, http.IncomingMessage];
    expect(response.statusCode).toBe(403);
    socket.terminate();
  });
});

describe("failures", () => {
  it("of an app that hangs up are a 502 that says so, in the form that was asked for", async () => {
    const page = await via("/hang-up", { method: "POST", body: "x", headers: { accept: "text/html" } });
    expect(page).toMatchObject({ status: 502, headers: { "content-type": "text/html; charset=utf-8" } });
    expect(page.body).toContain("hung up");
    expect(page.body).not.toContain("<script");
    const json = await via("/hang-up", { headers: { accept: "application/json" } });
    expect(JSON.parse(json.body).error.code).toBe("app_hung_up");
  });

  it("to connect are a 502 after a while; a release without a process is a 503 at once", async () => {
    expect((await via("/", { host: "gone.localhost" })).status).toBe(502);
    const asleep = await via("/", { host: "asleep.localhost" });
    expect(asleep).toMatchObject({ status: 503, headers: { "retry-after": "2" } });
  });

  it("of a missing manifest or missing bytes are a 502, and counted", async () => {
    expect((await via("/", { host: "unreadable.localhost" })).status).toBe(502);
    const manifest = JSON.parse(readFileSync(join(gateway.dir, "dpl_site.json"), "utf8"));
    const { digest } = manifest.files["/lost.html"];
    writeFileSync(join(gateway.dir, "store", digest.slice(0, 2), digest.slice(2)), "cut");
    expect((await via("/lost.html", { host: "site.localhost" })).status).toBe(502);
    expect((await readCounters(gateway.adminSocket)).releases.dpl_site?.errors5xx).toBe(1);
  });

  it("of unknown hosts are a 404 that names no other host", async () => {
    const answer = await via("/", { host: "nobody.localhost" });
    expect(answer.status).toBe(404);
    expect(answer.body).not.toContain("app.localhost");
  });

  it.each([
    ["no host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
    ["no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"],
    ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"],
    [
      "two ways to end",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"],
    ["a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n"],
    ["a target that is none", "OPTIONS * HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n"],
  ])("of a request with %s are a 400", async (_, request) => {
    expect(await raw(request)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("of a head that is too large are a 431", async () => {
    const request = `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`;
    expect(await raw(request)).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe("an app that breaks the protocol", () => {
  /** Serves one connection after the other with the bytes given. */
  const misbehave = async (name: string, bytes: string) => {
    const path = join(gateway.dir, `${name}.sock`);
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(bytes, "latin1"));
    });
    server.listen(path);
    await once(server, "listening");
    return { server, path };
  };

  it.each([
    ["garbage", "hello\r\n\r\n"],
    ["two-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    ["split", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"],
    ["space-name", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"],
    ["cut-head", "HTTP/1.1 200 OK\r\nX: y"],
  ])("with %s is a 502", async (name, bytes) => {
    const { server, path } = await misbehave(name, bytes);
    const { answer } = await direct(path);
    expect(answer).toMatchObject({ status: 502 });
    server.close();
  });

  it("with an answer cut short never looks whole to the visitor", async () => {
    const { server, path } = await misbehave("cut", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc");
    const { answer, error } = await direct(path);
    expect(answer).toBeNull();
    expect(String(error)).toMatch(/aborted|hang up|ECONNRESET/);
    server.close();
  });
});

/** One request through a gateway of its own to an app at `socket`. */
async function direct(socket: string) {
  await using other = await startTestGateway({ workers: 1 });
  writeSite(other.dir, "dpl_x", { server: true });
  await other.push({ "app.localhost": only("dpl_x") }, { dpl_x: { socket } });
  // Awaited here, or the gateway would be stopped first.
  return await fetchVia(other.port, "/").then(
    (answer) => ({ answer, error: null }),
    (error: unknown) => ({ answer: null, error }),
  );
}

describe("static sites", () => {
  const site = (path: string, options: Parameters<typeof fetchVia>[2] = {}) =>
    via(path, { host: "site.localhost", ...options });

  it("are served with precompressed variants, tags and ranges", async () => {
    const plain = await site("/");
    expect(plain).toMatchObject({
      status: 200,
      body: "home",
      headers: { "x-signalbox-deployment": "dpl_site" },
    });
    const packed = await site("/", { headers: { "accept-encoding": "br" } });
    expect(packed).toMatchObject({ body: "HOME", headers: { "content-encoding": "br" } });
    const again = await site("/", { headers: { "if-none-match": plain.headers.etag ?? "" } });
    expect(again).toMatchObject({ status: 304, body: "" });
  });

  it("stream large files, whole and in part", async () => {
    expect((await site("/big.bin")).body.length).toBe(1_000_000);
    const part = await site("/big.bin", { headers: { range: "bytes=999995-" } });
    expect(part).toMatchObject({
      status: 206,
      body: "56789",
      headers: { "content-range": "bytes 999995-999999/1000000" },
    });
    expect((await site("/big.bin", { method: "HEAD" })).headers["content-length"]).toBe("1000000");
    expect((await site("/big.bin", { headers: { range: "bytes=9000000-" } })).status).toBe(416);
  });

  it("redirect a folder to its slash with the query kept, and show their own 404 page", async () => {
    expect(await site("/docs?a=1")).toMatchObject({ status: 308, headers: { location: "/docs/?a=1" } });
    expect((await site("/docs/")).body).toBe("docs");
    expect(await site("/none")).toMatchObject({ status: 404, body: "lost" });
    expect((await site("/", { method: "POST" })).status).toBe(405);
  });

  it.each([
    "/../../etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/%00",
    "/%",
  ])("give nothing away for %s", async (path) => {
    const answer = await site(path);
    expect([400, 404]).toContain(answer.status);
    expect(answer.body).not.toContain("root:");
  });

  it("and processes share a release: files first, the rest to the app", async () => {
    const asset = await via("/asset.js", { host: "mixed.localhost" });
    expect(asset).toMatchObject({
      body: "asset",
      headers: { "cache-control": "public, max-age=31536000, immutable" },
    });
    expect(JSON.parse((await via("/api", { host: "mixed.localhost" })).body).url).toBe("/api");
    expect(
      JSON.parse((await via("/asset.js", { host: "mixed.localhost", method: "POST" })).body).method,
    ).toBe("POST");
  });
});

it("the access log has a line for each request, without its query", async () => {
  await via("/logged?token=secret");
  const read = () => readFileSync(join(gateway.dir, "access.log"), "utf8");
  await until(() => read().includes("/logged"));
  const line = read()
    .split("\n")
    .find((text) => text.includes("/logged"));
  expect(JSON.parse(line ?? "")).toMatchObject({
    host: "app.localhost",
    method: "GET",
    status: 200,
    release: "dpl_app",
  });
  expect(read()).not.toContain("secret");
});
