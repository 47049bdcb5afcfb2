import type { IncomingMessage } from "node:http";
import { type Answer, sendAnswer, webAnswer } from "./answer.ts";
import { type Look, limitsOf, requireLimits, startLoop } from "./check-loop.ts";
import { machineClock } from "./clock.ts";
import type { CheckOptions, Health, HealthClock, HealthOptions, HealthRequest } from "./options.ts";
import { type Answers, healthBody, render, type State } from "./render.ts";

/** How often the answers are made although nothing has happened: for their time, and for what has become stale. */
const REFRESH_MS = 1_000;
/** So many refreshes in a row that were too late make a process that is not live: one long pause does not. */
const LATE_IN_A_ROW = 5;

/**
 * Starts looking at once, and answers from what was found: an answer costs the same whether a dependency is quick,
 * hangs, or is gone.
 */
export function createHealth(options: HealthOptions): Health {
  const { path: given = "/api/health", details = () => false } = options;
  const path = given.replace(/\/+$/, "");
  // Only a plain yes opens them: neither a promise of an answer, nor a comparison of tokens that threw.
  const mayLook = (request: HealthRequest): boolean => {
    try {
      return details(request) === true;
    } catch {
      return false;
    }
  };
  const kept = keepAnswers(options);
  const answerTo = (url: string, accept: string | null, request: HealthRequest): Answer | null => {
    const which = endpointOf(url, path, accept);
    if (which === null) return null;
    const found: Answers[keyof Answers] = kept.answers()[which];
    return "open" in found ? (mayLook(request) ? found.detailed : found.open) : found;
  };
  // Each is used by itself: `app.use(health.middleware)`.
  const handle: Health["handle"] = (request, response) => {
    const answer = answerTo(urlOf(request), request.headers.accept ?? null, request);
    if (answer !== null) sendAnswer(answer, request, response);
    return answer !== null;
  };
  return {
    handle,
    fetch(request) {
      const answer = answerTo(new URL(request.url).pathname, request.headers.get("accept"), request);
      return answer && webAnswer(answer, request);
    },
    middleware(request, response, next) {
      if (!handle(request, response)) next();
    },
    drain: () => kept.become({ draining: true }),
    fatal: (reason) => kept.become({ dead: reason }),
    read: kept.read,
    checked: kept.checked,
    close: kept.close,
  };
}

/** The loops, and the answers made from what they find. */
function keepAnswers(options: HealthOptions) {
  const { checks, clock = machineClock, version, releaseId, serviceId, description } = options;
  const { maxLagMs = 1_000 } = options;
  for (const [name, check] of Object.entries(checks)) requireLimits(name, check);
  const about = dropUndefined({ version, releaseId, serviceId, description });
  const looks = new Map<string, Look>();
  const waiting = new Set(Object.keys(checks));
  const all = Promise.withResolvers<void>();
  let process: Pick<State, "draining" | "dead"> = { draining: false, dead: null };
  let lateInARow = 0;
  const state = (): State => ({
    checks: Object.entries(checks).map(([name, check]) =>
      checked(name, check, looks.get(name) ?? null, clock),
    ),
    now: clock.now(),
    draining: process.draining,
    dead: process.dead ?? (lateInARow >= LATE_IN_A_ROW ? "the event loop does not keep up" : null),
  });
  let answers = render(state(), about);
  const refresh = () => {
    answers = render(state(), about);
  };
  const loops = Object.entries(checks).map(([name, check]) =>
    startLoop(check, clock, (look) => {
      looks.set(name, look);
      waiting.delete(name);
      refresh();
      if (waiting.size === 0) all.resolve();
    }),
  );
  if (waiting.size === 0) all.resolve();
  let expectedMs = clock.monotonicMs() + REFRESH_MS;
  const timer = setInterval(() => {
    const nowMs = clock.monotonicMs();
    lateInARow = nowMs - expectedMs > maxLagMs ? lateInARow + 1 : 0;
    expectedMs = nowMs + REFRESH_MS;
    refresh();
  }, REFRESH_MS);
  timer.unref();
  return {
    answers: () => answers,
    read: () => healthBody(state(), false),
    checked: () => all.promise,
    become(what: Partial<typeof process>) {
      process = { ...process, ...what };
      refresh();
    },
    close() {
      clearInterval(timer);
      for (const loop of loops) loop.close();
    },
  };
}

function checked(
  name: string,
  check: CheckOptions,
  look: Look | null,
  clock: HealthClock,
): State["checks"][number] {
  const { critical = true, componentType = null } = check;
  const staleMs = look ? Math.max(0, clock.monotonicMs() - look.endedMs - limitsOf(check).maxAgeMs) : 0;
  return { name, critical, componentType, look, staleMs };
}

/** Under a mount point Express shortens `url`; what was asked is in `originalUrl`. */
function urlOf(request: IncomingMessage & { readonly originalUrl?: unknown }): string {
  return typeof request.originalUrl === "string" ? request.originalUrl : (request.url ?? "");
}

function endpointOf(url: string, path: string, accept: string | null): keyof Answers | null {
  if (!url.startsWith(path)) return null;
  const query = url.indexOf("?");
  const rest = url.slice(path.length, query === -1 ? undefined : query);
  if (rest === "/ready") return "ready";
  if (rest === "/live") return "live";
  if (rest !== "" && rest !== "/") return null;
  return accept?.includes("application/health+json") ? "healthJson" : "health";
}

function dropUndefined(fields: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  );
}
