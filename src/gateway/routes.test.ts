import { describe, expect, it } from "vitest";
import { compileRoutes, routeError, routeRequest } from "./routes.ts";
import type { Route } from "./snapshot.ts";

const files = new Set(["/index.html", "/about.html", "/404.html", "/app/index.html", "/logo.png"]);
const fileOf = (path: string) => (files.has(path) ? path : null);
const go = (routes: Route[], path: string, method = "GET", query = "") =>
  routeRequest(compileRoutes(routes), { method, path, query }, fileOf);

describe("Build Output routes", () => {
  it.each<[string, Route[], string, object]>([
    [
      "serve a file that is there",
      [{ handle: "filesystem" }],
      "/logo.png",
      { kind: "file", path: "/logo.png" },
    ],
    [
      "redirect before files are looked at, with what the pattern caught",
      [{ src: "^/old/(.*)$", status: 308, headers: { Location: "/new/$1" } }],
      "/old/a/b",
      { kind: "redirect", status: 308, headers: { location: "/new/a/b" } },
    ],
    [
      "add headers and go on",
      [{ src: "/(.*)", headers: { "X-A": "1" }, continue: true }, { handle: "filesystem" }],
      "/logo.png",
      { kind: "file", headers: { "x-a": "1" } },
    ],
    [
      "rewrite what is no file, after files",
      [{ handle: "filesystem" }, { src: "/(.*)", dest: "/index.html" }],
      "/deep/link",
      { kind: "file", path: "/index.html" },
    ],
    [
      "prefer the file to a later rewrite",
      [{ handle: "filesystem" }, { src: "/(.*)", dest: "/index.html" }],
      "/about.html",
      { kind: "file", path: "/about.html" },
    ],
    [
      "skip a checked destination that is not there, with the path moved",
      [
        { handle: "rewrite" },
        { src: "/x", dest: "/nowhere", check: true },
        { src: "/nowhere", dest: "/about.html", check: true },
      ],
      "/x",
      { kind: "file", path: "/about.html" },
    ],
    [
      "set the headers of files that are hit",
      [
        { handle: "filesystem" },
        { handle: "hit" },
        { src: "/logo.*", headers: { "cache-control": "x" }, continue: true },
      ],
      "/logo.png",
      { kind: "file", headers: { "cache-control": "x" } },
    ],
    ["answer with a status", [{ src: "/secret", status: 404 }], "/secret", { kind: "status", status: 404 }],
    [
      "keep a status for the file that a route leads to",
      [{ src: "/gone", status: 410, dest: "/about.html" }],
      "/gone",
      { kind: "file", path: "/about.html", status: 410 },
    ],
    ["match without regard to case", [{ src: "/ABOUT", dest: "/about.html" }], "/about", { kind: "file" }],
    ["match the whole path only", [{ src: "/a", status: 404 }], "/ab", { kind: "none", path: "/ab" }],
    [
      "fill named groups",
      [{ src: "/(?<page>[a-z]+)", dest: "/$page.html" }],
      "/about",
      { path: "/about.html" },
    ],
    ["do not fetch other hosts", [{ src: "/p", dest: "https://evil.example/" }], "/p", { kind: "external" }],
  ])("%s", (_, routes, path, expected) => {
    expect(go(routes, path)).toMatchObject(expected);
  });

  it("apply to the methods they name", () => {
    const routes: Route[] = [{ src: "/api", methods: ["POST"], status: 405 }];
    expect(go(routes, "/api", "POST")).toMatchObject({ kind: "status" });
    expect(go(routes, "/api", "GET")).toMatchObject({ kind: "none" });
  });

  it("put a destination's query before the visitor's", () => {
    expect(go([{ src: "/s/(.*)", dest: "/search?q=$1" }], "/s/red", "GET", "?page=2")).toMatchObject({
      kind: "none",
      path: "/search",
      query: "?q=red&page=2",
    });
  });

  it("find the page of an error", () => {
    const routes = compileRoutes([{ handle: "error" }, { src: "/(.*)", status: 404, dest: "/about.html" }]);
    expect(routeError(routes, 404, "/x", fileOf).path).toBe("/about.html");
    expect(routeError(null, 404, "/x", fileOf).path).toBe("/404.html");
    expect(routeError(routes, 500, "/x", fileOf).path).toBeNull();
  });
});
