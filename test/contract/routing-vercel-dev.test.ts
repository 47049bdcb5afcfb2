/**
 * Our router against the official one: the same generated route tables and requests, answered by `vercel dev` of the
 * pinned CLI and by us. What `vercel dev` does not do as Vercel's network does is not generated, or not compared:
 *
 * - `rewrite` and `resource` phases, `has`, `missing`, `caseSensitive`, `locale`, `middlewarePath`, `important`: its
 *   router does not read them.
 * - A start phase with phases after it whose last route does not match and continue: it then forgets what the
 *   routes that did continue have set (`isContinue` is about the last route only). Such tables end their start phase
 *   with a route that matches everything and continues.
 * - A redirect that says `continue`: it goes on and redirects at the end of the phase, where later routes may have
 *   changed the target. The build says `continue` there only to keep the route's place.
 * - A query in a destination that is not final (`continue`, `check`): it matches later routes against path and query.
 * - A hit phase together with a miss phase: it skips the hit phase for what the miss phase found.
 * - An error phase whose routes have another status than 404: it does not compare it. Without one it answers 200.
 * - A status for a destination that is not there: it answers with that status and the page of a 404.
 * - A status of 400 and above, without a destination, where a file is: it sends the file with that status. Ours
 *   sends no file, as the gateway always has: `status: 401` is a refusal. Compared by status only.
 * - Response transforms of an answer that nothing was found for: it makes them only where an error route matched.
 * - A destination in which an empty group leaves `//`: it cleans the path of an external one.
 * - `$0`, `$1x`, `$a_b`, POSIX classes, `(?P<`: its substitutions and its PCRE know less than PCRE does.
 * - Paths that differ from a pattern in case only: it means to be case-insensitive with `routes`, and never is
 *   (`typeof … !== undefined`).
 * - `//` in paths: it redirects before it routes.
 */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  applyChanges,
  compileRoutes,
  type Route,
  routeError,
  routeRequest,
} from "../../src/routing/index.ts";
import { type DevAnswer, VercelDev } from "../support/vercel-dev.ts";

const FILES = ["/a.txt", "/e.txt", "/b/c.txt", "/static/d.txt", "/static/a.txt", "/404.txt"];
const SEED = 6013;
const TABLES = 60;
const REQUESTS = 7;

let dev: VercelDev;
beforeAll(async () => {
  dev = await VercelDev.start(FILES);
});
afterAll(() => dev?.stop());

type Asked = { method: string; target: string };
type Seen = {
  status: number;
  location?: string;
  file?: string;
  upstream?: string;
  headers?: Record<string, string>;
};

test(`${TABLES} route tables route as vercel dev routes them`, { timeout: 60_000 }, async () => {
  const cases = fc.sample(table(dev.upstream), { seed: SEED, numRuns: TABLES });
  const kinds = new Set<string>();
  const differences: object[] = [];
  for (const { routes, asked } of cases) {
    const theirs = await dev.ask(routes, asked);
    for (const [index, request] of asked.entries()) {
      const { refused = false, ...ours } = answerOfOurs(routes, request);
      const expected = answerOfTheirs(theirs[index] as DevAnswer);
      if (expected.headers === undefined) delete ours.headers;
      if (kindOf(expected) === "nothing") for (const seen of [ours, expected]) delete seen.headers?.["x-t"];
      kinds.add(kindOf(expected));
      if (isRefused(ours, refused, expected)) continue;
      if (!isDeepStrictEqual(ours, expected)) differences.push({ routes, request, ours, expected });
    }
  }
  expect(differences).toEqual([]);
  // A table that leads nowhere proves nothing.
  expect([...kinds].sort()).toEqual([
    "error",
    "file",
    "file with a status",
    "nothing",
    "redirect",
    "upstream",
  ]);
});

/** Both refuse, and `vercel dev` sends the file along. */
function isRefused(ours: Seen, refused: boolean, theirs: Seen): boolean {
  return refused && ours.status === theirs.status && theirs.file !== undefined;
}

function kindOf(seen: Seen): string {
  if (seen.location !== undefined) return "redirect";
  if (seen.upstream !== undefined) return "upstream";
  if (seen.file !== undefined) return seen.status === 200 ? "file" : "file with a status";
  return seen.status === 404 ? "nothing" : "error";
}

