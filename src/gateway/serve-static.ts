import { PAGES } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import { findFile } from "./find-file.ts";
import { fail } from "./forward.ts";
import { type Routed, routeError, routeRequest } from "./routes.ts";
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
  return serveError(request, 404, path, {});
}

async function serveRouted(request: Answerable, path: string, toServer: ToServer): Promise<void> {
  const { exchange, site, target } = request;
  const method = exchange.req.method ?? "GET";
  const fileOf = (wanted: string) => {
    const found = findFile(site, wanted);
    return found.kind === "file" ? found.path : null;
  };
  const routed = routeRequest(site.routes ?? NO_ROUTES, { method, path, query: target.query }, fileOf);
  if (routed.kind === "none" && routed.path === path) {
    const found = findFile(site, path);
    if (found.kind === "redirect" && isReading(exchange)) return redirect(request, found.location);
  }
  if (routed.kind === "none" && site.server) {
    const moved = routed.path !== path || routed.query !== target.query;
    return moved
      ? toServer(encodeURI(routed.path), routed.query.replace(/[^!-~]/gu, encodeURIComponent))
      : toServer(target.path, target.query);
  }
  return answerRouted(request, routed, path);
}

const NO_ROUTES = {
  start: [],
  filesystem: [],
  resource: [],
  miss: [],
  rewrite: [],
  hit: [],
  error: [],
} as const;

function answerRouted(request: Answerable, routed: Routed, path: string): Promise<void> | void {
  const { exchange } = request;
  if (routed.kind === "redirect") return sendHead(request, routed.status, routed.headers);
  if (routed.kind === "external") return fail(exchange, PAGES.externalRewrite);
  if (routed.kind === "status") {
    if (routed.status >= 400) return serveError(request, routed.status, path, routed.headers);
    return sendHead(request, routed.status, routed.headers);
  }
  if (routed.kind === "none") return serveError(request, 404, path, routed.headers);
  if (!isReading(exchange)) return sendHead(request, 405, { allow: "GET, HEAD" });
  return serveFile(request, routed.path, routed.status, routed.headers);
}

async function serveError(request: Answerable, status: number, path: string, extra: Headers): Promise<void> {
  const { exchange, site } = request;
  const fileOf = (wanted: string) => (site.files.has(wanted) ? wanted : null);
  const page = routeError(site.routes, status, path, fileOf);
  if (page.path !== null) return serveFile(request, page.path, status, { ...extra, ...page.headers });
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
