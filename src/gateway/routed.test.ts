import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  fetchVia,
  only,
  startApp,
  startTestGateway,
  type TestApp,
  type TestGateway,
  writeSite,
} from "../../test/support/gateway.ts";
import type { Route } from "./index.ts";

const ROUTES: Route[] = [
  { src: "(?i)^/OLD/(?P<rest>.*+)$", status: 308, headers: { Location: "/docs/$rest" } },
  { src: "/.*", headers: { "X-Frame-Options": "DENY" }, continue: true },
  { src: "/admin(/.*)?", missing: [{ type: "cookie", key: "session", value: "[0-9a-f]+" }], status: 401 },
  { src: "/", has: [{ type: "query", key: "page", value: "(?<page>\\w+)" }], dest: "/$page.html" },
  {
    src: "/docs/.*",
    transforms: [{ type: "response.headers", op: "append", target: { key: "vary" }, args: "x-theme" }],
    continue: true,
  },
  { handle: "filesystem" },
  { src: "/elsewhere", dest: "https://other.example/" },
  { handle: "error" },
  { src: "/docs/.*", status: 404, dest: "/docs/lost page.html" },
];

let gateway: TestGateway;
let app: TestApp;
const ask = (path: string, headers: Record<string, string> = {}, host = "site.localhost") =>
  fetchVia(gateway.port, path, { host, headers });

beforeAll(async () => {
  gateway = await startTestGateway();
  app = await startApp(join(gateway.dir, "app.sock"), (req, res) => res.end(`app ${req.url}`));
  const files = {
    "/index.html": { text: "home" },
    "/about.html": { text: "about" },
    "/404.html": { text: "lost" },
    "/admin/index.html": { text: "admin" },
    "/docs/a b.html": { text: "docs" },
    "/docs/lost page.html": { text: "no such page" },
  };
  writeSite(gateway.dir, "dpl_site", { files, routes: ROUTES });
  const routes: Route[] = [{ src: "/go/(.*)", dest: "/über/$1?from=go" }];
  writeSite(gateway.dir, "dpl_mixed", { files: {}, routes, server: true });
  await gateway.push(
    { "site.localhost": only("dpl_site"), "mixed.localhost": only("dpl_mixed") },
    { dpl_site: {}, dpl_mixed: { socket: app.socket } },
  );
});

afterAll(async () => {
  await app.stop();
  await gateway[Symbol.asyncDispose]();
});

describe("a static release with routes", () => {
  it("has sources in PCRE", async () => {
    expect(await ask("/old/a%20b.html")).toMatchObject({
      status: 308,
      headers: { location: "/docs/a%20b.html" },
    });
  });

  it("keeps what is meant for some from everybody else, however they spell it", async () => {
    const allowed = await ask("/admin/", { cookie: "a=b; session=c0ffee" });
    expect(allowed).toMatchObject({ status: 200, body: "admin", headers: { "x-frame-options": "DENY" } });
    for (const path of ["/admin/", "/%61dmin/", "/ADMIN/", "//admin/"]) {
      expect((await ask(path, { cookie: "session=guess" })).body).not.toBe("admin");
    }
    expect(await ask("/admin/")).toMatchObject({ status: 401 });
  });

  it("finds files by conditions, and by names with escapes", async () => {
    expect(await ask("/?page=about")).toMatchObject({ status: 200, body: "about" });
    expect(await ask("/")).toMatchObject({ status: 200, body: "home" });
    expect(await ask("/docs/a%20b.html")).toMatchObject({
      status: 200,
      body: "docs",
      headers: { vary: "x-theme" },
    });
  });

  it("has pages for errors, with the headers of the routes before", async () => {
    const headers = { "x-frame-options": "DENY" };
    expect(await ask("/docs/none")).toMatchObject({ status: 404, body: "no such page", headers });
    expect(await ask("/none")).toMatchObject({ status: 404, body: "lost", headers });
  });

  it("does not fetch other hosts", async () => {
    expect(await ask("/elsewhere")).toMatchObject({ status: 502 });
  });

  it("gives its app the path that the routes lead to", async () => {
    expect((await ask("/go/a%2Cb?q=1", {}, "mixed.localhost")).body).toBe("app /%C3%BCber/a,b?from=go&q=1");
    expect((await ask("/stay/a%2Cb?q=1", {}, "mixed.localhost")).body).toBe("app /stay/a%2Cb?q=1");
  });
});
