import type { RouteTable } from "./compile.ts";
import { fillUrl } from "./fill.ts";
import { parseDestination } from "./path.ts";
import type { AnswerHeaders, Change, Lookup, RoutedError, RouteRequest } from "./routed.ts";
import { addEffects, broughtAlong, finalQuery, matchRoute, moveTo, startState, type Walk } from "./state.ts";

/** What routing had found before it failed: a `Routed` of most kinds is one. */
export type Failed = {
  readonly path?: string;
  readonly query?: string;
  readonly headers?: AnswerHeaders;
  readonly important?: AnswerHeaders;
  readonly responseChanges?: readonly Change[];
};

/**
 * The page of an error: what a route of the error phase for this status leads to, else `/404.html` and its like.
 * @param status 404 for what is not there, 500 and above for a function that failed
 * @param failed its path is matched, and its headers are kept
 */
export function routeError<Output>(
  table: RouteTable,
  request: RouteRequest,
  lookup: Lookup<Output>,
  status: number,
  failed: Failed = {},
): RoutedError<Output> {
  const walk: Walk<Output> = { table, request, lookup, wildcard: table.wildcard.get(request.host) ?? "" };
  const { headers = {}, important = {}, responseChanges = [] } = failed;
  const { path = request.path, query = request.query } = failed;
  let state = { ...startState({ path, query }), headers, important, responseChanges };
  let output: Output | null = null;
  for (const route of table.phases.error) {
    if (route.status !== null && route.status !== status) continue;
    const caught = matchRoute(walk, route, state);
    if (caught === null) continue;
    const tried = { ...state };
    addEffects(tried, route, caught);
    const dest = route.dest === null ? null : parseDestination(fillUrl(route.dest, caught));
    // A page of another host is nothing that can be looked up here.
    const path = dest === null || "url" in dest ? null : dest.path;
    if (path !== null) moveTo(tried, dest as { path: string; query: string }, caught);
    output = path === null ? null : lookup(path);
    if (dest === null || output !== null || route.continues) state = tried;
    if (output !== null || !route.continues) break;
  }
  if (output === null) {
    output = lookup(`/${status}.html`) ?? lookup(`/${status}`);
    if (output !== null) state.path = `/${status}.html`;
  }
  const { requestChanges: _, ...along } = broughtAlong(state);
  return { output, path: state.path, query: finalQuery(state), status, ...along };
}
