import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { type Answer, type Health, type HealthBody, jsonAnswer, sendAnswer } from "../health/index.ts";
import { asHealthJson, type HealthRow, healthBody, roundMs, type Service, serviceOf } from "./health-body.ts";
import { readHealthRows, readProber } from "./health-queries.ts";
import { prepareAnswers } from "./prepared-answers.ts";
import type { CheckTables } from "./tables.ts";

export type HealthBoard = {
  /** Answers what it can from memory. False: the request is somebody else's. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** The same, for those who have to be asked first. Null: there is no such environment. */
  read(place?: Place): HealthBody | null;
  /** Something has changed: read soon. */
  wake(): void;
  close(): Promise<void>;
};

type Place = { readonly project: string; readonly environment: string };
type Deps = {
  readonly db: Database<CheckTables>;
  readonly clock: Clock;
  readonly log: Log;
  readonly own: Health;
};

const PATH = "/api/health";
const REFRESH_MS = 1_000;
/** However much changes, the table is not read more often. */
const SHORTEST_MS = 100;
/** A read that takes longer goes on, and the answers are made without it: a database that hangs must not stop time. */
const LONGEST_READ_MS = 500;
/** A prober reports every few seconds; one that did not for so long is gone. */
const PROBER_SILENT_MS = 15_000;

/**
 * Keeps the answer to `GET /api/health` ready: who asks causes neither a query nor the making of JSON. The rows are
 * read once a second, and at once when a state has changed; what was asked for lately is then made anew. While the
 * database is away, or hangs, the last rows go on ageing, until what they say is stale.
 */
export function keepHealth(deps: Deps): HealthBoard {
  const { clock, own } = deps;
  const closing = new AbortController();
  let rows: readonly HealthRow[] = [];
  let prober: Awaited<ReturnType<typeof readProber>> = null;
  const answers = prepareAnswers();
  let woken = Promise.withResolvers<void>();
  const body = (place?: Place): HealthBody | null => {
    const now = clock.now();
    if (place) return environmentBody(rows, place, now);
    return healthBody(allServices(own.read(), proberService(prober, now), rows, now), now);
  };
  let reading: Promise<void> | null = null;
  const read = async () => {
    try {
      [rows, prober] = await Promise.all([readHealthRows(deps.db), readProber(deps.db)]);
    } catch (error) {
      deps.log.debug({ reason: messageOf(error) }, "the states of the checks cannot be read now");
    }
    reading = null;
  };
  const within = async (ms: number, event: Promise<void>) => {
    const pause = new AbortController();
    const ends = AbortSignal.any([pause.signal, closing.signal]);
    await Promise.race([event, clock.sleep(ms, ends).catch(() => {})]);
    pause.abort();
  };
  const loop = async () => {
    while (!closing.signal.aborted) {
      woken = Promise.withResolvers();
      reading ??= read();
      await within(LONGEST_READ_MS, reading);
      await answers.refresh();
      await clock.sleep(SHORTEST_MS, closing.signal).catch(() => {});
      await within(REFRESH_MS - SHORTEST_MS, woken.promise);
    }
  };
  const running = loop();
  return {
    handle(request, response) {
      const url = request.url ?? "";
      if (!url.startsWith(PATH)) return false;
      if (!isPlain(url)) return own.handle(request, response);
      // Those with a token are told more, and have to be asked who they are.
      if (request.headers.authorization !== undefined) return false;
      const form = request.headers.accept?.includes("application/health+json") ? "health+json" : "json";
      const place = placeOf(url);
      if (place === undefined) return false;
      const encoding = request.headers["accept-encoding"];
      const answer = answers.answer(keyOf(form, place), encoding, () => answerTo(body, place, form));
      if (answer === null) return false;
      sendAnswer(answer, request, response);
      return true;
    },
    read: body,
    wake: () => woken.resolve(),
    async close() {
      closing.abort();
      woken.resolve();
      await running;
    },
  };
}

/** The question itself, not what is under it. */
function isPlain(url: string): boolean {
  const at = url.startsWith("/", PATH.length) ? PATH.length + 1 : PATH.length;
  return url.length === at || url[at] === "?";
}

/** Null: all places. Undefined: it is not asked as it should be, and the routes say so. */
function placeOf(url: string): Place | null | undefined {
  const at = url.indexOf("?");
  if (at === -1) return null;
  const query = new URLSearchParams(url.slice(at));
  const [project, environment] = [query.get("project"), query.get("environment")];
  if (project === null && environment === null) return null;
  return project === null || environment === null ? undefined : { project, environment };
}

/** By what is meant, not by how it was written: whoever varies the address must not have each answer made anew. */
function keyOf(form: string, place: Place | null): string {
  return place === null ? form : JSON.stringify([form, place.project, place.environment]);
}

/** Null: this cannot be answered from memory, so that it is looked at properly. */
function answerTo(body: HealthBoard["read"], place: Place | null, form: string): Answer | null {
  const found = place === null ? body() : body(place);
  if (found === null) return null;
  const status = found.status === "unhealthy" ? 503 : 200;
  if (form === "json") return jsonAnswer(status, found);
  return jsonAnswer(status, asHealthJson(found), "application/health+json");
}

function allServices(
  own: HealthBody,
  prober: Service,
  rows: readonly HealthRow[],
  now: Date,
): ReadonlyMap<string, Service> {
  const services = new Map<string, Service>();
  for (const [name, shown] of Object.entries(own.services)) services.set(name, { critical: true, shown });
  services.set("prober", prober);
  for (const row of rows)
    services.set(`${row.project}/${row.environment}/${row.name}`, serviceOf(row, now.getTime()));
  return services;
}

function environmentBody(rows: readonly HealthRow[], place: Place, now: Date): HealthBody | null {
  const own = rows.filter((row) => row.project === place.project && row.environment === place.environment);
  if (own.length === 0) return null;
  return healthBody(new Map(own.map((row) => [row.name, serviceOf(row, now.getTime())])), now);
}

/** Not critical by itself: without one, what is critical becomes stale and says so. */
function proberService(prober: Awaited<ReturnType<typeof readProber>>, now: Date): Service {
  const silent = prober === null || now.getTime() - prober.seenAt.getTime() > PROBER_SILENT_MS;
  return {
    critical: false,
    shown: {
      status: silent ? "down" : "up",
      latency: roundMs(prober?.latenessMs ?? null),
      lastCheck: prober?.seenAt.toISOString() ?? null,
    },
  };
}
