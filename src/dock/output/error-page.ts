import type { IncomingMessage, ServerResponse } from "node:http";
import { type RouteHeaders, withRouteHeaders } from "./answer-headers.ts";

/** An answer of the platform itself: Vercel's status, code and sentence. https://vercel.com/docs/errors */
export type PlatformError = { readonly status: number; readonly code: string; readonly message: string };

const DEPLOYMENT = "An error occurred with your deployment";
const SERVER = "A server error has occurred";

export const ERRORS = {
  notFound: { status: 404, code: "NOT_FOUND", message: "The page could not be found" },
  methodNotAllowed: { status: 405, code: "INVALID_REQUEST_METHOD", message: "Invalid request method" },
  badPath: { status: 400, code: "BAD_REQUEST", message: "The path of the request is not valid" },
  loop: { status: 508, code: "INFINITE_LOOP_DETECTED", message: "Infinite loop detected" },
  internal: { status: 500, code: "INTERNAL_UNEXPECTED_ERROR", message: SERVER },
  functionFailed: { status: 500, code: "FUNCTION_INVOCATION_FAILED", message: SERVER },
  functionTimeout: { status: 504, code: "FUNCTION_INVOCATION_TIMEOUT", message: DEPLOYMENT },
  functionThrottled: { status: 503, code: "FUNCTION_THROTTLED", message: DEPLOYMENT },
  edgeFailed: { status: 500, code: "EDGE_FUNCTION_INVOCATION_FAILED", message: SERVER },
  edgeTimeout: { status: 504, code: "EDGE_FUNCTION_INVOCATION_TIMEOUT", message: DEPLOYMENT },
  middlewareFailed: { status: 500, code: "MIDDLEWARE_INVOCATION_FAILED", message: SERVER },
  middlewareTimeout: { status: 504, code: "MIDDLEWARE_INVOCATION_TIMEOUT", message: DEPLOYMENT },
  externalFailed: {
    status: 502,
    code: "ROUTER_EXTERNAL_TARGET_CONNECTION_ERROR",
    message: "The external target could not be reached",
  },
  externalRefused: {
    status: 502,
    code: "ROUTER_EXTERNAL_TARGET_ERROR",
    message: "The external target is not allowed",
  },
  upgrade: {
    status: 501,
    code: "UPGRADE_NOT_SUPPORTED",
    message: "Functions do not take WebSocket connections",
  },
} as const satisfies Record<string, PlatformError>;

/** In the form the client asked for. */
export function sendError(
  error: PlatformError,
  exchange: { req: IncomingMessage; res: ServerResponse; requestId: string },
  routed: RouteHeaders | null,
): void {
  const { req, res, requestId } = exchange;
  if (res.headersSent || res.destroyed) return void res.destroy();
  const json = /\bapplication\/json\b/.test(req.headers.accept ?? "");
  const { status, code, message } = error;
  const body = json
    ? JSON.stringify({ error: { code: String(status), message }, id: requestId })
    : `${message}\n\n${code}\n\n${requestId}\n`;
  const own = [
    "content-type",
    json ? "application/json; charset=utf-8" : "text/plain; charset=utf-8",
    "cache-control",
    "public, max-age=0, must-revalidate",
    "x-vercel-error",
    code,
    "x-vercel-id",
    requestId,
    "content-length",
    String(Buffer.byteLength(body)),
  ];
  res.writeHead(status, routed === null ? own : withRouteHeaders(own, routed, "keep"));
  res.end(req.method === "HEAD" ? undefined : body);
}
