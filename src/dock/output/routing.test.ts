import { symlink, writeFile } from "node:fs/promises";
import http from "node:http";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { askSocket, EDGE, startOutput, writeOutput } from "../../../test/support/build-output.ts";
import { temporaryDirectory } from "../../../test/support/trees.ts";
import { readOutput } from "./read-output.ts";

const ECHO = `module.exports = (req, res) => res.json({ url: req.url, query: req.query, headers: req.headers });`;
const HANDLE = { handle: "filesystem" };
const servers: http.Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

test("static files: types, tags, ranges, index files, and 405 for what is no reading", async () => {
  await using server = await startOutput({
    config: {
      overrides: { "about.html": { path: "about" }, "data.bin": { contentType: "application/x-own" } },
    },
    files: {
      "index.html": "home",
      "about.html": "about",
      "data.bin": "0123456789",
      "blog/index.html": "blog",
      "ä b.txt": "umlaut",
    },
  });
  const home = await server.ask("/");
  expect(home).toMatchObject({
    status: 200,
    body: "home",
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "public, max-age=0, must-revalidate",
    },
  });
  const again = await server.ask("/", { headers: { "if-none-match": `W/${home.headers.etag}` } });
  expect([again.status, again.body]).toEqual([304, ""]);
  expect((await server.ask("/about")).headers["content-type"]).toBe("text/html; charset=utf-8");
  expect((await server.ask("/about.html")).status).toBe(404);
  expect((await server.ask("/blog")).body).toBe("blog");
  expect((await server.ask("/%C3%A4%20b.txt")).body).toBe("umlaut");
  const range = (value: string) => server.ask("/data.bin", { headers: { range: value } });
  expect(await range("bytes=2-4")).toMatchObject({
    status: 206,
    body: "234",
    headers: { "content-range": "bytes 2-4/10" },
  });
  expect(await range("bytes=-3")).toMatchObject({ status: 206, body: "789" });
  expect((await range("bytes=20-")).status).toBe(416);
  const head = await server.ask("/data.bin", { method: "HEAD" });
  expect([head.body, head.headers["content-length"], head.headers["content-type"]]).toEqual([
    "",
    "10",
    "application/x-own",
  ]);
  expect((await server.ask("/data.bin", { method: "POST" })).status).toBe(405);
});

test("paths never leave the output", async () => {
  await using server = await startOutput({
    files: { "index.html": "home" },
    tree: { "secret.txt": "secret" },
  });
  const traversals = [
    "/../secret.txt",
    "/..%2f..%2f..%2fsecret.txt",
    "/%2e%2e/%2e%2e/secret.txt",
    "/.vercel/output/config.json",
  ];
  for (const path of [...traversals, "/index.html%00.txt", "//etc/passwd", "/%ff", "/..\\secret.txt"]) {
    const answer = await server.ask(path);
    expect([400, 404], path).toContain(answer.status);
    expect(answer.body).not.toContain("secret");
  }
});

test("a link out of the release's tree is not there, one inside of it is", async () => {
  await using place = await temporaryDirectory();
  const root = join(place.path, "tree");
  await writeOutput(root, { files: { "a.txt": "a" }, functions: { "api/a": ECHO } });
  await writeFile(join(place.path, "outside.txt"), "outside");
  const output = join(root, ".vercel/output");
  await symlink(join(place.path, "outside.txt"), join(output, "static/out.txt"));
  await symlink("../..", join(output, "static/up"));
  await symlink("a.txt", join(output, "static/b.txt"));
  await symlink(place.path, join(output, "functions/api/out.func"));
  const read = readOutput(root);
  expect([...read.files.keys()].filter((path) => !path.startsWith("/up/")).sort()).toEqual([
    "/a.txt",
    "/b.txt",
  ]);
  expect([...read.functions.keys()]).toEqual(["/api/a"]);
});

test("routes lead to functions with their parameters, headers and status; what is not there has its page", async () => {
  const routes = [
    { src: "/(.*)", headers: { "x-all": "1", "x-own": "route" }, continue: true },
    { src: "/old", status: 308, headers: { Location: "/new" } },
    HANDLE,
    { src: "^/users/(?<id>[^/]+)$", dest: "/api/user?id=$id", check: true },
    { handle: "error" },
    { src: "/.*", status: 404, dest: "/404" },
  ];
  const own = `module.exports = (req, res) => {
    res.setHeader("x-own", "function");
    res.json({ url: req.url, query: req.query, matched: req.headers["x-matched-path"] });
  };`;
  await using server = await startOutput({
    config: { routes },
    files: { "404.html": "none of it" },
    functions: { "api/user": own },
  });
  const found = await server.ask("/users/7?tab=1");
  expect(JSON.parse(found.body)).toMatchObject({ query: { id: "7", tab: "1" }, matched: "/api/user" });
  expect(JSON.parse(found.body).url).toMatch(/^\/users\/7\?/);
  expect(found.headers).toMatchObject({ "x-all": "1", "x-own": "function" });
  expect(await server.ask("/old")).toMatchObject({ status: 308, headers: { location: "/new" } });
  const lost = await server.ask("/lost");
  expect(lost).toMatchObject({
    status: 404,
    body: "none of it",
    headers: { "x-all": "1", "x-vercel-error": "NOT_FOUND" },
  });
  // An escaped slash is none, neither for the routes nor for the files.
  expect((await server.ask("/api%2fuser")).status).toBe(404);
});

