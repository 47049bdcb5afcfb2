import type { CompiledRoute, Phase, RouteTable } from "./compile.ts";
import { type Caught, everythingCaught, fillLocation, fillUrl } from "./fill.ts";
import { localeRedirect } from "./locale.ts";
import { readMiddleware } from "./middleware.ts";
import { canonicalPath, parseDestination } from "./path.ts";
import { mergeQuery, passQuery } from "./query.ts";
import type { AnswerHeaders, Lookup, MiddlewareAnswer, Routed, RouteRequest } from "./routed.ts";
import {
  addEffects,
  askedOf,
  broughtAlong,
  copyOf,
  finalQuery,
  matchRoute,
  moveTo,
  type State,
  startState,
  type Walk,
} from "./state.ts";

/**
 * Routes a request through the phases: start, the output at the path, miss; then filesystem, rewrite and resource,
 * each with the output at the path it leads to, and miss. What is found goes through hit.
 *
 * A route that ends its phase and leads nowhere is undone: the next phase begins as if it had not been, but for
 * transforms. One that continues stays. So do the official development router and, by the experiments of
 * fastly/serve-vercel-build-output, Vercel's network. It ends for every table: only `check` looks into other phases,
 * and only from start, filesystem and resource into miss, and from there into rewrite.
 */
export function routeRequest<Output>(
  table: RouteTable,
  request: RouteRequest,
  lookup: Lookup<Output>,
): Routed<Output> {
  const walk: Walk<Output> = { table, request, lookup, wildcard: table.wildcard.get(request.host) ?? "" };
  const state = startState(request);
  return afterStart(walk, state, runPhase(walk, "start", state));
}

/** How a phase ended: with an outcome, or with a state to look at. */
type Step<Output> =
  | { readonly ended: Routed<Output> }
  | {
      readonly ended: null;
      readonly state: State;
      /** A route without `continue` applied. */
      readonly matched: boolean;
      /** ... and had a destination. */
      readonly byDest: boolean;
      /** What is at the state's path, where that was looked up already. */
      readonly output: Output | null;
    };

type Open<Output> = Extract<Step<Output>, { ended: null }>;

function afterStart<Output>(walk: Walk<Output>, begun: State, start: Step<Output>): Routed<Output> {
  if (start.ended !== null) return start.ended;
  const settled = settle(walk, start);
  if (settled.ended !== null) return settled.ended;
  const base = start.matched ? undo(start.state, begun) : start.state;
  const { phases } = walk.table;
  if (phases.filesystem.length === 0 && phases.rewrite.length === 0) return afterFiles(walk, base, settled);
  const filesystem = runPhase(walk, "filesystem", base);
  if (filesystem.ended !== null) return filesystem.ended;
  const last = phases.filesystem.length === 0 ? settled : settle(walk, filesystem);
  if (last.ended !== null) return last.ended;
  const rewritten = rewrite(walk, filesystem.state);
  const found = rewritten?.ended === null ? settle(walk, rewritten) : rewritten;
  if (found !== null && found.ended !== null) return found.ended;
  return afterFiles(walk, filesystem.matched ? undo(filesystem.state, base) : filesystem.state, last);
}

/** A phase that led nowhere leaves its transforms, and nothing else. */
function undo({ responseChanges, requestChanges, queryChanges, seenPath }: State, begun: State): State {
  return { ...begun, responseChanges, requestChanges, queryChanges, seenPath };
}

/** The resource phase, which comes last. */
function afterFiles<Output>(walk: Walk<Output>, base: State, before: Open<Output>): Routed<Output> {
  let last = before;
  if (walk.table.phases.resource.length > 0) {
    const step = runPhase(walk, "resource", base);
    const settled = step.ended === null ? settle(walk, step) : step;
    if (settled.ended !== null) return settled.ended;
    last = settled;
  }
  const { state } = last;
  if (state.status !== null && state.status >= 400) return statusOf(state, state.status);
  return { kind: "none", ...whereOf(state), ...broughtAlong(state) };
}

function statusOf<Output>(state: State, status: number): Routed<Output> {
  return { kind: "status", status, ...whereOf(state), ...broughtAlong(state) };
}

const whereOf = (state: State) => ({ path: state.path, query: finalQuery(state) });

