import { type CompiledTransform, compileTransform } from "./changes.ts";
import { type CompiledCondition, compileCondition } from "./conditions.ts";
import { parseTemplate, type Template } from "./fill.ts";
import { type CompiledLocale, compileLocale } from "./locale.ts";
import { type Destination, parseDestination } from "./path.ts";
import { type Pattern, translatePcre } from "./pcre.ts";
import type { Route, SourceRoute, Wildcard } from "./route.ts";

export type Phase = "start" | "filesystem" | "hit" | "miss" | "rewrite" | "resource" | "error";

/** A release's routes, ready to be asked. */
export type RouteTable = {
  readonly phases: Readonly<Record<Phase, readonly CompiledRoute[]>>;
  readonly wildcard: ReadonlyMap<string, string>;
};

export type CompiledRoute = {
  readonly pattern: Pattern;
  /** The pattern may match a path without its leading slash. */
  readonly bare: boolean;
  readonly methods: ReadonlySet<string> | null;
  readonly has: readonly CompiledCondition[] | null;
  readonly missing: readonly CompiledCondition[] | null;
  readonly dest: Template | null;
  /** The destination where nothing is to be filled in. */
  readonly fixedDest: Destination | null;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, Template])[];
  readonly status: number | null;
  readonly continues: boolean;
  readonly check: boolean;
  readonly important: boolean;
  readonly denies: boolean;
  readonly middlewarePath: string | null;
  readonly locale: CompiledLocale | null;
  readonly transforms: readonly CompiledTransform[];
};

/** A route that cannot be used as it is meant. */
export class RouteProblem extends Error {
  /** Of the route in `routes`. */
  readonly index: number;
  constructor(index: number, problem: string) {
    super(`routes.${index}: ${problem}`);
    this.name = "RouteProblem";
    this.index = index;
  }
}

/**
 * Compiles a Build Output's routes.
 * @throws RouteProblem for the first route that cannot be used as it is meant: better no release than one that
 * serves to everyone what a route keeps for some
 */
export function compileRoutes(routes: readonly Route[], wildcard: readonly Wildcard[] = []): RouteTable {
  const phases: Record<Phase, CompiledRoute[]> = {
    start: [],
    filesystem: [],
    hit: [],
    miss: [],
    rewrite: [],
    resource: [],
    error: [],
  };
  let phase: Phase = "start";
  for (const [index, route] of routes.entries()) {
    if ("handle" in route) {
      if (!Object.hasOwn(phases, route.handle))
        throw new RouteProblem(index, `no phase "${route.handle}" is known`);
      phase = route.handle;
      continue;
    }
    if (route.middlewarePath !== undefined && phase !== "start")
      throw new RouteProblem(index, `a middleware in the phase "${phase}" would not be run`);
    try {
      phases[phase].push(compileRoute(route));
    } catch (error) {
      throw new RouteProblem(index, error instanceof Error ? error.message : String(error));
    }
  }
  return { phases, wildcard: new Map(wildcard.map(({ domain, value }) => [domain.toLowerCase(), value])) };
}

export const NO_ROUTES: RouteTable = compileRoutes([]);

/**
 * `override` has no part here: it tells the build in which order to merge the routes of several builders. Read as
 * "drop the headers so far", it would drop the author's own for every rewrite that Next.js makes with it.
 */
function compileRoute(route: SourceRoute): CompiledRoute {
  const src = anchored(route.src);
  const dest = route.dest === undefined ? null : parseTemplate(route.dest);
  return {
    pattern: translatePcre(src, route.caseSensitive === true),
    bare: !/^\^\/(?![?*{])[^|]*$/.test(src),
    methods:
      route.methods === undefined ? null : new Set(route.methods.map((method) => method.toUpperCase())),
    has: conditionsOf(route.has),
    missing: conditionsOf(route.missing),
    dest,
    fixedDest: dest !== null && dest.parts === null ? parseDestination(dest.text) : null,
    headers: Object.entries(route.headers ?? {}).map(
      ([name, value]) => [name.toLowerCase(), parseTemplate(value)] as const,
    ),
    status: route.status ?? null,
    continues: route.continue === true,
    check: route.check === true,
    important: route.important === true,
    denies: route.mitigate?.action === "deny",
    middlewarePath: route.middlewarePath ?? null,
    locale: route.locale === undefined ? null : compileLocale(route.locale),
    transforms: (route.transforms ?? []).map(compileTransform),
  };
}

/**
 * A pattern is for the whole path. `@vercel/routing-utils` writes the anchors that are not there, letter by letter
 * as here; what a framework writes without them (`/` of Next.js' locale redirect) is meant so too.
 */
function anchored(src: string): string {
  return `${src.startsWith("^") ? "" : "^"}${src}${src.endsWith("$") ? "" : "$"}`;
}

function conditionsOf(conditions: SourceRoute["has"]): CompiledCondition[] | null {
  return conditions === undefined || conditions.length === 0 ? null : conditions.map(compileCondition);
}
