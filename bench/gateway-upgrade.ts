import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket, WebSocketServer } from "ws";
import { reloadGateway } from "../src/gateway/index.ts";
import { startGatewayProcess } from "./support/gateway.ts";
import { median } from "./support/proc.ts";
import type { Bench } from "./support/proxies.ts";

/**
 * Replaces the gateway's workers again and again under load: clients that keep their connections (GET and POST with a
 * body), clients with a new connection for each request, and WebSockets, which must be told to come again (1012).
 */
const RELOADS = 20;
const PAUSE_MS = 500;
const KEEP_ALIVE_CLIENTS = 16;
const FRESH_CLIENTS = 4;
const WEB_SOCKETS = 20;

type Seen = { requests: number; failures: string[]; reconnects: number };

export async function run() {
  const dir = mkdtempSync(join(tmpdir(), "bench-upgrade-"));
  chmodSync(dir, 0o755);
  const bench: Bench = { dir, upstreamSocket: join(dir, "app.sock"), host: "bench.localhost" };
  const app = await startApp(bench.upstreamSocket);
  const gateway = await startGatewayProcess(bench, 2);
  try {
    const keepAlive: Seen = { requests: 0, failures: [], reconnects: 0 };
    const fresh: Seen = { requests: 0, failures: [], reconnects: 0 };
    const webSockets: Seen = { requests: 0, failures: [], reconnects: 0 };
    const ended = new AbortController();
    const agent = new http.Agent({ keepAlive: true });
    const clients = [
      ...times(KEEP_ALIVE_CLIENTS, (i) => ask(gateway.port, bench.host, keepAlive, ended.signal, i, agent)),
      ...times(FRESH_CLIENTS, (i) => ask(gateway.port, bench.host, fresh, ended.signal, i, false)),
      ...times(WEB_SOCKETS, () => talk(gateway.port, bench.host, webSockets, ended.signal)),
    ];
    await sleep(PAUSE_MS);
    const reloadMs: number[] = [];
    for (let i = 0; i < RELOADS; i++) {
      const startedMs = performance.now();
      await reloadGateway(gateway.adminSocket);
      reloadMs.push(performance.now() - startedMs);
      await sleep(PAUSE_MS);
    }
    ended.abort();
    await Promise.all(clients);
    agent.destroy();
    return summarize({ keepAlive, fresh, webSockets }, reloadMs);
  } finally {
    await gateway.stop();
    app.closeAllConnections();
    app.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function summarize(seen: Record<string, Seen>, reloadMs: number[]) {
  const failures = Object.entries(seen).flatMap(([kind, { failures }]) =>
    failures.map((text) => `${kind}: ${text}`),
  );
  return {
    name: "gateway-upgrade",
    unit: "failed requests",
    ours: failures.length,
    peers: {},
    ratios: {},
    target: `0 over ${RELOADS} reloads`,
    pass: failures.length === 0 && Object.values(seen).every(({ requests }) => requests > RELOADS),
    requests: Object.fromEntries(Object.entries(seen).map(([kind, { requests }]) => [kind, requests])),
    webSocketReconnects: seen.webSockets?.reconnects,
    reloadP50Ms: Math.round(median(reloadMs)),
    failures: failures.slice(0, 10),
    node: process.version,
  };
}

/** The app counts what it is sent and echoes what WebSockets say. */
async function startApp(socket: string): Promise<http.Server> {
  const server = http.createServer((req, res) => {
    let length = 0;
    req.on("data", (chunk: Buffer) => {
      length += chunk.length;
    });
    req.on("end", () => res.end(String(length)));
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (req, client, head) =>
    sockets.handleUpgrade(req, client, head, (ws) => ws.on("message", (data) => ws.send(String(data)))),
  );
  server.listen(socket);
  await once(server, "listening");
  return server;
}

/** One client: request after request, every other one a POST. */
async function ask(
  port: number,
  host: string,
  seen: Seen,
  signal: AbortSignal,
  index: number,
  agent: http.Agent | false,
): Promise<void> {
  const body = Buffer.alloc(10_000, "b");
  for (let i = index; !signal.aborted; i++) {
    const post = i % 2 === 0;
    try {
      const answer = await request(port, host, agent, post ? body : null);
      if (answer !== `200 ${post ? body.length : 0}`) seen.failures.push(answer);
    } catch (error) {
      seen.failures.push(String(error));
    }
    seen.requests++;
    // A pause now and then: idle connections are the ones that a careless shutdown closes under a request.
    if (i % 16 === 0) await sleep(i % 50);
  }
}

function request(
  port: number,
  host: string,
  agent: http.Agent | false,
  body: Buffer | null,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const method = body === null ? "GET" : "POST";
  const sent = http.request({ host: "127.0.0.1", port, agent, method, headers: { host } }, (response) => {
    let text = "";
    response.on("data", (chunk) => {
      text += chunk;
    });
    response.once("error", reject);
    response.once("end", () => resolve(`${response.statusCode} ${text}`));
  });
  sent.once("error", reject);
  sent.end(body ?? undefined);
  return promise;
}

/** One visitor with a WebSocket, who comes again when told to. Anything but 1012, and any lost echo, is a failure. */
async function talk(port: number, host: string, seen: Seen, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host } });
    const closed = once(socket, "close").catch(String);
    try {
      await once(socket, "open");
      while (socket.readyState === WebSocket.OPEN && !signal.aborted) {
        socket.send("hello");
        const heard = await Promise.race([once(socket, "message"), closed.then(() => null)]);
        if (heard === null) break;
        if (String(heard[0]) !== "hello") seen.failures.push(`echoed ${heard[0]}`);
        seen.requests++;
        await sleep(20);
      }
      if (signal.aborted) socket.close(1000);
      const outcome = await closed;
      const code = Array.isArray(outcome) ? outcome[0] : outcome;
      if (!signal.aborted && code !== 1012) seen.failures.push(`closed with ${code}`);
      seen.reconnects++;
    } catch (error) {
      seen.failures.push(String(error));
    }
  }
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