function answerOfTheirs({ status, headers, body }: DevAnswer): Seen {
  const location = headers.get("location");
  const upstream = headers.get("x-upstream");
  if (upstream !== null) return { status, upstream: sorted(upstream) };
  if (status >= 300 && status < 400 && location !== null) return { status, location };
  const own = [...headers].filter(([name]) => /^x-[a-z]$/.test(name));
  const file = FILES.includes(body) ? { file: body } : {};
  return { status, ...file, headers: Object.fromEntries(own) };
}

function answerOfOurs(routes: readonly Route[], { method, target }: Asked): Seen & { refused?: boolean } {
  const { pathname, search } = new URL(target, "http://localhost");
  const request = { method, path: pathname, query: search, host: "localhost", header: () => undefined };
  const lookup = (path: string) => (FILES.includes(path) ? path : null);
  const compiled = compileRoutes(routes);
  const routed = routeRequest(compiled, request, lookup);
  if (routed.kind === "external") {
    const url = new URL(routed.url);
    return { status: 200, upstream: sorted(`${method} ${url.pathname}${url.search}`) };
  }
  if (routed.kind === "redirect") {
    // Vercel passes the query on, its development server does not.
    const bare = routeRequest(compiled, { ...request, query: "" }, lookup);
    const { location } = bare.kind === "redirect" ? bare.headers : routed.headers;
    return { status: routed.status, location: String(location) };
  }
  if (routed.kind === "output") {
    return { status: routed.status ?? 200, file: routed.output, headers: sent(routed) };
  }
  // It has no error phase for what a route answers with a status.
  if (routed.kind === "status") {
    return { status: routed.status, headers: sent(routed), refused: routed.status >= 400 };
  }
  const page = routeError(compiled, request, lookup, 404, routed);
  return { status: 404, ...(page.output === null ? {} : { file: page.output }), headers: sent(page) };
}

function sent({
  headers,
  responseChanges,
}: Pick<ReturnType<typeof routeError>, "headers" | "responseChanges">) {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one]),
  );
  return Object.fromEntries(applyChanges(lines, responseChanges));
}

/** The order of the parameters says nothing, nor do escapes that are not needed. */
function sorted(request: string): string {
  const [before = "", query = ""] = request.split("?");
  const parameters = [...new URLSearchParams(query)].map((parameter) => parameter.join("="));
  return [before, ...parameters.sort()].join(" ");
}

function table(upstream: string): fc.Arbitrary<{ routes: Route[]; asked: Asked[] }> {
  const phases = fc.record({
    start: fc.array(startRoute(upstream), { maxLength: 4 }),
    filesystem: fc.array(filesystemRoute(upstream), { maxLength: 4 }),
    last: fc.oneof(
      { weight: 2, arbitrary: fc.record({ miss: fc.array(missRoute, { minLength: 1, maxLength: 3 }) }) },
      { weight: 2, arbitrary: fc.record({ hit: fc.array(headersRoute, { minLength: 1, maxLength: 2 }) }) },
      { weight: 1, arbitrary: fc.constant({}) },
    ),
    error: fc.array(errorRoute, { maxLength: 2 }),
  });
  const routes = phases.map(({ start, filesystem, last, error }): Route[] => {
    const { miss = [], hit = [] } = last as { miss?: Route[]; hit?: Route[] };
    return [
      ...certain(start),
      ...(filesystem.length === 0
        ? []
        : [EVERYTHING, { handle: "filesystem" as const }, ...certain(filesystem)]),
      ...(miss.length === 0 ? [] : [{ handle: "miss" as const }, ...miss]),
      ...(hit.length === 0 ? [] : [{ handle: "hit" as const }, ...hit]),
      ...(error.length === 0 ? [] : [{ handle: "error" as const }, ...error]),
    ];
  });
  return fc.record({ routes, asked: fc.array(request, { minLength: REQUESTS, maxLength: REQUESTS }) });
}

/** Without destinations that may be missing after a status was set. */
function certain(routes: readonly Route[]): Route[] {
  let isSet = false;
  return routes.filter((route) => {
    if ("handle" in route) return true;
    if (route.continue && route.status !== undefined) isSet = true;
    return !isSet || route.continue || route.dest === undefined;
  });
}

const EVERYTHING: Route = { src: "/.*", headers: { "x-z": "everything" }, continue: true };

const segment = fc.constantFrom("a", "b", "x", "12", "a%20b", "a.txt");
const request: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom("GET", "GET", "GET", "POST"),
  target: fc
    .tuple(
      fc.oneof(
        fc.constantFrom(...FILES, "/"),
        fc.array(segment, { minLength: 1, maxLength: 3 }).map((all) => `/${all.join("/")}`),
      ),
      fc.constantFrom("", "", "?q=1", "?q=1&q=2&r=%26"),
    )
    .map(([path, query]) => path + query),
});

