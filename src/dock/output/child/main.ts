/**
 * The process of one function. It may be started before it is known which one: it waits for `load`, then listens on
 * its socket. Everything of Signalbox is out of the way before the function's own code runs.
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { connectCache, told } from "./cache-channel.ts";
import { contextOf, installRequestContext, requests, settled, waitUntil, watchBusy } from "./context.ts";
import { installNextCaches } from "./next-caches.ts";
import { type Handler, loadNodeFunction } from "./node-function.ts";
import { RequestFault } from "./node-helpers.ts";
import { installOwnPages } from "./own-pages.ts";
import { FAILED_HEADER, type FromFunction, type LoadMessage, type ToFunction } from "./protocol.ts";
import { installRequestLog } from "./request-log.ts";

// Large enough for what the server adds to the 16 KiB that it accepts itself.
const HEADER_BYTES = 64 * 1024;

const send = process.send?.bind(process) as ((message: FromFunction) => void) | undefined;
const inFlight = new Set<ServerResponse>();

// A function that reads `process.send` would think that it was forked by a program of its own.
Object.assign(process, { send: undefined });
process.on("disconnect", () => process.exit(0));
// A Ctrl-C in a terminal reaches everyone: the server says when to end.
process.on("SIGINT", () => {});
process.on("message", onMessage);
delete process.env.SIGNALBOX_APP_SOCKET;

function onMessage(message: ToFunction): void {
  if (message.type === "load") void load(message);
  else if (message.type === "told") told(message.id, message.answer);
  else void end(message.graceMs);
}

async function load(message: LoadMessage): Promise<void> {
  try {
    Object.assign(process.env, message.environment);
    process.chdir(message.root);
    const handler: { current: Handler | null } = { current: null };
    await listen(message, handler);
    installRequestLog(message);
    connectCache((id, question) => send?.({ type: "ask", id, question }));
    installRequestContext(globalThis);
    installNextCaches(globalThis);
    installOwnPages(globalThis);
    watchBusy((busy) => send?.({ type: "busy", busy }));
    process.on("uncaughtException", onUncaught);
    if (message.kind === "node") handler.current = await loadNodeFunction(message, waitUntil);
    else handler.current = await (await import("./edge-function.ts")).loadEdgeFunction(message, waitUntil);
    send?.({ type: "ready" });
  } catch (error) {
    console.error(error);
    send?.({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
}

function listen(message: LoadMessage, handler: { current: Handler | null }): Promise<void> {
  const server = http.createServer({ maxHeaderSize: HEADER_BYTES, keepAliveTimeout: 0 }, (req, res) => {
    const context = contextOf(req, res, message.cancellation);
    requests.run(context, () => void answer(handler.current, req, res));
  });
  // The server in front has the deadlines, and keeps its connections as long as the process lives.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(message.socket, resolve);
  });
}

async function answer(handler: Handler | null, req: IncomingMessage, res: ServerResponse): Promise<void> {
  inFlight.add(res);
  res.once("close", () => inFlight.delete(res));
  try {
    await handler?.(req, res);
  } catch (error) {
    if (error instanceof RequestFault && !res.headersSent) {
      res.writeHead(error.statusCode, error.message).end();
      return;
    }
    console.error(error);
    fail(res);
  }
}

function fail(res: ServerResponse): void {
  if (res.headersSent) res.destroy();
  else res.writeHead(500, { [FAILED_HEADER]: "1" }).end();
}

/** Fails the request whose error it is, where that is known. The others finish, and nothing new comes. */
function onUncaught(error: unknown): void {
  console.error(error);
  const context = requests.getStore();
  if (!context) process.exit(1);
  send?.({ type: "retire" });
  fail(context.res);
}

/** Waits for what was handed to `waitUntil`; requests are over by then. */
async function end(graceMs: number): Promise<void> {
  setTimeout(() => process.exit(0), graceMs).unref();
  await settled();
  process.exit(0);
}