/** Looks at what a phase left: an output there, a status that ends it, or what the miss phase makes of it. */
function settle<Output>(walk: Walk<Output>, step: Open<Output>): Step<Output> {
  const seen = answerOf(walk, step);
  if (seen !== null) return { ended: seen };
  if (walk.table.phases.miss.length === 0) return step;
  const missed = runPhase(walk, "miss", step.state);
  if (missed.ended !== null) return missed;
  const answer = answerOf(walk, missed);
  return answer === null ? missed : { ended: answer };
}

function answerOf<Output>(
  walk: Walk<Output>,
  { state, byDest, output }: Open<Output>,
): Routed<Output> | null {
  const found = output ?? walk.lookup(state.path);
  if (found !== null) return hit(walk, state, found);
  if (state.status === null || byDest) return null;
  return statusOf(state, state.status);
}

/** Goes through one phase's routes in order. What is passed in is not changed: the first match works on a copy. */
function runPhase<Output>(walk: Walk<Output>, phase: Phase, from: State, first = 0): Step<Output> {
  const routes = walk.table.phases[phase];
  let state: State = first === 0 && from.status !== null ? { ...from, status: null } : from;
  for (let index = first; index < routes.length; index++) {
    const route = routes[index] as CompiledRoute;
    const caught = matchRoute(walk, route, state);
    if (caught === null) continue;
    if (state === from) state = copyOf(from);
    if (route.middlewarePath !== null)
      return { ended: middleware(walk, from, state, route.middlewarePath, index) };
    const step = applyRoute(walk, phase, route, caught, state, phase === "miss" ? from.headers : undefined);
    if (step !== null) return step;
  }
  return { ended: null, state, matched: false, byDest: false, output: null };
}

/** Null: the phase goes on with the next route. */
function applyRoute<Output>(
  walk: Walk<Output>,
  phase: Phase,
  route: CompiledRoute,
  caught: Caught,
  state: State,
  keeps: AnswerHeaders | undefined,
): Step<Output> | null {
  addEffects(state, route, caught, keeps);
  if (route.denies) return { ended: statusOf(state, 403) };
  const dest =
    route.fixedDest ?? (route.dest === null ? null : parseDestination(fillUrl(route.dest, caught)));
  const redirected = redirect(walk, route, state, caught);
  if (redirected !== null) return { ended: redirected };
  if (dest !== null && "url" in dest) return { ended: external(state, dest.url) };
  if (dest !== null) moveTo(state, dest, caught);
  if (route.continues) {
    state.status = route.status ?? state.status;
    return null;
  }
  // "Answer 401" is about whatever is there: a file must not come along with the refusal.
  if (dest === null && !route.check && route.status !== null && route.status >= 400) {
    return { ended: statusOf(state, route.status) };
  }
  const output = route.check ? walk.lookup(state.path) : null;
  if (route.check && output === null && (route.status === null || phase === "miss")) {
    state.status = route.status ?? state.status;
    return route.status === null ? lookFurther(walk, phase, state) : null;
  }
  state.status = route.status ?? state.status;
  return { ended: null, state, matched: true, byDest: dest !== null, output };
}

/** What a checked path leads to where nothing is at it. Null: nowhere. */
function lookFurther<Output>(walk: Walk<Output>, phase: Phase, state: State): Step<Output> | null {
  if (phase === "rewrite") return null;
  if (phase !== "miss" && walk.table.phases.miss.length > 0) {
    const missed = runPhase(walk, "miss", state);
    if (missed.ended !== null || missed.matched) return missed;
  }
  return rewrite(walk, state);
}

/** What the rewrite phase (dynamic routes) makes of a path. Null: it leads nowhere. */
function rewrite<Output>(walk: Walk<Output>, state: State): Step<Output> | null {
  if (walk.table.phases.rewrite.length === 0) return null;
  const step = runPhase(walk, "rewrite", state);
  if (step.ended !== null) return step;
  const output = step.output ?? walk.lookup(step.state.path);
  const isAnswer = output !== null || (step.matched && !step.byDest && step.state.status !== null);
  return isAnswer ? { ...step, output } : null;
}

