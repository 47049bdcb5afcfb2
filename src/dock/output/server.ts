import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Clock } from "../../foundation/clock.ts";
import { messageOf } from "../../foundation/errors.ts";
import {
  canonicalPath,
  compileRoutes,
  type Lookup,
  type Route,
  type RouteTable,
} from "../../routing/index.ts";
import { answer } from "./answer.ts";
import { askSelf, readRenewal } from "./ask-self.ts";
import { createEdgeCache, type EdgeCache } from "./cdn/edge-cache.ts";
import { ERRORS, sendError } from "./error-page.ts";
import { type Exchange, openExchange } from "./exchange.ts";
import { callFunction } from "./functions/call.ts";
import { createPool, type FunctionPool } from "./functions/pool.ts";
import { createDataCache } from "./kept/data-cache.ts";
import { openKeptStore } from "./kept/kept-store.ts";
import { openTagTimes } from "./kept/tag-times.ts";
import { createLookup, type Output } from "./lookup.ts";
import { createPrerenders, demandOf, type Prerenders } from "./prerender/prerenders.ts";
import { type ReleaseOutput, readOutput } from "./read-output.ts";
import { sharedHeaders } from "./request-headers.ts";
import { createRuntimeLog, type RuntimeLog } from "./runtime-log.ts";
import { createFileServer } from "./serve-file.ts";

export type OutputServerOptions = {
  /** The release's tree, which `.vercel/output` is in. */
  readonly root: string;
  /** Of this release only: kept answers and the functions' bundles. */
  readonly home: string;
  /** A short path, for the functions' sockets. */
  readonly sockets: string;
  /** Variables of the functions. */
  readonly env: Readonly<Record<string, string>>;
  /** `VERCEL_URL`; empty: the request's host. */
  readonly deploymentUrl: string;
  readonly allowNetworks: readonly string[];
  readonly clock: Clock;
  readonly bornAtMs: number;
  readonly write: (line: string) => void;
  readonly processes?: { readonly limit?: number; readonly idleMs?: number };
};

/** Everything that answering a request needs. */
export type Platform = {
  readonly output: ReleaseOutput;
  readonly table: RouteTable;
  readonly lookup: Lookup<Output>;
  readonly pool: FunctionPool;
  readonly prerenders: Prerenders;
  readonly edge: EdgeCache;
  readonly serveFile: ReturnType<typeof createFileServer>;
  readonly log: RuntimeLog;
  readonly clock: Clock;
  readonly deploymentUrl: string;
  readonly allowNetworks: readonly string[];
};

export type OutputServer = {
  readonly server: http.Server;
  /** Lets what is in flight finish, ends the functions. */
  close(graceMs: number): Promise<void>;
};

const EDGE_LIMITS = { memoryBytes: 16 * 2 ** 20, diskBytes: 256 * 2 ** 20 };
const DATA_LIMITS = { memoryBytes: 16 * 2 ** 20, diskBytes: 256 * 2 ** 20 };

/** Serves one release's Build Output. @throws when the output cannot be read */
export function createOutputServer(options: OutputServerOptions): OutputServer {
  const server = http.createServer((req, res) => void handle(platform, req, res));
  const platform = createPlatform(options, server);
  // The gateway in front has the deadlines for clients; functions have theirs.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 75_000;
  server.on("upgrade", (_req, socket) => {
    const { status, code, message } = ERRORS.upgrade;
    socket.end(
      `HTTP/1.1 ${status} Not Implemented\r\nx-vercel-error: ${code}\r\nconnection: close\r\n\r\n${message}\n`,
    );
  });
  const specs = [...platform.output.functions.values()].flatMap(({ spec }) =>
    typeof spec === "string" ? [] : spec,
  );
  server.once("listening", () => platform.pool.prepare(specs));
  return {
    server,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const done = new AbortController();
      await Promise.race([closed, options.clock.sleep(graceMs, done.signal).catch(() => {})]);
      done.abort();
      await platform.pool.close(graceMs);
      await platform.edge.settled();
      server.closeAllConnections();
    },
  };
}

function createPlatform(options: OutputServerOptions, server: http.Server): Platform {
  const { clock, home, deploymentUrl } = options;
  const output = readOutput(options.root);
  const log = createRuntimeLog(options.write, () => clock.now().getTime());
  const { sockets, env, processes } = options;
  const bundles = join(home, "bundles");
  const tags = openTagTimes(join(home, "tags.json"), clock);
  const data = createDataCache(openKeptStore(join(home, "data"), DATA_LIMITS), tags, clock);
  const answer = (question: unknown) => {
    const renewal = readRenewal(question);
    return renewal === null ? data.answer(question) : askSelf(server, renewal);
  };
  const pool = createPool({ tree: output.root, bundles, sockets, env, clock, answer, ...processes });
  const store = openKeptStore(join(home, "cdn"), EDGE_LIMITS);
  const logProblem = (message: string) => log.problem(null, "serverless", message);
  const edge = createEdgeCache({ store, tags, clock, log: logProblem });
  const prerenders = createPrerenders({
    store: openKeptStore(join(home, "prerender")),
    tags,
    entries: [...output.functions.values()],
    clock,
    bornAtMs: options.bornAtMs,
    log: logProblem,
    call: async ({ path, spec, prerender }, variant, exchange) => {
      if (typeof spec === "string") throw new Error(spec);
      const { query, headers: allowed } = variant;
      const isDemanded = prerender !== null && demandOf(exchange.req, prerender) !== null;
      const revalidate = isDemanded ? prerender.bypassToken : null;
      const place = { deploymentUrl, matchedPath: path, query, allowed, revalidate };
      const headers = sharedHeaders(exchange, place);
      const search = prerender?.passQuery && query.size > 0 ? `?${query}` : "";
      return callFunction(pool, spec, {
        method: "GET",
        url: `${asTarget(path)}${search}`,
        headers,
        body: null,
      });
    },
  });
  return {
    ...{ output, pool, prerenders, edge, log, clock, deploymentUrl },
    table: compileRoutes(output.routes as readonly Route[], output.wildcard),
    lookup: createLookup(output),
    serveFile: createFileServer(),
    allowNetworks: options.allowNetworks,
  };
}

async function handle(platform: Platform, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const nowMs = platform.clock.now().getTime();
  const { url = "/" } = req;
  const at = url.indexOf("?");
  const path = at === -1 ? url : url.slice(0, at);
  const canonical = path.startsWith("/") && !/%00/.test(path) ? canonicalPath(path) : null;
  const query = at === -1 ? "" : url.slice(at);
  const exchange = openExchange(req, res, { path, canonical: canonical ?? "/", query, nowMs });
  if (canonical === null) return sendError(ERRORS.badPath, exchange, null);
  try {
    await answer(platform, exchange);
  } catch (error) {
    unexpected(platform, exchange, error);
  }
}

function unexpected(platform: Platform, exchange: Exchange, error: unknown): void {
  platform.log.problem(exchange, "request", `The request could not be answered: ${messageOf(error)}`);
  sendError(ERRORS.internal, exchange, null);
}

/** What may stand in a request line. */
function asTarget(path: string): string {
  return /^[\u0021-\u007e]*$/.test(path) ? path : encodeURI(path);
}
