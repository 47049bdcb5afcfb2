import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startOutput } from "../../../test/support/build-output.ts";
import { isAlive } from "../../foundation/process.ts";

const SHOW = `module.exports = (req, res) => res.json({
  env: process.env, headers: req.headers, url: req.url,
});`;

test("a function has the release's variables and its own, and nothing of the server's", async () => {
  const one = {
    files: { "index.js": SHOW },
    config: { environment: { OWN: "1", SHARED: "mine", NODE_OPTIONS: "--no-deprecation" } },
  };
  await using server = await startOutput(
    { functions: { "api/one": one, "api/two": SHOW } },
    { SHARED: "release", VERCEL_URL: "x.example", VERCEL_ENV: "preview" },
  );
  const { env: first } = JSON.parse((await server.ask("/api/one")).body);
  const { env: second } = JSON.parse((await server.ask("/api/two")).body);
  expect(first).toMatchObject({
    OWN: "1",
    SHARED: "mine",
    VERCEL: "1",
    VERCEL_ENV: "preview",
    NODE_ENV: "production",
  });
  expect(first.NODE_OPTIONS).toBe("--no-deprecation");
  expect(second).toMatchObject({ SHARED: "release", VERCEL_URL: "x.example" });
  expect(second.OWN).toBeUndefined();
  for (const env of [first, second]) {
    expect(Object.keys(env)).not.toEqual(expect.arrayContaining(["PORT"]));
    expect([env.SIGNALBOX_APP_SOCKET, env.PORT, env.NODE_CHANNEL_FD]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(String(env.NODE_OPTIONS)).not.toContain("listen-preload");
  }
});

test("a request has Vercel's headers, and none that a visitor made up", async () => {
  await using server = await startOutput({ functions: { "api/show": SHOW } }, { VERCEL_URL: "x.example" });
  const headers = {
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.example",
    "x-vercel-id": "forged",
    "x-matched-path": "/admin",
    "x-middleware-subrequest": "middleware",
    "x-vercel-ip-country": "DE",
    "x-real-ip": "10.0.0.1",
  };
  const answer = await server.ask("/api/show?a=%20b", { headers });
  const { headers: seen, url } = JSON.parse(answer.body);
  expect(url).toBe("/api/show?a=%20b");
  expect(seen).toMatchObject({
    "x-real-ip": "203.0.113.7",
    "x-vercel-forwarded-for": "203.0.113.7",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.example",
    "x-matched-path": "/api/show",
    "x-vercel-deployment-url": "x.example",
    "x-vercel-id": answer.headers["x-vercel-id"],
  });
  expect(seen["x-vercel-id"]).toMatch(/^iad1::iad1::\w{5}-\d+-\w{12}$/);
  expect([seen["x-middleware-subrequest"], seen["x-vercel-ip-country"]]).toEqual([undefined, undefined]);
});

test("console output names its request, also when two are under way at once", async () => {
  const source = `const waiting = []; module.exports = async (req, res) => {
    console.log("begin", req.url); waiting.push(() => { console.warn("end", req.url); res.end(); });
    if (waiting.length === 2) for (const go of waiting) go();
  };`;
  await using server = await startOutput({ functions: { "api/log": source } });
  const [a, b] = await Promise.all([server.ask("/api/log?a"), server.ask("/api/log?b")]);
  const lines = await Promise.all(
    ["begin /api/log?a", "begin /api/log?b"].map((text) => server.line(({ message }) => message === text)),
  );
  expect(lines.map(({ requestId }) => requestId)).toEqual([
    a.headers["x-vercel-id"],
    b.headers["x-vercel-id"],
  ]);
  expect(lines[0]).toMatchObject({
    signalbox: "runtime",
    level: "info",
    source: "serverless",
    host: "app.test",
    method: "GET",
  });
  expect((await server.line(({ message }) => message.startsWith("end"))).level).toBe("warning");
  const over = await server.line(({ source, path }) => source === "request" && path === "/api/log");
  expect(over).toMatchObject({ status: 200, level: "info" });
});

test("work of waitUntil goes on after the answer, and is waited for when the server is stopped", async () => {
  const source = `const context = globalThis[Symbol.for("@vercel/request-context")];
  module.exports = (req, res) => {
    const { waitUntil, headers, url } = context.get();
    waitUntil(new Promise((done) => setTimeout(done, 300)).then(() => console.log("done later")));
    res.end(headers.host + " " + url);
  };`;
  await using server = await startOutput({ functions: { "api/wait": source } });
  expect((await server.ask("/api/wait")).body).toBe("app.test http://app.test/api/wait");
  expect(server.lines.some(({ message }) => message === "done later")).toBe(false);
  server.child.kill("SIGTERM");
  await server.line(({ message }) => message === "done later");
  const code = await new Promise((done) => server.child.once("exit", done));
  expect(code).toBe(0);
});

test("SIGTERM lets a request that is in flight finish", async () => {
  const source = `module.exports = (req, res) => {
    console.log("in flight");
    setTimeout(() => res.end("finished"), 300);
  };`;
  await using server = await startOutput({ functions: { "api/slow": source } });
  const answer = server.ask("/api/slow");
  await server.line(({ message }) => message === "in flight");
  server.child.kill("SIGTERM");
  expect((await answer).body).toBe("finished");
});

test("a server that is killed leaves no function behind, not even one in an endless loop", async () => {
  const source = `module.exports = (req, res) => {
    res.end(String(process.pid));
    if (req.url.includes("spin")) setImmediate(() => { for (;;); });
  };`;
  await using server = await startOutput({ functions: { "api/a": source, "api/b": source } });
  const pids = [await server.ask("/api/a"), await server.ask("/api/b?spin")].map(({ body }) => Number(body));
  const group = childrenOf(server.pid);
  expect(group).toEqual(expect.arrayContaining(pids));
  server.child.kill("SIGKILL");
  await untilGone(group);
});

function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === parent)
    .map(Number);
}

