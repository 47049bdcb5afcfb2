import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalPath, compileRoutes, type Route, type Routed, routeError, routeRequest } from "./index.ts";
import { translatePcre } from "./pcre.ts";

const FILES = new Set(["/a", "/b/c", "/404.html"]);
const part = fc.constantFrom("a", "b", "c", "x");
const path = fc.array(part, { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);

const src = fc.oneof(
  path,
  fc.constantFrom("/(.*)", "^/(a|b)(/.*)?$", "/(?<name>[^/]+)", ".*", "/?(.*)/?", "(?i)/A", "/b/(.+?)"),
);
const dest = fc.oneof(
  path,
  fc.constantFrom("/$1", "/x$1", "/$name/c", "/a/$1?q=$1", "https://other.example/$1"),
);
const maybe = <T>(name: string, value: fc.Arbitrary<T>) =>
  fc.option(value, { nil: undefined }).map((given) => (given === undefined ? {} : { [name]: given }));

const source = fc
  .tuple(
    src.map((value) => ({ src: value })),
    maybe("dest", dest),
    maybe("status", fc.constantFrom(200, 302, 404, 500)),
    maybe("continue", fc.boolean()),
    maybe("check", fc.boolean()),
    maybe("headers", fc.constantFrom({ "x-a": "$1" }, { Location: "/to/$1" })),
    maybe("important", fc.boolean()),
    maybe("has", fc.constantFrom([{ type: "query", key: "q", value: "(?<name>.*)" }])),
    maybe("missing", fc.constantFrom([{ type: "header", key: "x-seen" }])),
  )
  .map((fields) => Object.assign({}, ...fields) as Route);
const phase = fc
  .constantFrom("filesystem", "hit", "miss", "rewrite", "error", "resource")
  .map((handle) => ({ handle }) as Route);
const asking = source.map((route) => ({ ...route, middlewarePath: "m", dest: undefined }) as Route);
const table = fc
  .tuple(
    fc.array(fc.oneof({ weight: 4, arbitrary: source }, { weight: 1, arbitrary: asking }), { maxLength: 6 }),
    fc.array(fc.oneof({ weight: 3, arbitrary: source }, { weight: 1, arbitrary: phase }), { maxLength: 14 }),
  )
  .map(([start, rest]): Route[] => [...start, { handle: "filesystem" }, ...rest]);

const answer = fc.constantFrom<[string, string][]>(
  [["x-middleware-next", "1"]],
  [["x-middleware-rewrite", "/b/c?q=2"]],
  [["x-middleware-rewrite", "https://else.example/"]],
  [["location", "/login"]],
);

test("every table routes every request, in a bounded number of looks", () => {
  fc.assert(
    fc.property(
      table,
      path,
      fc.constantFrom("", "?q=1"),
      fc.array(answer, { minLength: 6, maxLength: 6 }),
      (routes, at, query, said) => {
        const compiled = compileRoutes(routes);
        let looks = 0;
        const lookup = (wanted: string) => {
          looks += 1;
          expect(wanted.startsWith("/")).toBe(true);
          return FILES.has(wanted) ? wanted : null;
        };
        const request = { method: "GET", path: at, query, host: "example.com", header: () => undefined };
        let routed: Routed<string> = routeRequest(compiled, request, lookup);
        let asked = 0;
        while (routed.kind === "middleware") {
          // Each middleware route is passed once.
          expect(++asked).toBeLessThanOrEqual(6);
          routed = routed.resume({ status: 200, headers: said[asked - 1] ?? [] });
        }
        if (routed.kind === "output") expect(FILES.has(routed.output)).toBe(true);
        if (routed.kind === "redirect") expect(routed.headers.location).toBeTypeOf("string");
        if (routed.kind === "external") expect(routed.url).toMatch(/^https:\/\/(other|else)\.example\//);
        if (routed.kind === "none") expect(lookup(routed.path) === null || routed.path !== at).toBe(true);
        expect(routeError(compiled, request, lookup, 404, routed).status).toBe(404);
        // Three phases check, into miss, into rewrite: never deeper.
        expect(looks).toBeLessThan(4 + (routes.length + 2) ** 3);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("routing a request twice gives the same, and changes nothing of the table", () => {
  fc.assert(
    fc.property(table, path, (routes, at) => {
      const compiled = compileRoutes(routes);
      const request = {
        method: "GET",
        path: at,
        query: "?q=1",
        host: "example.com",
        header: () => undefined,
      };
      const once = () => {
        const { resume: _, ...seen } = {
          resume: null,
          ...routeRequest(compiled, request, (p) => (FILES.has(p) ? p : null)),
        };
        return JSON.stringify(seen);
      };
      const first = once();
      expect(once()).toBe(first);
    }),
    { numRuns: 300 },
  );
});

test("a path has one spelling, and it names the same", () => {
  fc.assert(
    fc.property(fc.webPath(), (written) => {
      const canonical = canonicalPath(written || "/");
      if (canonical === null) return;
      expect(canonicalPath(canonical)).toBe(canonical);
      expect(decodeURIComponent(canonical)).toBe(decodeURIComponent(written || "/"));
    }),
  );
});

test("JavaScript's own patterns mean the same after the translation", () => {
  const atom = fc.constantFrom(
    "a",
    "b",
    ".",
    "\\w",
    "\\d",
    "[ab]",
    "[^a/]",
    "(a|b)",
    "(?:ab)",
    "/",
    "(?=a)",
    "(?<n>a)",
  );
  const quantified = fc
    .tuple(atom, fc.constantFrom("", "*", "+", "?", "{2}", "+?"))
    .map((both) => both.join(""));
  const pattern = fc.array(quantified, { minLength: 1, maxLength: 5 }).map((all) => `^${all.join("")}$`);
  fc.assert(
    fc.property(pattern, fc.stringMatching(/^[ab/1]{0,6}$/), (written, text) => {
      fc.pre((written.match(/\(\?<n>/g) ?? []).length <= 1);
      const { regexp, numbers } = translatePcre(written, true);
      expect(numbers).toBeNull();
      expect(regexp.exec(text)).toEqual(new RegExp(written).exec(text));
    }),
    { numRuns: 1_000 },
  );
});
