/**
 * The Build Output API's router (version 3): what a release makes of a request. Pure: it reads no file, opens no
 * connection and knows no clock; the caller says what is at a path, and runs middleware when it is asked to.
 *
 * - **route table**: a release's `routes`, compiled once; every route belongs to a **phase**.
 * - **output**: what `lookup` has at a path (file, function, prerender).
 * - **routed**: the outcome; a middleware is one too, and is *resumed* with what it answered.
 *
 * Use: `compileRoutes(routes, wildcard)` once; `routeRequest(table, request, lookup)` for each request, with
 * `canonicalPath` for its path; for an error, or nothing found, `routeError(table, request, lookup, status)`.
 */

export type { Condition, Route, SourceRoute, Transform, Wildcard } from "./route.ts";
export type {
  AnswerHeaders,
  Change,
  Lookup,
  MiddlewareAnswer,
  Routed,
  RoutedError,
  RouteRequest,
} from "./routed.ts";

import type { Route, Wildcard } from "./route.ts";
import type { Change, Lookup, Routed, RoutedError, RouteRequest } from "./routed.ts";

export declare class RouteTable {
  private constructor();
}
/** @throws RouteProblem naming the first route that cannot be used, with its index and why */
export declare function compileRoutes(routes: readonly Route[], wildcard?: readonly Wildcard[]): RouteTable;
export declare function routeRequest<Output>(
  table: RouteTable,
  request: RouteRequest,
  lookup: Lookup<Output>,
): Routed<Output>;
/** @param status what went wrong: 404, or 500 and above for a function that failed */
export declare function routeError<Output>(
  table: RouteTable,
  request: RouteRequest,
  lookup: Lookup<Output>,
  status: number,
): RoutedError<Output>;
/** The one spelling of a path; null for escapes that are none. */
export declare function canonicalPath(path: string): string | null;
/** Makes the changes to headers or parameters: name and values, in order; names are compared in lower case. */
export declare function applyChanges(
  entries: readonly (readonly [string, string])[],
  changes: readonly Change[],
): [string, string][];