function parentOf(pid: string): number {
  try {
    return Number(
      readFileSync(join("/proc", pid, "stat"), "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")[1],
    );
  } catch {
    return 0;
  }
}

/** No event tells of the end of somebody else's child. */
async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise((done) => setTimeout(done, 10));
}

test("files of filePathMap are in the bundle, and a package.json of the repository is not", async () => {
  const mapped = {
    files: {
      "index.js": `const lib = require("./lib/value.js");
        module.exports = (req, res) => res.json({ lib, dir: __dirname, cwd: process.cwd() });`,
    },
    config: { filePathMap: { "lib/value.js": "src/lib/value.js" } },
  };
  await using server = await startOutput({
    functions: { "api/mapped": mapped },
    links: { "api/same": "api/mapped" },
    tree: { "src/lib/value.js": "module.exports = 'mapped';", "package.json": '{"type":"module"}' },
  });
  const answer = JSON.parse((await server.ask("/api/mapped")).body);
  expect(answer).toMatchObject({ lib: "mapped", cwd: answer.dir });
  // A link is the same function, in the same process.
  expect(JSON.parse((await server.ask("/api/same")).body)).toEqual(answer);
  expect(childrenOf(server.pid)).toHaveLength(3);
});

test.each([
  ["../../outside.js"],
  ["/etc/hostname"],
])("a filePathMap that leaves the deployment (%s) runs nothing", async (from) => {
  const mapped = {
    files: { "index.js": "module.exports = (q, s) => s.end('ran');" },
    config: { filePathMap: { "lib.js": from } },
  };
  await using server = await startOutput({ functions: { "api/mapped": mapped } });
  expect((await server.ask("/api/mapped")).status).toBe(500);
  const line = await server.line(({ message }) => message.includes("outside of the deployment"));
  expect(line.level).toBe("error");
});

test("a runtime that is not here fails with its name in the log", async () => {
  const python = { files: { "index.py": "" }, config: { runtime: "python3.12", handler: "index.py" } };
  await using server = await startOutput({ functions: { "api/py": python } });
  expect((await server.ask("/api/py")).status).toBe(500);
  await server.line(({ message }) => message.includes("python3.12"));
});
