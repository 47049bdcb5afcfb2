import { applyChanges, type Change } from "../../routing/index.ts";
import { type Exchange, first } from "./exchange.ts";
import { withoutHeaders } from "./headers.ts";
import { isOfPlatform } from "./platform-headers.ts";

const OF_THE_CONNECTION = new Set([
  ...["connection", "keep-alive", "te", "trailer", "upgrade", "expect", "transfer-encoding"],
  ...["proxy-connection", "x-signalbox-failed"],
]);

/** The headers a function gets: the visitor's, as middleware and routes changed them, and Vercel's own. */
export function functionHeaders(
  exchange: Exchange,
  changes: readonly Change[],
  platform: { readonly deploymentUrl: string; readonly matchedPath: string | null },
): string[] {
  const { req, host, requestId } = exchange;
  const plain = withoutHeaders(req.rawHeaders, (name) => OF_THE_CONNECTION.has(name) || isOfPlatform(name));
  const headers = changes.length === 0 ? plain : changed(plain, changes);
  if (req.headers["transfer-encoding"] !== undefined) headers.push("transfer-encoding", "chunked");
  // Next.js shows an answer of its memory again when the same invocation asks twice.
  headers.push("x-invocation-id", requestId);
  const address = clientAddress(exchange);
  headers.push("x-vercel-id", requestId, "x-vercel-deployment-url", platform.deploymentUrl || host);
  headers.push("x-real-ip", address, "x-vercel-forwarded-for", address);
  if (req.headers["x-forwarded-for"] === undefined) headers.push("x-forwarded-for", address);
  if (req.headers["x-forwarded-host"] === undefined) headers.push("x-forwarded-host", host);
  if (req.headers["x-forwarded-proto"] === undefined) headers.push("x-forwarded-proto", "http");
  if (platform.matchedPath !== null) headers.push("x-matched-path", asHeader(platform.matchedPath));
  return headers;
}

/** What a prerender function gets: nothing that one visitor has and another has not. */
export function sharedHeaders(
  exchange: Pick<Exchange, "req" | "host" | "requestId">,
  platform: {
    readonly deploymentUrl: string;
    readonly matchedPath: string;
    readonly query: URLSearchParams;
    readonly allowed: readonly string[];
    /** The bypass token of a request to renew the answer. Anybody else's word would be kept for everybody. */
    readonly revalidate?: string | null;
  },
): string[] {
  const { host, requestId, req } = exchange;
  const headers = ["host", host, "x-forwarded-host", host, "x-vercel-id", requestId, ...platform.allowed];
  headers.push("x-forwarded-proto", first(req.headers["x-forwarded-proto"]) || "http");
  // The same for a page's other forms: Next.js makes them at once, so that they fit together.
  headers.push("x-invocation-id", requestId);
  headers.push("x-vercel-deployment-url", platform.deploymentUrl || host);
  headers.push("x-matched-path", asHeader(platform.matchedPath));
  if (platform.query.size > 0) headers.push("x-now-route-matches", platform.query.toString());
  if (platform.revalidate) headers.push("x-prerender-revalidate", platform.revalidate);
  return headers;
}

function clientAddress({ req }: Exchange): string {
  const [address = ""] = first(req.headers["x-forwarded-for"]).split(",");
  return address.trim() || req.socket.remoteAddress?.replace(/^::ffff:/, "") || "127.0.0.1";
}

function changed(headers: readonly string[], changes: readonly Change[]): string[] {
  const entries: [string, string][] = [];
  for (let at = 0; at < headers.length; at += 2) entries.push([headers[at] ?? "", headers[at + 1] ?? ""]);
  return applyChanges(entries, changes).flat();
}

/** Header values are Latin-1; a path with other characters goes escaped. */
export function asHeader(value: string): string {
  return /^[\u0020-\u007e]*$/.test(value) ? value : encodeURI(value);
}
