import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import { requests } from "./context.ts";
import { callLambda, type LambdaHandler } from "./lambda-handler.ts";
import { addHelpers } from "./node-helpers.ts";
import type { LoadMessage } from "./protocol.ts";
import { sendWebResponse, toWebRequest } from "./web-handler.ts";

/** Answers a request; what it throws or rejects with is the function's failure. */
export type Handler = (req: IncomingMessage, res: ServerResponse) => unknown;

type WebHandler = (request: Request, context: { waitUntil(promise: unknown): void }) => unknown;
type Exports = Record<string, unknown> & { listen?: unknown };

const METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"];
// A module may start its server a little after it was loaded.
const LATE_LISTEN_MS = 5_000;
const NESTED_DEFAULTS = 5;

/**
 * Loads a Node function and says how it is called, by what it exports: web handlers (`GET`, `fetch`, …), a listener
 * `(req, res)`, or nothing at all when it starts a server itself.
 */
export async function loadNodeFunction(
  message: LoadMessage,
  waitUntil: (work: unknown) => void,
): Promise<Handler> {
  const path = isAbsolute(message.handler) ? message.handler : join(message.root, message.handler);
  const capture = captureListen();
  try {
    const module = await import(pathToFileURL(path).href);
    if (message.lambda !== null) return callLambda(lambdaOf(module, message.lambda));
    const exported = unwrapped(module);
    const web = webHandlers(exported, message.webApi);
    if (web !== null) return callWeb(web, waitUntil);
    if (typeof exported === "function") return callListener(exported as unknown as Handler, message.helpers);
    const server = await capture.server();
    if (server !== null) return (req, res) => server.emit("request", req, res);
  } finally {
    capture.restore();
  }
  throw new Error(
    `${message.handler} exports no function, no HTTP method and no fetch, and starts no server: nothing to call.`,
  );
}

function lambdaOf(module: Exports, name: string): LambdaHandler {
  const found = module[name] ?? (module.default as Exports | undefined)?.[name];
  if (typeof found === "function") return found as LambdaHandler;
  throw new Error(`awsLambdaHandler names the export ${name}, which is no function.`);
}

/** Compiled ES modules come as `{default: {default: handler}}`. */
function unwrapped(module: unknown): Exports {
  let exported = module as Exports;
  for (let depth = 0; depth < NESTED_DEFAULTS && exported.default; depth++)
    exported = exported.default as Exports;
  return exported;
}

function webHandlers(exported: Exports, always: boolean): ((method: string) => WebHandler | null) | null {
  if (typeof exported.fetch === "function") {
    const { fetch } = exported as { fetch: WebHandler };
    return () => fetch.bind(exported);
  }
  if (METHODS.some((method) => typeof exported[method] === "function")) {
    return (method) => {
      const handler = exported[method];
      return typeof handler === "function" ? (handler as WebHandler) : null;
    };
  }
  return always && typeof exported === "function" ? () => exported as unknown as WebHandler : null;
}

function callWeb(
  handlerOf: (method: string) => WebHandler | null,
  waitUntil: (work: unknown) => void,
): Handler {
  return async (req, res) => {
    const handler = handlerOf(req.method ?? "GET");
    if (handler === null) return void res.writeHead(405).end();
    const response = await handler(toWebRequest(req, globalThis), { waitUntil });
    await sendWebResponse(asResponse(response), req, res);
  };
}

/** Not `instanceof`: a function may bring a `Response` class of its own. */
export function asResponse(value: unknown): Response {
  const { status, headers } = (value ?? {}) as { status?: unknown; headers?: { forEach?: unknown } };
  if (typeof status === "number" && typeof headers?.forEach === "function") return value as Response;
  throw new Error(
    `The function returned ${value === undefined ? "nothing" : typeof value} instead of a Response.`,
  );
}

function callListener(listener: Handler & { listen?: unknown }, helpers: boolean): Handler {
  // An Express app is a function too, with helpers of its own.
  if (!helpers || typeof listener.listen === "function") return (req, res) => listener(req, res);
  return (req, res) =>
    new Promise((resolve, reject) => {
      const context = requests.getStore();
      addHelpers(req, res, () => {
        const call = async () => listener(req, res);
        // The body's arrival is an event of the connection, not of this request.
        (context ? requests.run(context, call) : call()).then(resolve, reject);
      });
    });
}

/**
 * The first `listen` of an HTTP server opens no port: its server is called directly. It is told that it listens, which
 * frameworks wait for.
 */
function captureListen() {
  const { promise, resolve } = Promise.withResolvers<http.Server | null>();
  const original = http.Server.prototype.listen;
  const restore = () => {
    http.Server.prototype.listen = original;
  };
  http.Server.prototype.listen = function (this: http.Server, ...given: unknown[]) {
    restore();
    const port = typeof given[0] === "number" ? given[0] : 3000;
    this.address = () => ({ address: "127.0.0.1", family: "IPv4", port });
    const callback = given.at(-1);
    if (typeof callback === "function") this.once("listening", callback as () => void);
    resolve(this);
    process.nextTick(() => this.emit("listening"));
    return this;
  } as typeof original;
  return {
    restore,
    server() {
      const timer = setTimeout(() => resolve(null), LATE_LISTEN_MS);
      return promise.finally(() => clearTimeout(timer));
    },
  };
}