/** A redirect ends routing at once, also where its route says `continue`: that only places it in the build's merge. */
function redirect<Output>(
  walk: Walk<Output>,
  route: CompiledRoute,
  state: State,
  caught: Caught,
): Routed<Output> | null {
  if (route.locale !== null) {
    const to = localeRedirect(route.locale, { ...askedOf(walk, state), path: state.path });
    if (to !== null) return redirectTo(state, 307, to);
  }
  if (route.status === null || route.status < 300 || route.status > 399) return null;
  const { query } = walk.request;
  const { location } = state.headers;
  if (location !== undefined)
    return redirectTo(state, route.status, passQuery([location].flat()[0] ?? "", query));
  if (route.dest === null) return null;
  const to = fillLocation(route.dest, caught);
  const target = /^(?:\/|https?:\/\/)/i.test(to) ? to : `/${to}`;
  return redirectTo(state, route.status, passQuery(target, query));
}

function redirectTo<Output>(state: State, status: number, location: string): Routed<Output> {
  return { ...broughtAlong(state), kind: "redirect", status, headers: { ...state.headers, location } };
}

function external<Output>(state: State, url: string): Routed<Output> {
  const bare = url.split("#", 1)[0] ?? "";
  const mark = bare.indexOf("?");
  const query = mergeQuery(state.query, mark === -1 ? "" : bare.slice(mark));
  const to = mark === -1 ? bare : bare.slice(0, mark);
  return { kind: "external", url: to + finalQuery({ ...state, query }), ...broughtAlong(state) };
}

/** Only headers: what is found is what is answered. */
function hit<Output>(walk: Walk<Output>, found: State, output: Output): Routed<Output> {
  let state = found;
  for (const route of walk.table.phases.hit) {
    const caught = matchRoute(walk, route, state);
    if (caught === null) continue;
    if (state === found) state = copyOf(found);
    addEffects(state, route, caught, found.headers);
    if (!route.continues) break;
  }
  // Every request for a file ends here: written out, it costs a third of what spreading does.
  return {
    kind: "output",
    output,
    path: state.path,
    query: finalQuery(state),
    status: state.status,
    matches: state.caught === null ? NOTHING_CAUGHT : everythingCaught(state.caught),
    seenPath: state.seenPath,
    headers: state.headers,
    important: state.important,
    responseChanges: state.responseChanges,
    requestChanges: state.requestChanges,
  };
}

const NOTHING_CAUGHT: Readonly<Record<string, string>> = {};

function middleware<Output>(
  walk: Walk<Output>,
  begun: State,
  state: State,
  middlewarePath: string,
  index: number,
): Routed<Output> {
  const resume = (answer: MiddlewareAnswer): Routed<Output> => {
    const verdict = readMiddleware(answer, walk.request.host);
    const now: State = {
      ...state,
      headers: withLines(state.headers, verdict.headers),
      requestChanges: [...state.requestChanges, ...verdict.requestChanges],
    };
    if (verdict.kind === "response") return { kind: "response", status: answer.status, ...broughtAlong(now) };
    if (verdict.kind === "rewrite") {
      if ("url" in verdict.to) return { kind: "external", url: verdict.to.url, ...broughtAlong(now) };
      now.path = canonicalPath(verdict.to.path) ?? verdict.to.path;
      now.query = verdict.to.query;
    }
    // What it said stays, whatever the routes after it lead to.
    const { headers, requestChanges, path, query } = now;
    return afterStart(
      walk,
      { ...begun, headers, requestChanges, path, query },
      runPhase(walk, "start", now, index + 1),
    );
  };
  const { headers, ...rest } = broughtAlong(state);
  return { kind: "middleware", middlewarePath, ...whereOf(state), resume, headers, ...rest };
}

/** A middleware's headers replace a route's; its cookies join them. */
function withLines(
  headers: AnswerHeaders,
  added: readonly (readonly [name: string, value: string])[],
): AnswerHeaders {
  const lines: Record<string, string | string[]> = {};
  for (const [name, value] of added) {
    const before = lines[name];
    lines[name] = before === undefined ? value : [before, value].flat();
  }
  const cookies = [headers["set-cookie"] ?? [], lines["set-cookie"] ?? []].flat();
  if (cookies.length > 1) lines["set-cookie"] = cookies;
  return { ...headers, ...lines };
}
