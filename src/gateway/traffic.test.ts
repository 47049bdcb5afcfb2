import { once } from "node:events";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ServerOptions, WebSocket, WebSocketServer } from "ws";
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
import { type HostRoute, readCounters, reloadGateway } from "./index.ts";

/** What a route may say beyond weights, with real processes: overrides, names, drains and holds. */
let gateway: TestGateway;
let apps: TestApp[];
const IDS = ["dpl_a", "dpl_b"];
const releases = () => Object.fromEntries(IDS.map((id) => [id, { socket: join(gateway.dir, `${id}.sock`) }]));
const serve = (route: HostRoute) => gateway.push({ "app.localhost": route }, releases());
const releaseOf = async (headers: Record<string, string> = {}, path = "/") =>
  (await fetchVia(gateway.port, path, { headers })).headers["x-signalbox-deployment"];
const split = (canary: number): HostRoute => ({
  targets: [
    { release: "dpl_a", weight: 100 - canary },
    { release: "dpl_b", weight: canary },
  ],
  rollout: "r1",
});
const later = () => Date.now() + 3_600_000;

/** The requests that the apps are working on; each ends when the test says so. */
let working: (() => void)[] = [];
let seen: string[] = [];
const respond: http.RequestListener = (req, res) => {
  seen.push(req.url ?? "");
  let length = 0;
  req.on("data", (chunk: Buffer) => {
    length += chunk.length;
  });
  req.on("end", () => {
    if (req.url === "/work") working.push(() => res.end("worked"));
    else if (req.url === "/events") {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write("data: hello\n\n");
    } else res.end(String(length));
  });
};

let sockets: WebSocketServer;
let onSocket: (socket: WebSocket) => void = () => {};
const webSockets = (options: ServerOptions = {}) => {
  sockets = new WebSocketServer({ noServer: true, ...options });
};
const connect = (options: object = {}) =>
  new WebSocket(`ws://127.0.0.1:${gateway.port}/`, { headers: { host: "app.localhost" }, ...options });

beforeAll(async () => {
  gateway = await startTestGateway({ drainTimeoutMs: 300 });
  apps = await Promise.all(
    IDS.map((id) =>
      startApp(join(gateway.dir, `${id}.sock`), respond, (req, socket, head) =>
        sockets.handleUpgrade(req, socket, head, (ws) => onSocket(ws)),
      ),
    ),
  );
  for (const id of IDS) writeSite(gateway.dir, id, { server: true });
});
beforeEach(() => {
  webSockets();
  onSocket = (socket) => socket.on("message", (data) => socket.send(String(data)));
  working = [];
  seen = [];
});
afterAll(async () => {
  for (const app of apps) await app.stop();
  await gateway[Symbol.asyncDispose]();
});

describe("a canary of weight 0", () => {
  it("is seen by those who ask for it, and by nobody else", async () => {
    await serve(split(0));
    const visits = await Promise.all(Array.from({ length: 30 }, () => releaseOf()));
    expect(new Set(visits)).toEqual(new Set(["dpl_a"]));
    expect(await releaseOf({ "x-signalbox-canary": "always" })).toBe("dpl_b");
    expect(await releaseOf({ cookie: "signalbox-canary=always" })).toBe("dpl_b");
    expect(await releaseOf({ "x-signalbox-canary": "never", cookie: "signalbox-canary=always" })).toBe(
      "dpl_a",
    );
  });

  it("is left by those who ask not to be in it; an override sets no cookie", async () => {
    await serve(split(99));
    const answer = await fetchVia(gateway.port, "/", { headers: { "x-signalbox-canary": "never" } });
    expect(answer.headers["x-signalbox-deployment"]).toBe("dpl_a");
    expect(answer.headers).not.toHaveProperty("set-cookie");
  });

  it("keeps the WebSockets of those who asked for it", async () => {
    await serve(split(0));
    const socket = connect({ headers: { host: "app.localhost", "x-signalbox-canary": "always" } });
    await once(socket, "open");
    await serve(split(5));
    // Longer than the drain of a stream that lost its release.
    await sleep(600);
    socket.send("kept");
    expect(String((await once(socket, "message"))[0])).toBe("kept");
    socket.terminate();
  });
});

describe("after a flip", () => {
  it("a visitor whose cookie names the old release keeps it while the route says so", async () => {
    await serve({ ...only("dpl_a"), sticky: true });
    const first = await fetchVia(gateway.port, "/");
    const cookie = first.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    await serve({ ...only("dpl_b"), sticky: true, draining: [{ release: "dpl_a", untilMs: later() }] });
    expect(await releaseOf({ cookie })).toBe("dpl_a");
    expect(await releaseOf()).toBe("dpl_b");
    await serve({ ...only("dpl_b"), sticky: true });
    const moved = await fetchVia(gateway.port, "/", { headers: { cookie } });
    expect(moved.headers["x-signalbox-deployment"]).toBe("dpl_b");
    expect(moved.headers["set-cookie"]?.[0]).toContain("dpl_b");
  });

  it("an old release answers requests that name it, but no page that is navigated to", async () => {
    await serve({ ...only("dpl_b"), nameable: [{ release: "dpl_a", untilMs: later() }] });
    expect(await releaseOf({}, "/x.js?dpl=dpl_a")).toBe("dpl_a");
    expect(await releaseOf({ "x-deployment-id": "dpl_a" })).toBe("dpl_a");
    expect(await releaseOf({ cookie: "__vdpl=dpl_a" })).toBe("dpl_a");
    expect(await releaseOf({ cookie: "__vdpl=dpl_a", "sec-fetch-dest": "document" })).toBe("dpl_b");
    expect(await releaseOf({}, "/x.js?dpl=dpl_gone")).toBe("dpl_b");
    await serve(only("dpl_b"));
    expect(await releaseOf({}, "/x.js?dpl=dpl_a")).toBe("dpl_b");
  });
});

