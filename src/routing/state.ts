import { applyChanges, changeOf, seenPathOf } from "./changes.ts";
import type { CompiledRoute, RouteTable } from "./compile.ts";
import { type Asked, allHold, anyHolds } from "./conditions.ts";
import { type Caught, fillHeader, fillLocation } from "./fill.ts";
import { mergeQuery, parametersOf, queryOf } from "./query.ts";
import type { AnswerHeaders, Change, Lookup, RouteRequest } from "./routed.ts";

/** One request on its way through the phases: what does not change. */
export type Walk<Output> = {
  readonly table: RouteTable;
  readonly request: RouteRequest;
  readonly lookup: Lookup<Output>;
  readonly wildcard: string;
};

/** What routes change. A phase works on a copy, so that one that leads nowhere leaves no trace. */
export type State = {
  path: string;
  query: string;
  headers: AnswerHeaders;
  important: AnswerHeaders;
  responseChanges: readonly Change[];
  requestChanges: readonly Change[];
  queryChanges: readonly Change[];
  seenPath: string | null;
  /** Set by a route of this phase. */
  status: number | null;
  /** By the last route that had a destination. */
  caught: Caught | null;
};

export function startState({ path, query }: { path: string; query: string }): State {
  return {
    path,
    query,
    headers: NONE,
    important: NONE,
    responseChanges: UNCHANGED,
    requestChanges: UNCHANGED,
    queryChanges: UNCHANGED,
    seenPath: null,
    status: null,
    caught: null,
  };
}

/** Field by field: for every route that applies, and a spread takes several times as long. */
export function copyOf(state: State): State {
  return {
    path: state.path,
    query: state.query,
    headers: state.headers,
    important: state.important,
    responseChanges: state.responseChanges,
    requestChanges: state.requestChanges,
    queryChanges: state.queryChanges,
    seenPath: state.seenPath,
    status: state.status,
    caught: state.caught,
  };
}

const NONE: AnswerHeaders = {};
const UNCHANGED: readonly Change[] = [];

/** What a route catches of a request; null: it is not about it. */
export function matchRoute<Output>(walk: Walk<Output>, route: CompiledRoute, state: State): Caught | null {
  if (route.methods !== null && !route.methods.has(walk.request.method)) return null;
  const { pattern } = route;
  const { path } = state;
  let match = pattern.regexp.exec(path);
  // The official router tries a path without its leading slash too.
  if (match === null && (route.bare || path.startsWith("//"))) match = pattern.regexp.exec(path.slice(1));
  if (match === null) return null;
  let conditions: Record<string, string> | null = null;
  if (route.has !== null || route.missing !== null) {
    const asked = askedOf(walk, state);
    if (route.missing !== null && anyHolds(route.missing, asked)) return null;
    if (route.has !== null) {
      conditions = allHold(route.has, asked);
      if (conditions === null) return null;
    }
  }
  return { match, pattern, conditions, wildcard: walk.wildcard };
}

/** The request as it would reach a function now. */
export function askedOf<Output>({ request }: Walk<Output>, state: State): Asked {
  const { requestChanges } = state;
  if (requestChanges.length === 0) return { host: request.host, query: state.query, header: request.header };
  const header = (name: string) => {
    const sent = request.header(name);
    const now = applyChanges(sent === undefined ? [] : [[name, sent]], requestChanges);
    const values = now.flatMap((entry) => (entry[0].toLowerCase() === name ? [entry[1]] : []));
    return values.length === 0 ? undefined : values.join(name === "cookie" ? "; " : ", ");
  };
  return { host: request.host, query: state.query, header };
}

/**
 * Adds a route's headers and transforms.
 * @param keeps headers that stay as they are, unless the route's are important
 */
export function addEffects(
  state: State,
  route: CompiledRoute,
  caught: Caught,
  keeps: AnswerHeaders = NONE,
): void {
  if (route.headers.length > 0) addHeaders(state, route, caught, keeps);
  if (route.transforms.length > 0) addTransforms(state, route, caught);
}

function addHeaders(state: State, route: CompiledRoute, caught: Caught, keeps: AnswerHeaders): void {
  const headers: Record<string, string | readonly string[]> = { ...state.headers };
  const important: Record<string, string> = {};
  for (const [name, value] of route.headers) {
    if (!route.important && Object.hasOwn(keeps, name)) continue;
    const filled = name === "location" ? fillLocation(value, caught) : fillHeader(value, caught);
    headers[name] = filled;
    if (route.important) important[name] = filled;
  }
  state.headers = headers;
  if (route.important) state.important = { ...state.important, ...important };
}

function addTransforms(state: State, route: CompiledRoute, caught: Caught): void {
  // Requests are changed by every route on the way, the answer by the last one that has transforms: as at Vercel.
  state.responseChanges = UNCHANGED;
  for (const transform of route.transforms) {
    if (transform.type === "request.path") {
      state.seenPath = seenPathOf(transform.path, caught) ?? state.seenPath;
      continue;
    }
    const change = changeOf(transform, caught);
    if (change === null) continue;
    if (transform.type === "request.query") state.queryChanges = [...state.queryChanges, change];
    else if (transform.type === "request.headers") state.requestChanges = [...state.requestChanges, change];
    else state.responseChanges = [...state.responseChanges, change];
  }
}

export function moveTo(
  state: State,
  to: { readonly path: string; readonly query: string },
  caught: Caught,
): void {
  state.path = to.path;
  state.query = mergeQuery(state.query, to.query);
  state.caught = caught;
}

export function finalQuery({ query, queryChanges }: State): string {
  return queryChanges.length === 0
    ? query
    : queryOf(applyChanges(parametersOf(query), queryChanges, "parameters"));
}

/** What an outcome takes along of a state. */
export function broughtAlong({ headers, important, responseChanges, requestChanges }: State) {
  return { headers, important, responseChanges, requestChanges };
}
