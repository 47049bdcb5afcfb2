import type { IncomingMessage } from "node:http";
import { PAGES } from "./error-page.ts";
import { Exchange, type Gateway, type GatewayResponse } from "./exchange.ts";
import { fail, forward } from "./forward.ts";
import { pickOfRoute } from "./pick.ts";
import { type ScannedHeaders, scanHeaders } from "./request-headers.ts";
import { type Answerable, serveStatic } from "./serve-static.ts";
import type { Served } from "./table.ts";
import { parseTarget, type Target } from "./url-path.ts";

/** Answers one request: finds its host, picks its release, then serves a file or forwards to the process. */
export function answer(gateway: Gateway, req: IncomingMessage, res: GatewayResponse): void {
  const exchange = new Exchange(gateway, req, res);
  const scanned = scanHeaders(req.rawHeaders);
  const target = parseTarget(req.url ?? "");
  exchange.path = target?.path ?? "";
  if (target === null) return void fail(exchange, PAGES.badRequest("The request's path is not one."));
  const served = route(exchange, scanned, target);
  if (served === null) return;
  exchange.assign(served);
  if (served.site === null) void loadAndServe(exchange, served, scanned, target);
  else serve(exchange, served, scanned, target);
}

/** The release that answers, or null when the exchange was answered with an error. */
export function route(exchange: Exchange, scanned: ScannedHeaders, target: Target): Served | null {
  const { gateway } = exchange;
  const spelling = target.host ?? scanned.host;
  if (spelling === null) {
    fail(exchange, PAGES.badRequest("A request needs exactly one Host header."));
    return null;
  }
  const entry = gateway.table.find(spelling);
  if (entry === null) {
    exchange.host = spelling.slice(0, 253);
    fail(exchange, PAGES.noHost);
    return null;
  }
  exchange.host = entry.host;
  if (entry.only !== null) return entry.only;
  const pin = scanned.cookie === "" ? null : gateway.sticky.read(scanned.cookie);
  let visitor = pin?.visitor ?? null;
  const picked = pickOfRoute(entry.route, pin, (rollout) => {
    visitor ??= gateway.ids("v");
    return gateway.sticky.bucket(rollout, visitor);
  });
  const served = picked === null ? null : gateway.table.release(picked.release);
  if (picked === null || served === null) {
    fail(exchange, PAGES.noHost);
    return null;
  }
  if (picked.stick && visitor !== null && entry.route.rollout !== null) {
    exchange.setCookie = gateway.sticky.write({
      visitor,
      rollout: entry.route.rollout,
      release: picked.release,
    });
  }
  return served;
}

async function loadAndServe(
  exchange: Exchange,
  served: Served,
  scanned: ScannedHeaders,
  target: Target,
): Promise<void> {
  try {
    await served.load();
  } catch {
    return void fail(exchange, PAGES.unreadable);
  }
  if (!exchange.res.destroyed) serve(exchange, served, scanned, target);
}

function serve(exchange: Exchange, served: Served, scanned: ScannedHeaders, target: Target): void {
  const { site } = served;
  if (site === null) return void fail(exchange, PAGES.unreadable);
  if (site.onlyServer) return void forward(exchange, served, scanned, target.path + target.query);
  const request: Answerable = { exchange, site, target };
  void serveStatic(request, (path, query) => forward(exchange, served, scanned, path + query));
}
