import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { randomText } from "../../foundation/ids.ts";
import type { RouteRequest } from "../../routing/index.ts";
import { isOfPlatform } from "./platform-headers.ts";

/** One request and its answer, on their way through the output server. */
export type Exchange = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The value of `x-vercel-id`. */
  readonly requestId: string;
  /** Of the request, with its port. */
  readonly host: string;
  /** As the client sent it, without the query. */
  readonly path: string;
  readonly route: RouteRequest;
  /** The body, for the one who gets the request in the end. */
  body: Readable | null;
};

const REGION = "iad1";
const COMMA_LESS = new Set(["cookie"]);

/** @param path in the one spelling that the router takes */
export function openExchange(
  req: IncomingMessage,
  res: ServerResponse,
  place: {
    readonly path: string;
    readonly canonical: string;
    readonly query: string;
    readonly nowMs: number;
  },
): Exchange {
  const host = first(req.headers["x-forwarded-host"]) || req.headers.host || "localhost";
  return {
    req,
    res,
    requestId: `${REGION}::${REGION}::${randomText(5)}-${place.nowMs}-${randomText(12)}`,
    host,
    path: place.path,
    route: {
      method: req.method ?? "GET",
      path: place.canonical,
      query: place.query,
      host: host.replace(/:\d+$/, "").toLowerCase(),
      header: (name) => {
        if (isOfPlatform(name)) return undefined;
        const value = req.headers[name];
        return Array.isArray(value) ? value.join(COMMA_LESS.has(name) ? "; " : ", ") : value;
      },
    },
    body: hasBody(req) ? req : null,
  };
}

export function hasBody(req: IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": chunked } = req.headers;
  return chunked !== undefined || (length !== undefined && length !== "0");
}

/**
 * The body for one who is asked before it is decided who gets the request: read whole when it is small, and put back.
 * A larger one is left alone; null then.
 */
export async function peekBody(exchange: Exchange, limit: number): Promise<Buffer | null> {
  const { req } = exchange;
  const length = Number(req.headers["content-length"] ?? Number.NaN);
  if (exchange.body === null || !(length <= limit)) return null;
  const chunks: Buffer[] = [];
  for await (const chunk of exchange.body as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  exchange.body = Readable.from([body]);
  return body;
}

export function first(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? "";
}
