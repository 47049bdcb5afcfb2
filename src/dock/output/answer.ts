import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Failed, type Routed, routeError, routeRequest } from "../../routing/index.ts";
import { answerFunction } from "./answer-function.ts";
import { type RouteHeaders, withRouteHeaders } from "./answer-headers.ts";
import { ERRORS, type PlatformError, sendError } from "./error-page.ts";
import { type Exchange, peekBody } from "./exchange.ts";
import { proxyExternal } from "./external.ts";
import { type CallAnswer, CallFailure, callFunction } from "./functions/call.ts";
import { serveImage } from "./images/serve-image.ts";
import type { Output } from "./lookup.ts";
import { functionHeaders, sharedHeaders } from "./request-headers.ts";
import type { Platform } from "./server.ts";

type Middleware = Extract<Routed<Output>, { kind: "middleware" }>;
type Found = Extract<Routed<Output>, { kind: "output" }>;

// A middleware that sends a request to another one, and so on, is a loop.
const MIDDLEWARES = 8;
// Bodies up to this size are shown to the middleware and to the function.
const SHOWN_BODY_BYTES = 2 ** 20;

/** Routes the request, middleware included, and answers it. */
export async function answer(platform: Platform, exchange: Exchange): Promise<void> {
  let routed = routeRequest(platform.table, exchange.route, platform.lookup);
  let last: CallAnswer | null = null;
  for (let count = 0; routed.kind === "middleware"; count++) {
    if (count === MIDDLEWARES) return sendError(ERRORS.loop, exchange, routed);
    const called: CallAnswer | null = await callMiddleware(platform, exchange, routed);
    if (called === null) return;
    last?.body.resume();
    last = called;
    routed = routed.resume({ status: called.status, headers: pairs(called.headers) });
  }
  if (routed.kind === "response" && last !== null) return sendMiddlewareAnswer(exchange, routed, last);
  last?.body.resume();
  await answerRouted(platform, exchange, routed);
}

async function answerRouted(platform: Platform, exchange: Exchange, routed: Routed<Output>): Promise<void> {
  switch (routed.kind) {
    case "output":
      return answerOutput(platform, exchange, routed);
    case "redirect":
      return sendPlain(exchange, routed.status, routed, "Redirecting...\n");
    case "external":
      return answerExternal(platform, exchange, routed);
    case "none":
      return answerError(platform, exchange, ERRORS.notFound, routed);
    case "status":
      if (routed.status < 400) return sendPlain(exchange, routed.status, routed, "");
      return answerError(platform, exchange, plainError(routed.status), routed);
    default:
      throw new Error(`Routing ended with ${routed.kind}.`);
  }
}

function plainError(status: number): PlatformError {
  if (status === 404) return ERRORS.notFound;
  return {
    status,
    code: status < 500 ? "BAD_REQUEST" : ERRORS.internal.code,
    message: ERRORS.internal.message,
  };
}

async function answerOutput(platform: Platform, exchange: Exchange, routed: Found): Promise<void> {
  const { output } = routed;
  const { req } = exchange;
  if (output.kind === "image") return answerImage(platform, exchange, routed);
  if (output.kind === "file") {
    if (req.method !== "GET" && req.method !== "HEAD")
      return sendError(ERRORS.methodNotAllowed, exchange, routed);
    return platform.serveFile({ ...exchange, status: routed.status ?? 200, routed }, output);
  }
  const failure = await answerFunction(platform, exchange, output, routed);
  if (failure !== null) await answerError(platform, exchange, failure, routed);
}

/** The release's own page for an error where it has one. `x-vercel-error` is there in any case. */
async function answerError(
  platform: Platform,
  exchange: Exchange,
  error: PlatformError,
  before: RouteHeaders & Failed,
): Promise<void> {
  const { table, lookup } = platform;
  if (exchange.res.headersSent) return void exchange.res.destroy();
  const routed = routeError(table, exchange.route, lookup, error.status, before);
  const { output: page, status } = routed;
  const headers = { ...routed, headers: { ...routed.headers, "x-vercel-error": error.code } };
  if (page === null || page.kind === "image" || wantsJson(exchange))
    return sendError(error, exchange, headers);
  if (page.kind === "file") return platform.serveFile({ ...exchange, status, routed: headers }, page);
  const failure = await answerFunction(platform, exchange, page, {
    ...headers,
    seenPath: null,
    requestChanges: [],
  });
  if (failure !== null) sendError(error, exchange, headers);
}

function wantsJson({ req }: Exchange): boolean {
  return /^\s*application\/json\b/.test(req.headers.accept ?? "");
}

async function answerExternal(
  platform: Platform,
  exchange: Exchange,
  routed: Extract<Routed<Output>, { kind: "external" }>,
): Promise<void> {
  const url = URL.parse(routed.url);
  if (url === null) return sendError(ERRORS.externalRefused, exchange, routed);
  const { deploymentUrl } = platform;
  const requestHeaders = functionHeaders(exchange, routed.requestChanges, {
    deploymentUrl,
    matchedPath: null,
  });
  await proxyExternal(url, { ...exchange, requestHeaders, routed }, platform.allowNetworks);
}