test("a function that fails has the release's own page for it", async () => {
  const routes = [HANDLE, { handle: "error" }, { src: "/.*", status: 500, dest: "/_error" }];
  const page = `module.exports = (req, res) => res.end("sorry");`;
  const functions = { "api/bad": "module.exports = () => { throw new Error('bad'); };", _error: page };
  await using server = await startOutput({ config: { routes }, functions });
  expect(await server.ask("/api/bad")).toMatchObject({
    status: 500,
    body: "sorry",
    headers: { "x-vercel-error": "FUNCTION_INVOCATION_FAILED" },
  });
});

const MIDDLEWARE = `export default async function middleware(request) {
  const url = new URL(request.url);
  const next = (headers) => new Response(null, { headers: { "x-middleware-next": "1", ...headers } });
  switch (url.searchParams.get("do")) {
    case "rewrite": {
      const to = new URL("/api/echo?via=middleware", url).href;
      return new Response(null, { headers: { "x-middleware-rewrite": to, "x-added": "yes" } });
    }
    case "redirect": return Response.redirect(new URL("/there", url), 307);
    case "answer": {
      const headers = { "x-why": "no", "set-cookie": "a=1" };
      return new Response("by the middleware " + (await request.text()), { status: 401, headers });
    }
    case "headers": return next({
      "x-middleware-override-headers": "host,x-set",
      "x-middleware-request-x-set": "by middleware",
      "x-response": "yes",
    });
    case "nothing": return;
    case "throw": throw new Error("middleware failed");
  }
  return next({});
}`;

const middlewares: readonly (readonly [string, object])[] = [
  ["edge", { files: { "index.js": MIDDLEWARE }, config: EDGE }],
  ["node", { files: { "index.mjs": MIDDLEWARE }, config: { handler: "index.mjs" } }],
];

test.each(
  middlewares,
)("middleware (%s) passes on, rewrites, redirects, answers and changes headers", async (_kind, made) => {
  const routes = [{ src: "^/.*$", middlewarePath: "_middleware", continue: true }, HANDLE];
  await using server = await startOutput({
    config: { routes },
    files: { "page.html": "page" },
    functions: { _middleware: made, "api/echo": ECHO },
  });
  expect((await server.ask("/page.html")).body).toBe("page");
  const rewritten = await server.ask("/page.html?do=rewrite");
  expect(JSON.parse(rewritten.body).query).toMatchObject({ via: "middleware" });
  expect(rewritten.headers["x-added"]).toBe("yes");
  expect(await server.ask("/page.html?do=redirect")).toMatchObject({
    status: 307,
    headers: { location: "http://app.test/there" },
  });
  expect(await server.ask("/page.html?do=answer", { body: "with a body" })).toMatchObject({
    status: 401,
    body: "by the middleware with a body",
    headers: { "x-why": "no", "set-cookie": ["a=1"] },
  });
  const changed = await server.ask("/api/echo?do=headers", { headers: { "x-secret": "1" } });
  const { headers } = JSON.parse(changed.body);
  expect([headers["x-set"], headers["x-secret"], changed.headers["x-response"]]).toEqual([
    "by middleware",
    undefined,
    "yes",
  ]);
  const failed = await server.ask("/page.html?do=throw");
  expect([failed.status, failed.headers["x-vercel-error"]]).toEqual([500, "MIDDLEWARE_INVOCATION_FAILED"]);
  const echoed = await server.ask("/api/echo", {
    body: '{"a":1}',
    headers: { "content-type": "application/json" },
  });
  expect(echoed.status).toBe(200);
});

test("edge middleware that returns nothing lets the request pass", async () => {
  const routes = [{ src: "^/.*$", middlewarePath: "_middleware", continue: true }, HANDLE];
  const made = { files: { "index.js": MIDDLEWARE }, config: EDGE };
  await using server = await startOutput({
    config: { routes },
    files: { "page.html": "page" },
    functions: { _middleware: made },
  });
  expect((await server.ask("/page.html?do=nothing")).body).toBe("page");
});

async function upstream(listener: http.RequestListener): Promise<string> {
  const server = http.createServer(listener);
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

test("a rewrite to another host is proxied, and one to a private address only when it is allowed", async () => {
  const url = await upstream((req, res) => {
    res.writeHead(203, { "x-up": "1", "set-cookie": ["a=1", "b=2"] });
    res.write(`${req.method} ${req.url} `);
    req.pipe(res);
  });
  const made = { config: { routes: [{ src: "^/out/(.*)$", dest: `${url}/in/$1` }] } };
  await using open = await startOutput(made, { SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8" });
  expect(await open.ask("/out/x?y=1", { body: "sent" })).toMatchObject({
    status: 203,
    body: "POST /in/x?y=1 sent",
    headers: { "x-up": "1", "set-cookie": ["a=1", "b=2"] },
  });
  await using closed = await startOutput(made);
  const refused = await closed.ask("/out/x");
  expect([refused.status, refused.headers["x-vercel-error"]]).toEqual([502, "ROUTER_EXTERNAL_TARGET_ERROR"]);
});

test("an upgrade to a function is refused plainly", async () => {
  await using server = await startOutput({ functions: { "api/echo": ECHO } });
  const headers = { connection: "upgrade", upgrade: "websocket" };
  expect((await askSocket(server.socket, "/api/echo", { headers })).status).toBe(501);
});
