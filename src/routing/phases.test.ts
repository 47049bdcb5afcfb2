import { describe, expect, it } from "vitest";
import {
  compileRoutes,
  type Route,
  RouteProblem,
  type RouteRequest,
  routeError,
  routeRequest,
} from "./index.ts";

const FILES = [
  "/index.html",
  "/about.html",
  "/404.html",
  "/app/index.html",
  "/logo.png",
  "/blog/[slug]",
  "/api/all",
];
const lookup = (path: string) => (FILES.includes(path) ? path : null);

type Extra = Partial<Omit<RouteRequest, "header">> & { headers?: Record<string, string> };

function go(
  routes: readonly Route[],
  path: string,
  extra: Extra = {},
  wildcard: { domain: string; value: string }[] = [],
) {
  const { headers = {}, ...rest } = extra;
  const request = {
    method: "GET",
    path,
    query: "",
    host: "example.com",
    header: (name: string) => headers[name],
    ...rest,
  };
  return routeRequest(compileRoutes(routes, wildcard), request, lookup);
}

describe("routes", () => {
  it.each<[string, Route[], string, object]>([
    [
      "serve a file that is there",
      [{ handle: "filesystem" }],
      "/logo.png",
      { kind: "output", output: "/logo.png" },
    ],
    [
      "redirect before files are looked at, with what the pattern caught",
      [{ src: "^/old/(.*)$", status: 308, headers: { Location: "/new/$1" } }],
      "/old/a/b",
      { kind: "redirect", status: 308, headers: { location: "/new/a/b" } },
    ],
    [
      "redirect to a destination too",
      [{ src: "^/old/(.*)$", status: 302, dest: "/new/$1?x=1" }],
      "/old/a",
      { kind: "redirect", status: 302, headers: { location: "/new/a?x=1" } },
    ],
    [
      "redirect at once although they say that routing continues",
      [
        { src: "^(.+)/$", status: 308, headers: { Location: "$1" }, continue: true },
        { src: ".*", status: 404 },
      ],
      "/a/",
      { kind: "redirect", headers: { location: "/a" } },
    ],
    [
      "send nobody to another host because of what they typed",
      [{ src: "^/(.*)/$", status: 308, headers: { Location: "/$1" } }],
      "//evil.example/",
      { kind: "redirect", headers: { location: "/evil.example" } },
    ],
    [
      "add headers and go on",
      [{ src: "/(.*)", headers: { "X-A": "1" }, continue: true }, { handle: "filesystem" }],
      "/logo.png",
      { kind: "output", headers: { "x-a": "1" } },
    ],
    [
      "rewrite what is no file, after files",
      [{ handle: "filesystem" }, { src: "/(.*)", dest: "/index.html" }],
      "/deep/link",
      { kind: "output", output: "/index.html", matches: { 1: "deep/link" } },
    ],
    [
      "prefer the file to a later rewrite",
      [{ handle: "filesystem" }, { src: "/(.*)", dest: "/index.html" }],
      "/about.html",
      { kind: "output", output: "/about.html", matches: {} },
    ],
    [
      "forget a destination that is not there, when the next phase begins",
      [{ src: "/x", dest: "/nowhere" }, { handle: "filesystem" }, { src: "/x", dest: "/about.html" }],
      "/x",
      { kind: "output", output: "/about.html" },
    ],
    [
      "skip a checked destination that is not there, with the path moved",
      [
        { handle: "rewrite" },
        { src: "/x", dest: "/nowhere", check: true },
        { src: "/nowhere", dest: "/about.html", check: true },
      ],
      "/x",
      { kind: "output", output: "/about.html" },
    ],
    [
      "look for a checked destination among the dynamic routes",
      [
        { handle: "filesystem" },
        { src: "/news/(.*)", dest: "/blog/$1", check: true },
        { handle: "rewrite" },
        { src: "^/blog/(?<nxtPslug>[^/]+?)$", dest: "/blog/[slug]?nxtPslug=$nxtPslug" },
      ],
      "/news/hello%20you",
      {
        kind: "output",
        output: "/blog/[slug]",
        query: "?nxtPslug=hello%20you",
        matches: { nxtPslug: "hello%20you" },
      },
    ],
    [
      "ask the miss phase before the dynamic routes",
      [
        { handle: "miss" },
        { src: "^/(?:en|fr)/(.*)$", dest: "/$1", check: true },
        { handle: "rewrite" },
        { src: "/(.*)", dest: "/api/all" },
      ],
      "/fr/logo.png",
      { kind: "output", output: "/logo.png" },
    ],
    [
      "take the resource phase last",
      [
        { handle: "resource" },
        { src: "/(.*)", status: 404 },
        { handle: "filesystem" },
        { src: "/about", dest: "/about.html", check: true },
      ],
      "/about",
      { kind: "output", output: "/about.html" },
    ],
    [
      "end in the resource phase",
      [{ handle: "filesystem" }, { handle: "resource" }, { src: "/(.*)", status: 404 }],
      "/none",
      { kind: "status", status: 404 },
    ],
    [
      "set the headers of what is hit, but leave what was set before",
      [
        { src: ".*", headers: { "x-a": "first" }, continue: true },
        { handle: "hit" },
        { src: "/logo.*", headers: { "cache-control": "x", "X-A": "late" }, continue: true },
        {
          src: "/(.*)",
          headers: { "x-a": "important", "x-matched-path": "/$1" },
          continue: true,
          important: true,
        },
      ],
      "/logo.png",
      {
        kind: "output",
        headers: { "cache-control": "x", "x-a": "important", "x-matched-path": "/logo.png" },
        important: { "x-a": "important", "x-matched-path": "/logo.png" },
      },
    ],
    ["answer with a status", [{ src: "/secret", status: 404 }], "/secret", { kind: "status", status: 404 }],
    [
      "refuse with a status what is there",
      [{ src: "/about.html", status: 401 }],
      "/about.html",
      { kind: "status", status: 401 },
    ],
    [
      "keep a status for what a route leads to",
      [{ src: "/gone", status: 410, dest: "/about.html" }],
      "/gone",
      { kind: "output", output: "/about.html", status: 410 },
    ],
    [
      "keep a status that was set on the way",
      [{ src: "/404.html", status: 404, continue: true }],
      "/404.html",
      { kind: "output", status: 404 },
    ],
    ["match without regard to case", [{ src: "/ABOUT", dest: "/about.html" }], "/about", { kind: "output" }],
    [
      "match with regard to case",
      [{ src: "/ABOUT", dest: "/x", caseSensitive: true }],
      "/about",
      { kind: "none" },
    ],
    ["match the whole path only", [{ src: "/a", status: 404 }], "/ab", { kind: "none", path: "/ab" }],
    ["match a path without its slash", [{ src: "about", dest: "about.html" }], "/about", { kind: "output" }],
    [
      "match the other side of a doubled slash",
      [{ src: "^/admin", status: 401 }],
      "//admin",
      { kind: "status" },
    ],
    [
      "fill named groups",
      [{ src: "/(?P<page>[a-z]+)", dest: "/$page.html" }],
      "/about",
      { output: "/about.html" },
    ],
    [
      "leave out what was not caught",
      [{ src: "/(x)?(.*)", dest: "/$1$2$none" }],
      "/logo.png",
      { output: "/logo.png" },
    ],
    [
      "forward to other hosts, with the query",
      [{ src: "/p/(.*)", dest: "https://other.example/$1?key=1#part" }],
      "/p/a",
      { kind: "external", url: "https://other.example/a?key=1" },
    ],
    [
      "deny, but challenge nobody",
      [
        { src: "/about", mitigate: { action: "challenge" }, dest: "/about.html", continue: true },
        { src: "/about.html", missing: [{ type: "cookie", key: "pass" }], mitigate: { action: "deny" } },
      ],
      "/about",
      { kind: "status", status: 403 },
    ],
  ])("%s", (_, routes, path, expected) => {
    expect(go(routes, path)).toMatchObject(expected);
  });

  it("apply to the methods they name", () => {
    const routes: Route[] = [{ src: "/api", methods: ["POST"], status: 405 }];
    expect(go(routes, "/api", { method: "POST" })).toMatchObject({ kind: "status" });
    expect(go(routes, "/api")).toMatchObject({ kind: "none" });
  });

  it("join a destination's query to the visitor's, whose values win", () => {
    const routes: Route[] = [{ src: "/s/(.*)", dest: "/search?q=$1&sort=up" }];
    expect(go(routes, "/s/red", { query: "?page=2&sort=down" })).toMatchObject({
      kind: "none",
      path: "/search",
      query: "?q=red&page=2&sort=down",
    });
  });

  it.each<[what: string, location: string, query: string, to: string]>([
    ["behind the target's own", "/lol/?path=foo", "?baz=10", "/lol/?path=foo&baz=10"],
    [
      "as it was written, with what a condition looked at",
      "/new",
      "?page=a%20b&q=1&q=2&e",
      "/new?page=a%20b&q=1&q=2&e",
    ],
    ["to other hosts too", "https://example.com/a", "?b=1", "https://example.com/a?b=1"],
    ["before a hash", "/a?b=1#c", "?d=2", "/a?b=1&d=2#c"],
    ["but for names that the target says itself", "/a?b=1", "?b=2&c=3&%62=4", "/a?b=1&c=3"],
    ["but nothing where there is nothing", "/a?", "?", "/a?"],
    ["behind a lone question mark", "/a?", "?b=1", "/a?b=1"],
    ["and nothing that no header may carry", "/a", "?b=\u00e9 c", "/a?b=%C3%A9%20c"],
  ])("pass a redirected request's query on, %s", (_, location, query, to) => {
    const has = [{ type: "host" as const, value: "example.com" }];
    for (const target of [{ headers: { Location: location } }, { dest: location }]) {
      for (const more of [{}, { has }]) {
        const routes: Route[] = [{ src: "/old", status: 308, ...target, ...more }];
        expect(go(routes, "/old", { query })).toMatchObject({ kind: "redirect", headers: { location: to } });
      }
    }
  });

  it("use what conditions caught, as data", () => {
    const has = [{ type: "header" as const, key: "X-Tenant", value: "t-(?<tenant>.+)" }];
    const routes: Route[] = [{ src: "/", has, dest: "/$tenant?of=$tenant", headers: { "x-of": "$tenant" } }];
    expect(go(routes, "/", { headers: { "x-tenant": "t-a?b&c" } })).toMatchObject({
      path: "/a%3Fb%26c",
      query: "?of=a%3Fb%26c",
      headers: { "x-of": "a?b&c" },
    });
    expect(go(routes, "/", { headers: { "x-tenant": "x" } })).toMatchObject({ path: "/" });
  });

  it("write no line break into a header", () => {
    const has = [{ type: "query" as const, key: "q" }];
    const routes: Route[] = [{ src: "/about.html", has, headers: { "x-q": "$q" }, continue: true }];
    expect(go(routes, "/about.html", { query: "?q=a%0d%0aset-cookie:x" }).headers).toEqual({
      "x-q": "a%0D%0Aset-cookie:x",
    });
  });

  it("know the wildcard of a host", () => {
    const routes: Route[] = [{ src: "^/(?!en|fr)(.*)$", dest: "$wildcard/$1", continue: true }];
    const wildcard = [{ domain: "example.fr", value: "/fr" }];
    expect(go(routes, "/a", { host: "example.fr" }, wildcard)).toMatchObject({ path: "/fr/a" });
    expect(go(routes, "/a", {}, wildcard)).toMatchObject({ path: "/a" });
  });

  it("send visitors to their locale, by cookie before preference, and once", () => {
    const redirect = { en: "/", fr: "/fr", DE: "https://example.de/" };
    const routes: Route[] = [{ src: "/", locale: { redirect, cookie: "LANG" }, continue: true }];
    const to = (headers: Record<string, string>, host = "example.com") =>
      go(routes, "/", { headers, host }).headers.location;
    expect(to({ "accept-language": "nl, fr;q=0.8, de;q=0.9" })).toBe("https://example.de/");
    expect(to({ "accept-language": "de", cookie: "a=b; LANG=fr" })).toBe("/fr");
    expect(to({ "accept-language": "en, fr;q=0.5" })).toBeUndefined();
    expect(to({ "accept-language": "de" }, "example.de")).toBeUndefined();
    expect(go(routes, "/about.html", { headers: { cookie: "LANG=fr" } })).toMatchObject({ kind: "output" });
  });

  it("change requests and answers by transforms", () => {
    const routes: Route[] = [
      {
        src: "/blog/(.*)",
        continue: true,
        transforms: [
          { type: "request.headers", op: "delete", target: { key: "x-secret" } },
          { type: "request.query", op: "set", target: { key: "id" }, args: "$1" },
          { type: "response.headers", op: "append", target: { key: "Vary" }, args: ["rsc", "$2"] },
          { type: "request.path", op: "set", args: "/posts/$1" },
        ],
      },
      { src: "/blog/.*", has: [{ type: "header", key: "x-secret" }], status: 401 },
      { src: "/blog/.*", dest: "/api/all?from=blog" },
    ];
    expect(go(routes, "/blog/7", { query: "?id=1", headers: { "x-secret": "1" } })).toMatchObject({
      kind: "output",
      query: "?from=blog&id=7",
      seenPath: "/posts/7",
      responseChanges: [{ op: "append", key: "vary", values: ["rsc", "$2"] }],
    });
  });

  it("are refused where they cannot be used as they are meant", () => {
    expect(() => compileRoutes([{ src: "/" }, { src: "/(?R)" }])).toThrow(/routes\.1: .*\(\?R\)/);
    expect(() => compileRoutes([{ handle: "later" } as never])).toThrow(RouteProblem);
    expect(() => compileRoutes([{ handle: "filesystem" }, { src: "/", middlewarePath: "m" }])).toThrow(
      /middleware/,
    );
  });
});

