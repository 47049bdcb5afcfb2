/**
 * The Build Output API's router (version 3): what a release makes of a request. Pure: it reads no file, opens no
 * connection and knows no clock; the caller says what is at a path, and runs middleware when it is asked to.
 *
 * - **route table**: a release's `routes`, compiled once; every route belongs to a **phase**.
 * - **output**: what `lookup` has at a path (file, function, prerender).
 * - **routed**: the outcome; a middleware is one too, and is *resumed* with what it answered.
 *
 * Use: `compileRoutes(routes, wildcard)` once; `routeRequest(table, request, lookup)` for each request, with
 * `canonicalPath` for its path; for an error, or nothing found, `routeError(table, request, lookup, status, routed)`.
 */
export { applyChanges } from "./changes.ts";
export { compileRoutes, NO_ROUTES, RouteProblem, type RouteTable } from "./compile.ts";
export { type Failed, routeError } from "./error.ts";
export { canonicalPath } from "./path.ts";
export { routeRequest } from "./phases.ts";
export type { Comparison, Condition, Route, SourceRoute, Transform, Wildcard } from "./route.ts";
export type {
  AnswerHeaders,
  Change,
  Lookup,
  MiddlewareAnswer,
  Routed,
  RoutedError,
  RouteRequest,
} from "./routed.ts";
