import { EventEmitter, once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";

export type DoubleSession = { status: string; region?: string; projectId?: string; createdAt?: string };

/**
 * Browserbase's HTTP API as far as the probe meets it: projects, and sessions that are created, listed and ended, with
 * its key, its statuses and its errors. Source: docs.browserbase.com/reference/api
 */
export async function browserbaseDouble(
  options: { concurrency?: number; projects?: string[]; tls?: https.ServerOptions } = {},
) {
  const { concurrency = 3, projects = ["project_1"] } = options;
  const sessions: Record<string, unknown>[] = [];
  const state = { fail: null as null | { status: number; body: string }, keys: [] as unknown[] };
  const add = ({ status, region = "us-west-2", projectId = "project_1", createdAt }: DoubleSession) => {
    const at = createdAt ?? new Date(Date.UTC(2026, 0, 1, 0, 0, sessions.length)).toISOString();
    const id = `session_${sessions.length + 1}`;
    const times = { createdAt: at, updatedAt: at, startedAt: at, expiresAt: at };
    const session = { id, projectId, region, status, keepAlive: false, proxyBytes: 0, ...times };
    sessions.push(session);
    return session;
  };
  const answer = (method: string, url: URL, body: Record<string, string>): [number, unknown] => {
    const [, , kind, id] = url.pathname.split("/");
    const status = url.searchParams.get("status");
    if (kind === "projects" && id === undefined)
      return [200, projects.map((each) => project(each, concurrency))];
    if (kind === "projects" && id !== undefined && projects.includes(id))
      return [200, project(id, concurrency)];
    if (kind !== "sessions") return [404, problem(404, "Not Found")];
    if (method === "GET" && id === undefined)
      return [200, sessions.filter((each) => status === null || each.status === status).toReversed()];
    if (id === undefined) {
      const running = sessions.filter((each) => each.status === "RUNNING").length;
      if (running >= concurrency) return [429, problem(429, "Too Many Requests")];
      const connectUrl = "wss://connect.localhost";
      return [201, { ...add({ status: "RUNNING", ...body }), connectUrl, signingKey: "k" }];
    }
    const found = sessions.find((each) => each.id === id);
    if (found === undefined) return [404, problem(404, "Not Found")];
    if (body.status === "REQUEST_RELEASE") found.status = "COMPLETED";
    return [200, found];
  };
  const handle: http.RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const key = request.headers["x-bb-api-key"];
    state.keys.push(key);
    const body = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
    const [status, value] =
      key === "key_1"
        ? answer(request.method ?? "", new URL(request.url ?? "", "http://x"), body)
        : [401, problem(401, "Unauthorized")];
    const failing = state.fail;
    response.writeHead(failing?.status ?? status, { "content-type": "application/json; charset=utf-8" });
    response.end(failing?.body ?? JSON.stringify(value));
  };
  const server = options.tls ? https.createServer(options.tls, handle) : http.createServer(handle);
  const idle = untilIdle(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `${options.tls ? "https" : "http"}://localhost:${port}`,
    state,
    add,
    /** Resolves once no connection is open. */
    idle,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function problem(statusCode: number, error: string) {
  return { statusCode, error, message: error };
}

function project(id: string, concurrency: number) {
  const at = "2026-01-01T00:00:00.000Z";
  return { id, name: id, ownerId: "owner_1", concurrency, createdAt: at, updatedAt: at, defaultTimeout: 900 };
}

function untilIdle(server: http.Server | https.Server): () => Promise<void> {
  const open = new Set<object>();
  const changes = new EventEmitter();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.on("close", () => {
      open.delete(socket);
      changes.emit("change");
    });
  });
  return async () => {
    while (open.size > 0) await once(changes, "change");
  };
}