describe("middleware", () => {
  const routes: Route[] = [
    { src: ".*", headers: { "x-a": "1", "set-cookie": "r=1" }, continue: true },
    { src: "/(?!_next).*", middlewarePath: "_middleware", continue: true, override: true },
    { src: "/in", has: [{ type: "header", key: "x-user", value: "7" }], dest: "/about.html" },
  ];
  const ask = (answer: Record<string, string>, status = 200, path = "/in") => {
    const routed = go(routes, path, { headers: { "x-old": "1", cookie: "c" } });
    if (routed.kind !== "middleware") throw new Error(routed.kind);
    return routed.resume({ status, headers: Object.entries(answer) });
  };

  it("is asked with the path and the query as they are", () => {
    expect(go(routes, "/in", { query: "?a=1" })).toMatchObject({
      kind: "middleware",
      path: "/in",
      query: "?a=1",
    });
    expect(go(routes, "/_next/x")).toMatchObject({ kind: "none" });
  });

  it("lets a request pass with other headers, which conditions see", () => {
    const answer = { "x-middleware-next": "1", "x-middleware-override-headers": "x-user,cookie" };
    const routed = ask({
      ...answer,
      "x-middleware-request-x-user": "7",
      "x-middleware-request-cookie": "c",
      "X-B": "2",
    });
    expect(routed).toMatchObject({
      kind: "output",
      output: "/about.html",
      headers: { "x-a": "1", "x-b": "2" },
    });
    expect(ask({ "x-middleware-next": "1" })).toMatchObject({ kind: "none" });
  });

  it("rewrites within the host, and to another", () => {
    const rewrite = (to: string) =>
      ask({ "x-middleware-rewrite": to, "content-type": "text/html" }, 200, "/x");
    expect(rewrite("https://example.com/logo.png?v=1")).toMatchObject({ kind: "output", query: "?v=1" });
    expect(rewrite("/logo.png").headers).not.toHaveProperty("content-type");
    expect(rewrite("https://other.example/?v=1")).toMatchObject({
      kind: "external",
      url: "https://other.example/?v=1",
    });
  });

  it("answers by itself, with the cookies of both", () => {
    expect(ask({ location: "/login", "set-cookie": "m=1" }, 307)).toMatchObject({
      kind: "response",
      status: 307,
      headers: { location: "/login", "x-a": "1", "set-cookie": ["r=1", "m=1"] },
    });
  });
});

describe("errors", () => {
  const page = (routes: Route[], status: number, path = "/x") => {
    const request = { method: "GET", path, query: "", host: "example.com", header: () => undefined };
    return routeError(compileRoutes(routes), request, lookup, status, { headers: { "x-a": "1" } });
  };

  it("have the page of their status, with the headers so far", () => {
    const routes: Route[] = [
      { handle: "error" },
      { src: "/(.*)", status: 500, dest: "/api/all" },
      { src: "/(.*)", status: 404, dest: "/about.html", headers: { "x-e": "$1" } },
    ];
    expect(page(routes, 404)).toMatchObject({
      output: "/about.html",
      status: 404,
      headers: { "x-a": "1", "x-e": "x" },
    });
    expect(page(routes, 500)).toMatchObject({ output: "/api/all", status: 500 });
    expect(page(routes, 502)).toMatchObject({ output: null, headers: { "x-a": "1" } });
  });

  it("fall back to the file named after the status", () => {
    expect(page([], 404)).toMatchObject({ output: "/404.html", path: "/404.html" });
    expect(page([{ handle: "error" }, { src: ".*", status: 404, dest: "/none" }], 404).output).toBe(
      "/404.html",
    );
  });
});