describe("a WebSocket that is drained", () => {
  it.each([
    ["plain", false],
    ["compressed", true],
  ])("gets every message whole, then 1012: %s", async (_, perMessageDeflate) => {
    webSockets({ perMessageDeflate });
    // Fragments of one message after the other, as fast as they are taken, until the connection ends.
    const part = Buffer.alloc(200_000, "x");
    let isClosed = false;
    onSocket = (socket) => {
      socket.on("close", () => {
        isClosed = true;
      });
      const next = (index: number) => {
        if (isClosed) return;
        socket.send(part, { fin: index % 5 === 4, binary: true }, () => setImmediate(next, index + 1));
      };
      next(0);
    };
    await serve(only("dpl_a"));
    const client = connect({ perMessageDeflate });
    const lengths = new Set<number>();
    let messages = 0;
    const failures: Error[] = [];
    client.on("error", (error) => failures.push(error));
    client.on("message", (data: Buffer) => {
      lengths.add(data.length);
      messages++;
    });
    await until(() => messages > 2);
    await serve(only("dpl_b"));
    const [code] = (await once(client, "close")) as [number];
    expect({ code, failures, lengths: [...lengths] }).toEqual({
      code: 1012,
      failures: [],
      lengths: [1_000_000],
    });
    await until(() => isClosed);
  });

  it("tells the app why it ended", async () => {
    const code = Promise.withResolvers<number>();
    onSocket = (socket) => socket.on("close", code.resolve);
    await serve(only("dpl_a"));
    const client = connect();
    await once(client, "open");
    await serve(only("dpl_b"));
    expect(await code.promise).toBe(1012);
  });

  it("is closed in the same way when its worker is replaced, and an event stream just ends", async () => {
    await serve(only("dpl_a"));
    const client = connect();
    await once(client, "open");
    const events = fetchVia(gateway.port, "/events");
    await until(() => seen.includes("/events"));
    const closed = once(client, "close");
    await reloadGateway(gateway.adminSocket);
    expect((await closed)[0]).toBe(1012);
    expect(await events).toMatchObject({ status: 200, body: "data: hello\n\n" });
  });
});

describe("a hold", () => {
  const holding = (parts: Partial<NonNullable<HostRoute["hold"]>> = {}): HostRoute => ({
    ...only("dpl_a"),
    hold: { id: "hold_1", untilMs: Date.now() + 30_000, maxMs: 30_000, maxRequests: 100, ...parts },
  });

  it("lets what is in flight finish, and answers what came meanwhile once it is lifted", async () => {
    await serve(only("dpl_a"));
    const inFlight = fetchVia(gateway.port, "/work");
    await until(() => working.length === 1);
    await serve(holding());
    const waiting = ["/1", "/2", "/3"].map((path) =>
      fetchVia(gateway.port, path, { method: "POST", body: Buffer.alloc(300_000) }),
    );
    const socket = connect();
    socket.on("open", () => socket.send("hello"));
    const echo = once(socket, "message");
    working[0]?.();
    expect((await inFlight).body).toBe("worked");
    expect(seen).toEqual(["/work"]);
    const { dpl_a } = (await readCounters(gateway.adminSocket)).releases;
    expect(dpl_a).toMatchObject({ inFlight: 0 });
    await serve(only("dpl_b"));
    for (const answer of await Promise.all(waiting)) {
      expect(answer).toMatchObject({ status: 200, body: "300000" });
      expect(answer.headers["x-signalbox-deployment"]).toBe("dpl_b");
    }
    expect(String((await echo)[0])).toBe("hello");
    socket.terminate();
  });

  it("refuses more than may wait", async () => {
    // Two workers, one place each: of three requests at least one is refused, and one waits.
    await serve(holding({ maxRequests: 2 }));
    const answers = ["/1", "/2", "/3"].map((path) => fetchVia(gateway.port, path));
    expect(await Promise.race(answers)).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
    await serve(only("dpl_a"));
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 503).length).toBeLessThanOrEqual(2);
    expect(statuses).toContain(200);
  });

  it("that nobody lifts ends by itself: those that wait get a 503, and new ones pass", async () => {
    await serve(holding({ untilMs: Date.now() + 400 }));
    const held = await fetchVia(gateway.port, "/held");
    expect(held).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
    expect((await fetchVia(gateway.port, "/after")).status).toBe(200);
    expect(seen).toEqual(["/after"]);
  });

  it("forgets a visitor who does not wait", async () => {
    await serve(holding({ maxRequests: 2 }));
    for (let i = 0; i < 4; i++) {
      const request = http.get({ port: gateway.port, headers: { host: "app.localhost" }, agent: false });
      request.on("error", () => {});
      await once(request, "finish");
      await sleep(20);
      request.destroy();
      await sleep(20);
    }
    const answer = fetchVia(gateway.port, "/last");
    await serve(only("dpl_a"));
    expect((await answer).status).toBe(200);
    expect(seen).toEqual(["/last"]);
  });
});
