import { chmod, mkdir, rm } from "node:fs/promises";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import net from "node:net";
import { dirname } from "node:path";
import { AppError, errorCodeOf, toErrorBody } from "../foundation/errors.ts";

/** What the admin socket does; everything it answers is JSON. */
export type AdminVerbs = {
  push(snapshot: unknown): Promise<{ generation: number }>;
  generation(): { generation: number };
  counters(): Promise<object>;
  reload(): Promise<{ workers: number }>;
};

// 10,000 hosts are about 3 MB.
const MAX_BODY_BYTES = 64 * 1_024 * 1_024;

/**
 * Serves the admin protocol on a unix socket that only our user may open.
 * @throws AppError `conflict` when another gateway already answers on it
 */
export async function startAdmin(path: string, verbs: AdminVerbs): Promise<{ close(): Promise<void> }> {
  await mkdir(dirname(path), { recursive: true });
  await removeLeftover(path);
  const server = http.createServer((req, res) => void respond(verbs, req, res));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(path, resolve);
  await promise;
  await chmod(path, 0o600);
  return {
    close: async () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

async function respond(verbs: AdminVerbs, req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    send(res, 200, await dispatch(verbs, req));
  } catch (error) {
    const { status, body } = toErrorBody(error);
    send(res, status, body);
  }
}

async function dispatch(verbs: AdminVerbs, req: IncomingMessage): Promise<object> {
  switch (`${req.method} ${req.url}`) {
    case "PUT /snapshot":
      return verbs.push(await readJson(req));
    case "GET /generation":
      return verbs.generation();
    case "GET /counters":
      return verbs.counters();
    case "POST /reload":
      return verbs.reload();
    case "GET /health":
      return { status: "ok" };
    default:
      throw new AppError("not_found", `The gateway has no ${req.method} ${req.url}.`, {
        hint: "It has PUT /snapshot, GET /generation, GET /counters, POST /reload and GET /health.",
      });
  }
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      throw new AppError("too_large", `The snapshot is larger than ${MAX_BODY_BYTES} bytes.`, {
        hint: "Remove the routes of deployments that are gone.",
      });
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    throw new AppError("bad_request", "The body is not JSON.", { hint: "Send a snapshot as JSON.", cause });
  }
}

function send(res: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  res.end(text);
}

/** A killed gateway leaves its socket file behind; a running one answers on it. */
async function removeLeftover(path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const probe = net.connect(path);
  probe.once("connect", () => resolve("answers"));
  probe.once("error", (error) => resolve(errorCodeOf(error) ?? "unknown"));
  const outcome = await promise;
  probe.destroy();
  if (outcome === "answers") {
    throw new AppError("conflict", `Another gateway is already running on ${path}.`, {
      hint: "Stop it with `signalbox down`, or use another SIGNALBOX_DIR.",
    });
  }
  if (outcome !== "ENOENT") await rm(path, { force: true });
}
