import type { Route } from "./snapshot.ts";

/**
 * Build Output API v3 routing, the static subset (vercel.com/docs/build-output-api/configuration): routes before
 * any `handle` run first, then the filesystem, then each later phase where it applies.
 */
export type CompiledRoutes = Readonly<Record<Phase, readonly CompiledRoute[]>>;

type Phase = "start" | "filesystem" | "resource" | "miss" | "rewrite" | "hit" | "error";

type CompiledRoute = {
  readonly pattern: RegExp;
  readonly dest: string | null;
  readonly headers: readonly (readonly [string, string])[];
  readonly methods: ReadonlySet<string> | null;
  readonly status: number | null;
  readonly continues: boolean;
  readonly check: boolean;
};

export type RouteRequest = { readonly method: string; readonly path: string; readonly query: string };

/** What routing makes of a request. `headers` are to be set on the answer, names in lower case. */
export type Routed = { readonly headers: Readonly<Record<string, string>> } & (
  | { readonly kind: "file"; readonly path: string; readonly status: number }
  | { readonly kind: "redirect"; readonly status: number }
  /** An answer without a file: `status: 404` and the like. */
  | { readonly kind: "status"; readonly status: number }
  /** Nothing here answers: the release's process does, at this path, or it is a 404. */
  | { readonly kind: "none"; readonly path: string; readonly query: string }
  | { readonly kind: "external"; readonly url: string }
);

export function compileRoutes(routes: readonly Route[]): CompiledRoutes {
  const phases: Record<Phase, CompiledRoute[]> = {
    start: [],
    filesystem: [],
    resource: [],
    miss: [],
    rewrite: [],
    hit: [],
    error: [],
  };
  let phase: Phase = "start";
  for (const route of routes) {
    if ("handle" in route) phase = route.handle;
    else phases[phase].push(compileRoute(route));
  }
  return phases;
}

/** @param fileOf the manifest's file that answers a path, or null */
export function routeRequest(
  routes: CompiledRoutes,
  request: RouteRequest,
  fileOf: (path: string) => string | null,
): Routed {
  const walk: Walk = { routes, fileOf, method: request.method, headers: {}, status: null };
  let { path, query } = request;
  for (const phase of ["start", "filesystem", "miss", "rewrite", "resource"] as const) {
    const stepped = runPhase(walk, phase, path, query);
    if ("kind" in stepped) return stepped;
    ({ path, query } = stepped);
    const file = phase === "start" || stepped.moved ? fileOf(path) : null;
    if (file !== null) return hit(walk, file, path);
  }
  return { kind: "none", path, query, headers: walk.headers };
}

/** The page for an error status: a route of the error phase, else `/404.html` and its kin. */
export function routeError(
  routes: CompiledRoutes | null,
  status: number,
  path: string,
  fileOf: (path: string) => string | null,
): { readonly path: string | null; readonly headers: Readonly<Record<string, string>> } {
  const headers: Record<string, string> = {};
  for (const route of routes?.error ?? []) {
    const match = route.pattern.exec(path);
    if (match === null || (route.status !== null && route.status !== status)) continue;
    addHeaders(headers, route, match);
    const file = route.dest === null ? null : fileOf(splitDest(fill(route.dest, match)).path);
    if (file !== null) return { path: file, headers };
  }
  return { path: fileOf(`/${status}.html`), headers };
}

type Walk = {
  readonly routes: CompiledRoutes;
  readonly fileOf: (path: string) => string | null;
  readonly method: string;
  readonly headers: Record<string, string>;
  status: number | null;
};

type Moved = { readonly path: string; readonly query: string; readonly moved: boolean };

/** Goes through one phase's routes in order, until one ends the phase or the whole request. */
function runPhase(walk: Walk, phase: Phase, startPath: string, startQuery: string): Routed | Moved {
  let path = startPath;
  let query = startQuery;
  let moved = false;
  for (const route of walk.routes[phase]) {
    if (route.methods !== null && !route.methods.has(walk.method)) continue;
    const match = route.pattern.exec(path);
    if (match === null) continue;
    addHeaders(walk.headers, route, match);
    const isRedirect = route.status !== null && route.status >= 300 && route.status < 400;
    if (isRedirect && "location" in walk.headers) {
      return { kind: "redirect", status: route.status ?? 307, headers: walk.headers };
    }
    if (route.status !== null) walk.status = route.status;
    if (route.dest !== null) {
      const dest = splitDest(fill(route.dest, match));
      if (dest.external) return { kind: "external", url: dest.path, headers: walk.headers };
      path = dest.path;
      query = mergeQuery(query, dest.query);
      moved = true;
    }
    if (route.continues) continue;
    if (route.dest === null && route.status !== null) {
      return { kind: "status", status: route.status, headers: walk.headers };
    }
    // `check`: the destination only counts when it is there; otherwise the later routes see the new path.
    if (route.check && walk.fileOf(path) === null) continue;
    break;
  }
  return { path, query, moved };
}

function hit(walk: Walk, file: string, path: string): Routed {
  for (const route of walk.routes.hit) {
    const match = route.pattern.exec(path);
    if (match !== null) addHeaders(walk.headers, route, match);
    if (match !== null && !route.continues) break;
  }
  return { kind: "file", path: file, status: walk.status ?? 200, headers: walk.headers };
}

function compileRoute(route: Exclude<Route, { handle: unknown }>): CompiledRoute {
  return {
    pattern: new RegExp(anchored(route.src), "i"),
    dest: route.dest ?? null,
    headers: Object.entries(route.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const),
    methods:
      route.methods === undefined ? null : new Set(route.methods.map((method) => method.toUpperCase())),
    status: route.status ?? null,
    continues: route.continue === true,
    check: route.check === true,
  };
}

/** `src` matches the whole path whether or not it says so. PCRE's `(?<name>…)` is JavaScript's. */
function anchored(src: string): string {
  return `${src.startsWith("^") ? "" : "^"}${src}${src.endsWith("$") ? "" : "$"}`.replaceAll("(?P<", "(?<");
}

function addHeaders(headers: Record<string, string>, route: CompiledRoute, match: RegExpExecArray): void {
  for (const [name, value] of route.headers) headers[name] = fill(value, match);
}

/** `$1`, `$name` and `${name}` become what the pattern caught. */
function fill(template: string, match: RegExpExecArray): string {
  return template.replace(/\$(?:\{(\w+)\}|(\d+)|([A-Za-z_]\w*))/g, (_, braced, digits, name) => {
    const key: string = braced ?? digits ?? name;
    return (/^\d+$/.test(key) ? match[Number(key)] : match.groups?.[key]) ?? "";
  });
}

function splitDest(dest: string): { path: string; query: string; external: boolean } {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(dest)) return { path: dest, query: "", external: true };
  const mark = dest.indexOf("?");
  const path = mark === -1 ? dest : dest.slice(0, mark);
  return {
    path: path.startsWith("/") ? path : `/${path}`,
    query: mark === -1 ? "" : dest.slice(mark),
    external: false,
  };
}

/** A destination's own parameters come first: they win for whoever takes the first of a name. */
function mergeQuery(query: string, added: string): string {
  if (added.length <= 1) return query;
  return query.length <= 1 ? added : `${added}&${query.slice(1)}`;
}