const src = fc.constantFrom(
  "/a",
  "^/b$",
  "/x",
  "a",
  "/(.*)",
  "^/(.+)$",
  "/(a|b)",
  "/(?<first>[a-z]+)",
  "/(?<first>[^/]+)/(?<second>[^/]+)",
  "/b/(.*)",
  "(?:/x)?/(\\w+)",
  "^/(?!static)(.*)$",
  "/(\\d+)/?",
  "/[^.]*",
);
const path = fc.constantFrom(
  "/a.txt",
  "/e.txt",
  "/static/$1",
  "/static/$first",
  "/b/$second",
  "/nowhere/$1",
  "/b/c.txt",
  "/x",
  "/$1.txt",
);
const query = fc.constantFrom("", "?q=3", "?from=$1&s=4");
const methods = fc.constantFrom<{ methods?: string[] }>(
  {},
  {},
  {},
  { methods: ["GET"] },
  { methods: ["POST", "PUT"] },
);
const headers = fc.constantFrom<{ headers?: Record<string, string> }>(
  {},
  {},
  { headers: { "X-A": "1" } },
  { headers: { "x-a": "2", "x-b": "$1" } },
  { headers: { "x-c": "$first-$second" } },
);
const transforms = fc.constantFrom<{ transforms?: Extract<Route, { src: string }>["transforms"] }>(
  {},
  {},
  { transforms: [{ type: "response.headers", op: "set", target: { key: "x-t" }, args: "set" }] },
  { transforms: [{ type: "response.headers", op: "append", target: { key: "x-t" }, args: "more-$1" }] },
);

const join = <T extends object[]>(...parts: { [Index in keyof T]: fc.Arbitrary<T[Index]> }) =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as Route);
const always = (fields: object) => fc.constant(fields);

const headersRoute = join(
  src.map((src) => ({ src })),
  methods,
  fc.constantFrom({ headers: { "x-h": "$1" } }, { headers: { "x-a": "9" } }),
  always({ continue: true }),
);
const withSrc = src.map((src) => ({ src }));
const redirectRoute = join(
  withSrc,
  methods,
  fc.constantFrom(301, 302, 307, 308).map((status) => ({ status })),
  fc.constantFrom<object>(
    { headers: { Location: "/to/$1" } },
    { headers: { Location: "https://example.com/$first?x=1" } },
    { dest: "/moved/$1" },
  ),
);
const statusRoute = join(
  withSrc,
  methods,
  headers,
  fc.constantFrom(401, 404, 410, 503).map((status) => ({ status })),
);
const destRoute = join(
  withSrc,
  methods,
  headers,
  fc.tuple(path, query).map(([to, more]) => ({ dest: to + more })),
);
const checkRoute = join(
  withSrc,
  methods,
  headers,
  path.map((dest) => ({ dest, check: true })),
);
const gone = join(
  withSrc,
  fc.constantFrom(201, 410, 404).map((status) => ({ status })),
  fc.constantFrom("/a.txt", "/e.txt").map((dest) => ({ dest })),
);
const going = join(
  withSrc,
  methods,
  headers,
  transforms,
  fc.oneof(
    path.map((dest) => ({ dest })),
    always({}),
    fc.constantFrom({ status: 404 }, { status: 203 }),
  ),
  always({ continue: true }),
);
const externalRoute = (upstream: string) =>
  join(
    withSrc,
    methods,
    query.map((more) => ({ dest: `${upstream}/$1${more}` })),
  );

const startRoute = (upstream: string) =>
  fc.oneof(
    { weight: 3, arbitrary: going },
    { weight: 2, arbitrary: redirectRoute },
    { weight: 1, arbitrary: statusRoute },
    { weight: 2, arbitrary: destRoute },
    { weight: 2, arbitrary: checkRoute },
    { weight: 1, arbitrary: gone },
    { weight: 1, arbitrary: externalRoute(upstream) },
  );
const filesystemRoute = startRoute;
const missRoute = fc.oneof(
  checkRoute,
  join(
    withSrc,
    always({ status: 404, check: true }),
    path.map((dest) => ({ dest })),
  ),
  headersRoute,
);
const errorRoute = join(
  withSrc,
  headers,
  always({ status: 404 }),
  fc.constantFrom<object>({ dest: "/404.txt" }, { dest: "/e.txt" }, { dest: "/none" }, {}),
);