async function answerImage(platform: Platform, exchange: Exchange, routed: Found): Promise<void> {
  const { images } = platform.output;
  if (images === null) return answerError(platform, exchange, ERRORS.notFound, routed);
  const { req, res, requestId } = exchange;
  if (req.method !== "GET" && req.method !== "HEAD")
    return sendError(ERRORS.methodNotAllowed, exchange, routed);
  const query = new URLSearchParams(routed.query);
  await serveImage(
    { req, res, requestId, query, routed },
    {
      images,
      endpoint: exchange.route.path,
      allowNetworks: platform.allowNetworks,
      fileOf: (path) => {
        const found = platform.lookup(path);
        return found?.kind === "file" ? found : null;
      },
      ask: (target) => askImage(platform, exchange, target),
    },
  );
}

/** An image that a function makes. Its answer is public, so nothing that belongs to the visitor is sent along. */
async function askImage(platform: Platform, exchange: Exchange, target: string) {
  const [path = "", search] = target.split("?", 2);
  const found = platform.lookup(path);
  if (found?.kind !== "function" || typeof found.spec === "string") return null;
  const { deploymentUrl, pool } = platform;
  const none = { query: new URLSearchParams(), allowed: [] };
  const headers = sharedHeaders(exchange, { deploymentUrl, matchedPath: found.path, ...none });
  const url = search === undefined ? path : `${path}?${search}`;
  const answered = await callFunction(pool, found.spec, { method: "GET", url, headers, body: null });
  if (answered.status === 200) return answered.body;
  answered.body.resume();
  return null;
}

/** @returns null when it failed, and that is answered. */
async function callMiddleware(
  platform: Platform,
  exchange: Exchange,
  routed: Middleware,
): Promise<CallAnswer | null> {
  const { deploymentUrl, pool, log, clock } = platform;
  const entry = platform.output.functions.get(`/${routed.middlewarePath.replace(/^\//, "")}`);
  if (entry === undefined || typeof entry.spec === "string") {
    log.problem(
      exchange,
      "edge-middleware",
      `${entry?.spec ?? `There is no middleware ${routed.middlewarePath}`}.`,
    );
    sendError(ERRORS.middlewareFailed, exchange, routed);
    return null;
  }
  const started = clock.monotonicMs();
  const { method } = exchange.route;
  const shown = await peekBody(exchange, SHOWN_BODY_BYTES);
  const headers = functionHeaders(exchange, routed.requestChanges, { deploymentUrl, matchedPath: null });
  const body = shown === null ? null : Readable.from([shown]);
  const url = `${routed.path}${routed.query}`;
  try {
    const called = await callFunction(pool, entry.spec, { method, url, headers, body }, "middleware");
    log.request(exchange, called.status, entry.path, clock.monotonicMs() - started);
    return called;
  } catch (error) {
    if (!(error instanceof CallFailure)) throw error;
    const page = error.failure === "timeout" ? ERRORS.middlewareTimeout : ERRORS.middlewareFailed;
    log.problem(exchange, "edge-middleware", error.message);
    log.request(exchange, page.status, entry.path, clock.monotonicMs() - started);
    sendError(page, exchange, routed);
    return null;
  }
}

async function sendMiddlewareAnswer(
  exchange: Exchange,
  routed: Extract<Routed<Output>, { kind: "response" }>,
  last: CallAnswer,
): Promise<void> {
  // The middleware's own headers are among the routed ones already; its length is not.
  const length = last.body.headers["content-length"];
  const own = length === undefined ? [] : ["content-length", length];
  const headers = withRouteHeaders([...own, "x-vercel-id", exchange.requestId], routed, "override");
  exchange.res.writeHead(routed.status, headers);
  exchange.res.once("close", () => last.abandon());
  await pipeline(last.body, exchange.res).catch(() => exchange.res.destroy());
}

function sendPlain(exchange: Exchange, status: number, routed: RouteHeaders, text: string): void {
  const { req, res, requestId } = exchange;
  const body = status === 204 || status === 304 ? "" : text;
  const typed = body === "" ? [] : ["content-type", "text/plain; charset=utf-8"];
  const own = [...typed, "cache-control", "public, max-age=0, must-revalidate", "x-vercel-id", requestId];
  const length = status === 204 || status === 304 ? [] : ["content-length", String(Buffer.byteLength(body))];
  res.writeHead(status, [...withRouteHeaders(own, routed, "override"), ...length]);
  res.end(req.method === "HEAD" ? undefined : body);
}

function* pairs(headers: readonly string[]): Iterable<readonly [string, string]> {
  for (let at = 0; at < headers.length; at += 2) yield [headers[at] ?? "", headers[at + 1] ?? ""];
}
