import { pipeline } from "node:stream/promises";
import type { Change } from "../../routing/index.ts";
import { type RouteHeaders, withRouteHeaders } from "./answer-headers.ts";
import { edgeRule, mayBeKept, UNCACHED, visitorHeaders } from "./cdn/edge-policy.ts";
import { ERRORS, type PlatformError } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import { type CallAnswer, CallFailure, callFunction } from "./functions/call.ts";
import { headerOf } from "./headers.ts";
import type { Kept } from "./kept/kept-store.ts";
import type { CacheState } from "./prerender/prerenders.ts";
import type { FunctionEntry } from "./read-output.ts";
import { asHeader, functionHeaders } from "./request-headers.ts";
import { matches, tagOf } from "./serve-file.ts";
import type { Platform } from "./server.ts";

/** How routing led to the function. */
export type Led = RouteHeaders & {
  readonly path: string;
  readonly query: string;
  readonly status: number | null;
  readonly seenPath: string | null;
  readonly requestChanges: readonly Change[];
};

/** Answers by a function, or by what is kept of it. @returns the error that is to be answered instead, if it failed. */
export async function answerFunction(
  platform: Platform,
  exchange: Exchange,
  entry: FunctionEntry,
  led: Led,
): Promise<PlatformError | null> {
  const { clock, log } = platform;
  const started = clock.monotonicMs();
  try {
    const status = await answerNow(platform, exchange, entry, led);
    if (status !== null) log.request(exchange, status, entry.path, clock.monotonicMs() - started);
    return null;
  } catch (error) {
    if (!(error instanceof CallFailure)) throw error;
    const edge = typeof entry.spec !== "string" && entry.spec.kind === "edge";
    const page = errorOf(error, edge);
    log.problem(exchange, edge ? "edge-function" : "serverless", `${page.code}: ${error.message}`);
    log.request(exchange, page.status, entry.path, clock.monotonicMs() - started);
    return page;
  }
}

function errorOf({ failure }: CallFailure, edge: boolean): PlatformError {
  if (failure === "timeout") return edge ? ERRORS.edgeTimeout : ERRORS.functionTimeout;
  if (failure === "throttled") return ERRORS.functionThrottled;
  return edge ? ERRORS.edgeFailed : ERRORS.functionFailed;
}

/** @returns the status when a function was called for this request; null when a kept answer was enough. */
async function answerNow(
  platform: Platform,
  exchange: Exchange,
  entry: FunctionEntry,
  led: Led,
): Promise<number | null> {
  const { prerender } = entry;
  if (prerender === null) return answerPlain(platform, exchange, entry, led);
  const query = new URLSearchParams(led.query);
  const found = await platform.prerenders.answer({ ...entry, prerender }, exchange, query);
  if (found.kind === "bypass") {
    return sendAnswer(exchange, await call(platform, exchange, entry, led), led, "BYPASS");
  }
  if (found.kind === "direct") return sendAnswer(exchange, found.answer, led, found.state);
  // What a page says of caching was said to the platform.
  sendKept(platform, exchange, found, led, ["cache-control", UNCACHED]);
  return found.state === "MISS" || found.state === "REVALIDATED" ? found.kept.status : null;
}

/** By a plain function, or by what the edge has kept of it. */
async function answerPlain(
  platform: Platform,
  exchange: Exchange,
  entry: FunctionEntry,
  led: Led,
): Promise<number | null> {
  const { edge, clock } = platform;
  if (!mayBeKept(exchange)) {
    return sendAnswer(exchange, await call(platform, exchange, entry, led), led, "MISS");
  }
  const { req, route, host, path } = exchange;
  const key = JSON.stringify([host, path, led.seenPath, led.query, entry.path]);
  const place = { key, headers: req.headers };
  const ruleOf = (answer: CallAnswer) =>
    edgeRule(answer.status, withRouteHeaders(answer.headers, led, "keep"));
  const renew = () => call(platform, exchange, entry, led, "GET");
  const found = await edge.find(place, renew, ruleOf);
  if (found.kind === "kept") {
    sendKept(platform, exchange, found, led, []);
    return null;
  }
  const beganAtMs = clock.now().getTime();
  const answer = await call(platform, exchange, entry, led);
  const rule = route.method === "GET" ? ruleOf(answer) : null;
  if (rule !== null) edge.record(place, answer, rule, beganAtMs);
  return sendAnswer(exchange, answer, led, found.state);
}

async function call(
  platform: Platform,
  exchange: Exchange,
  entry: FunctionEntry,
  led: Led,
  method = exchange.route.method,
): Promise<CallAnswer> {
  const { pool, deploymentUrl } = platform;
  if (typeof entry.spec === "string") throw new CallFailure("failed", entry.spec);
  const headers = functionHeaders(exchange, led.requestChanges, { deploymentUrl, matchedPath: led.path });
  // A function sees the path that was asked for, with the destination's parameters in the query.
  const url = `${led.seenPath ?? exchange.path}${led.query}`;
  return callFunction(pool, entry.spec, { method, url, headers, body: exchange.body });
}

async function sendAnswer(
  exchange: Exchange,
  answer: CallAnswer,
  led: Led,
  state: CacheState,
): Promise<number> {
  const { res, requestId } = exchange;
  const status = led.status ?? answer.status;
  const own = [...answer.headers, "x-vercel-cache", state, "x-vercel-id", requestId];
  const headers = visitorHeaders(withRouteHeaders(own, led, "keep"));
  if (headerOf(headers, "x-matched-path") === null) headers.push("x-matched-path", asHeader(led.path));
  if (res.destroyed) {
    answer.abandon();
    return status;
  }
  res.writeHead(status, status === answer.status ? answer.statusText : undefined, headers);
  res.flushHeaders();
  res.once("close", () => answer.abandon());
  await pipeline(answer.body, res, { end: true }).catch(() => res.destroy());
  return status;
}

function sendKept(
  platform: Platform,
  exchange: Exchange,
  { kept, state }: { kept: Kept; state: CacheState },
  led: Led,
  control: readonly string[],
): void {
  const { req, res, requestId } = exchange;
  const status = led.status ?? kept.status;
  const ageS = Math.max(0, Math.floor((platform.clock.now().getTime() - kept.storedAtMs) / 1000));
  const tag = headerOf(kept.headers, "etag") ?? tagOf(kept.body);
  const own = [...kept.headers, ...control, "x-vercel-cache", state, "x-vercel-id", requestId];
  if (headerOf(kept.headers, "etag") === null) own.push("etag", tag);
  if (state === "HIT" || state === "STALE") own.push("age", String(ageS));
  if (headerOf(own, "x-matched-path") === null) own.push("x-matched-path", asHeader(led.path));
  const headers = visitorHeaders(withRouteHeaders(own, led, "keep"));
  if (status === 200 && matches(req.headers["if-none-match"], tag))
    return void res.writeHead(304, headers).end();
  res.writeHead(status, [...headers, "content-length", String(kept.body.length)]);
  res.end(req.method === "HEAD" ? undefined : kept.body);
}
