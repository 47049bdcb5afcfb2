import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AppError } from "../../foundation/errors.ts";
import { type RouteHeaders, withRouteHeaders } from "./answer-headers.ts";
import { ERRORS, sendError } from "./error-page.ts";
import { endToEnd } from "./functions/call.ts";
import { guardedRequest } from "./guarded-request.ts";
import { withoutHeaders } from "./headers.ts";

// Vercel's limit for rewrites to elsewhere. https://vercel.com/docs/limits
const TIMEOUT_MS = 120_000;
const NOT_PASSED = new Set([
  ...["host", "connection", "keep-alive", "te", "trailer", "upgrade", "expect", "transfer-encoding"],
  ...["proxy-connection", "proxy-authorization", "proxy-authenticate"],
  // Opens this project's protected hosts, and is nobody else's to know.
  ...["x-vercel-protection-bypass", "x-vercel-set-bypass-cookie"],
]);

const BYPASS = /^\??x-vercel-(?:protection-bypass|set-bypass-cookie)(?:=|$)/;

/** A rewrite to another host: the request goes there as it is and its answer comes back, both as streams. */
export async function proxyExternal(
  destination: URL,
  exchange: {
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
    readonly requestId: string;
    readonly body: Readable | null;
    /** Of the request, as middleware and routes left it. */
    readonly requestHeaders: readonly string[];
    readonly routed: RouteHeaders;
  },
  allowNetworks: readonly string[],
): Promise<void> {
  const { req, res } = exchange;
  const url = withoutBypass(destination);
  const headers = [
    "host",
    url.host,
    ...withoutHeaders(exchange.requestHeaders, (name) => NOT_PASSED.has(name)),
  ];
  if (req.headers["transfer-encoding"] !== undefined) headers.push("transfer-encoding", "chunked");
  try {
    const request = await guardedRequest(url, {
      method: req.method ?? "GET",
      headers: headers as never,
      timeout: TIMEOUT_MS,
      allowNetworks,
    });
    res.once("close", () => request.destroy());
    request.on("timeout", () => request.destroy(new Error("timeout")));
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    request.once("response", resolve);
    request.on("error", reject);
    if (exchange.body === null) request.end();
    else exchange.body.pipe(request);
    const answer = await promise;
    const own = withRouteHeaders(endToEnd(answer.rawHeaders), exchange.routed, "keep");
    res.writeHead(answer.statusCode ?? 502, answer.statusMessage, [
      ...own,
      "x-vercel-id",
      exchange.requestId,
    ]);
    await pipeline(answer, res);
  } catch (error) {
    const refused = error instanceof AppError && error.code === "bad_request";
    sendError(refused ? ERRORS.externalRefused : ERRORS.externalFailed, exchange, exchange.routed);
  }
}

/** The rest of the query stays as it is spelled. */
function withoutBypass(destination: URL): URL {
  if (!destination.search.includes("bypass")) return destination;
  const url = new URL(destination);
  const parts = url.search.split("&").filter((part) => !BYPASS.test(part));
  url.search = parts.join("&");
  return url;
}
