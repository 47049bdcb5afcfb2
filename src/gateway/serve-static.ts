import {
  applyChanges,
  canonicalPath,
  type Failed,
  NO_ROUTES,
  type Routed,
  type RouteRequest,
  routeError,
  routeRequest,
} from "../routing/index.ts";
import { PAGES } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import { findFile } from "./find-file.ts";
import { fail } from "./forward.ts";
import type { Site } from "./site.ts";
import { answerFile, sendFile } from "./static.ts";
import { decodePath, type Target } from "./url-path.ts";

export type Answerable = { readonly exchange: Exchange; readonly site: Site; readonly target: Target };

type ToServer = (path: string, query: string) => void;
type Headers = Readonly<Record<string, string>>;

/**
 * Answers from a release's files and routes; what neither knows goes to its process, if it has one.
 * @param toServer forwards the request, with the path as the routes left it
 */
export async function serveStatic(request: Answerable, toServer: ToServer): Promise<void> {
  const { exchange, site, target } = request;
  const path = decodePath(target.path);
  if (path === null) {
    if (site.server) return toServer(target.path, target.query);
    return fail(exchange, PAGES.badRequest("The path has an escape that no file can have."));
  }
  if (site.routes !== null) return serveRouted(request, path, toServer);
  const found = findFile(site, path);
  if (found.kind === "file" && isReading(exchange)) return serveFile(request, found.path, 200, {});
  if (found.kind === "redirect" && isReading(exchange)) return redirect(request, found.location);
  if (site.server) return toServer(target.path, target.query);
  if (found.kind !== "none") return sendHead(request, 405, { allow: "GET, HEAD" });
  return serveError(request, 404, {});
}

async function serveRouted(request: Answerable, path: string, toServer: ToServer): Promise<void> {
  const { exchange, site, target } = request;
  const asked = askedOf(request);
  const lookup = (wanted: string) => fileAt(site, wanted === asked.path ? path : decodePath(wanted));
  const routed = routeRequest(site.routes ?? NO_ROUTES, asked, lookup);
  if (routed.kind !== "none") return answerRouted(request, routed);
  if (routed.path === asked.path && isReading(exchange)) {
    const found = findFile(site, path);
    if (found.kind === "redirect") return redirect(request, found.location);
  }
  if (!site.server) return serveError(request, 404, routed);
  const moved = routed.path !== asked.path || routed.query !== target.query;
  return moved
    ? toServer(escapeRest(routed.path), escapeRest(routed.query))
    : toServer(target.path, target.query);
}

function askedOf({ exchange, target }: Answerable): RouteRequest {
  const { req, host } = exchange;
  const header = (name: string) => {
    const value = req.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  const path = canonicalPath(target.path) ?? target.path;
  return { method: req.method ?? "GET", path, query: target.query, host, header };
}

function fileAt(site: Site, path: string | null): string | null {
  if (path === null) return null;
  const found = findFile(site, path);
  return found.kind === "file" ? found.path : null;
}

/** A destination is written by hand: what no URL has is escaped. */
function escapeRest(text: string): string {
  return text.replace(/[^!-~]+/g, (part) => encodeURIComponent(part.toWellFormed()));
}

function answerRouted(request: Answerable, routed: Routed<string>): Promise<void> | void {
  const { exchange } = request;
  if (routed.kind === "redirect") return sendHead(request, routed.status, headersOf(routed));
  if (routed.kind === "external") return fail(exchange, PAGES.externalRewrite);
  if (routed.kind === "status") {
    if (routed.status >= 400) return serveError(request, routed.status, routed);
    return sendHead(request, routed.status, headersOf(routed));
  }
  // A release with middleware has a process of its own; the builder gives none of them to the gateway.
  if (routed.kind !== "output") return fail(exchange, PAGES.unreadable);
  if (!isReading(exchange)) return sendHead(request, 405, { allow: "GET, HEAD" });
  return serveFile(request, routed.output, routed.status ?? 200, headersOf(routed));
}

function headersOf({
  headers,
  responseChanges,
}: Pick<Routed<string>, "headers" | "responseChanges">): Headers {
  const lines = Object.entries(headers).map(([name, value]): [string, string] => [
    name,
    [value].flat().join(", "),
  ]);
  return Object.fromEntries(responseChanges.length === 0 ? lines : applyChanges(lines, responseChanges));
}

async function serveError(request: Answerable, status: number, failed: Failed): Promise<void> {
  const { exchange, site } = request;
  const lookup = (wanted: string) => {
    const path = decodePath(wanted);
    return path !== null && site.files.has(path) ? path : fileAt(site, path);
  };
  const page = routeError(site.routes ?? NO_ROUTES, askedOf(request), lookup, status, failed);
  if (page.output !== null) return serveFile(request, page.output, status, headersOf(page));
  fail(exchange, { ...PAGES.notFound, status, title: status === 404 ? PAGES.notFound.title : "Not served" });
}

async function serveFile(request: Answerable, path: string, status: number, extra: Headers): Promise<void> {
  const { exchange, site } = request;
  const { req, res, gateway, served } = exchange;
  const file = site.files.get(path);
  if (file === undefined) return fail(exchange, PAGES.notFound);
  const answer = answerFile(file, req.headers, { status, head: req.method === "HEAD", extra });
  answer.headers.push("x-signalbox-deployment", served?.id ?? "");
  // Shared caches keep immutable files: a visitor's cookie must not be kept with them.
  if (exchange.setCookie !== null && !file.immutable) answer.headers.push("set-cookie", exchange.setCookie);
  try {
    exchange.bytes = await sendFile(res, answer, site.store, gateway.content, () =>
      exchange.answered(answer.status),
    );
  } catch {
    fail(exchange, PAGES.unreadable);
  }
}

function redirect(request: Answerable, location: string): void {
  sendHead(request, 308, { location: location + request.target.query });
}

/** An answer without a body. */
function sendHead({ exchange }: Answerable, status: number, headers: Headers): void {
  const { res, served, setCookie } = exchange;
  exchange.answered(status);
  const flat = Object.entries(headers).flat();
  flat.push("content-length", "0", "x-signalbox-deployment", served?.id ?? "");
  if (setCookie !== null) flat.push("set-cookie", setCookie);
  res.writeHead(status, flat);
  res.end();
}

function isReading(exchange: Exchange): boolean {
  return exchange.req.method === "GET" || exchange.req.method === "HEAD";
}
