import type { IncomingMessage } from "node:http";
import { canaryOverride, mayNameRelease, namedRelease } from "./asked.ts";
import { PAGES } from "./error-page.ts";
import { Exchange, type Gateway, type GatewayResponse } from "./exchange.ts";
import { fail, forward } from "./forward.ts";
import { passes } from "./gate.ts";
import { pickOfRoute } from "./pick.ts";
import { type ScannedHeaders, scanHeaders } from "./request-headers.ts";
import { type Answerable, serveStatic } from "./serve-static.ts";
import type { HostEntry, Served } from "./table.ts";
import { parseTarget, type Target } from "./url-path.ts";

/** Answers one request: finds its host, picks its release, then serves a file or forwards to the process. */
export function answer(gateway: Gateway, req: IncomingMessage, res: GatewayResponse): void {
  const exchange = new Exchange(gateway, req, res);
  const scanned = scanHeaders(req.rawHeaders);
  const target = parseTarget(req.url ?? "");
  exchange.path = target?.path ?? "";
  if (target === null) return void fail(exchange, PAGES.badRequest("The request's path is not one."));
  proceed(exchange, scanned, target);
}

function proceed(exchange: Exchange, scanned: ScannedHeaders, target: Target): void {
  const served = route(exchange, scanned, target, proceed);
  if (served === null) return;
  exchange.assign(served);
  if (served.site === null) void loadAndServe(exchange, served, scanned, target);
  else serve(exchange, served, scanned, target);
}

type Proceed = (exchange: Exchange, scanned: ScannedHeaders, target: Target) => void;

/**
 * The release that answers, or null when the exchange was answered with an error, or waits.
 * @param proceed routes it again after a wait
 */
export function route(
  exchange: Exchange,
  scanned: ScannedHeaders,
  target: Target,
  proceed: Proceed,
): Served | null {
  const { gateway } = exchange;
  const spelling = target.host ?? scanned.host;
  if (spelling === null) {
    fail(exchange, PAGES.badRequest("A request needs exactly one Host header."));
    return null;
  }
  const entry = gateway.table.find(spelling);
  if (entry === null) {
    exchange.host = spelling.slice(0, 253);
    fail(exchange, gateway.table.wasThere(spelling) ? PAGES.deleted : PAGES.noHost);
    return null;
  }
  exchange.host = entry.host;
  exchange.isVisit = entry.route.own !== true && !scanned.probe;
  const { gate } = entry.route;
  if (gate !== undefined && !passes(exchange, gate, spelling, target)) return null;
  if (entry.only !== null && !(entry.asks && mayNameRelease(scanned, target))) return entry.only;
  const { hold } = entry.route;
  if (hold) {
    const again = () => proceed(exchange, scanned, target);
    if (gateway.holding.take(entry.host, hold, exchange, again)) return null;
  }
  return choose(exchange, entry, scanned, target);
}

/** Chooses by what the request asks for and by who the visitor is. */
function choose(
  exchange: Exchange,
  entry: HostEntry,
  scanned: ScannedHeaders,
  target: Target,
): Served | null {
  const { gateway, req } = exchange;
  const mayName = entry.asks && mayNameRelease(scanned, target);
  const named = mayName ? namedRelease(scanned, target, fetchDestOf(req)) : null;
  const override = entry.route.targets.length > 1 ? canaryOverride(scanned) : null;
  const pin = scanned.cookie === "" ? null : gateway.sticky.read(scanned.cookie);
  let visitor = pin?.visitor ?? null;
  const isTimed = mayName || entry.route.draining !== undefined;
  const asked = { pin, override, named, nowMs: isTimed ? gateway.clock.now().getTime() : 0 };
  const picked = pickOfRoute(entry.route, asked, (rollout) => {
    visitor ??= gateway.ids("v");
    return gateway.sticky.bucket(rollout, visitor);
  });
  const served = picked === null ? null : gateway.table.release(picked.release);
  if (picked === null || served === null) {
    fail(exchange, PAGES.noHost);
    return null;
  }
  exchange.named = picked.release === named;
  if (picked.stick) {
    exchange.setCookie = gateway.sticky.write({
      visitor: visitor ?? gateway.ids("v"),
      rollout: entry.route.rollout ?? NO_ROLLOUT,
      release: picked.release,
    });
  }
  return served;
}

/** Stands in the cookie of a visitor who came while there was no split. */
const NO_ROLLOUT = "none";

function fetchDestOf(req: IncomingMessage): string | undefined {
  const value = req.headers["sec-fetch-dest"];
  return Array.isArray(value) ? value[0] : value;
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
