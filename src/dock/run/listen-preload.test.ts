import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { ask, MACHINE_PATH, temporaryDirectory } from "../../../test/support/trees.ts";
import { systemClock } from "../../foundation/clock.ts";
import { silentLog } from "../../foundation/log.ts";
import { createRunner } from "./index.ts";
import type { Runner } from "./run.ts";

let runner: Runner | null = null;

afterEach(async () => {
  await runner?.stop("dpl_1", { graceMs: 0 });
  await runner?.close();
  runner = null;
});

/** Starts an app of this source and returns what it answers at `/`. */
async function answerOf(dir: string, source: string, command = "node app.mjs"): Promise<string> {
  const directory = join(dir, "built");
  await mkdir(directory, { recursive: true });
  await writeFile(
    join(directory, "app.mjs"),
    `import http from "node:http";\nimport net from "node:net";\n${source}`,
  );
  const options = { dir, path: MACHINE_PATH, clock: systemClock, log: silentLog };
  runner = createRunner({ ...options, startDeadlineMs: 30_000 });
  await runner.start(
    { deploymentId: "dpl_1", server: { directory, command }, env: {} },
    new AbortController().signal,
  );
  return (await ask(runner.socketPath("dpl_1"))).body;
}

const server = `let note = "";
const server = http.createServer((q, s) => s.end(note + JSON.stringify(server.address())));`;

test.each([
  ["a port", "server.listen(4000)", 4000],
  ["a port in a string", "server.listen('4000')", 4000],
  ["the port of the environment", "server.listen(process.env.PORT)", 3000],
  ["any port", "server.listen(0)", 3000],
  ["nothing", "server.listen()", 3000],
  ["port and host", "server.listen(4000, '0.0.0.0')", 4000],
  ["port, host, backlog and callback", "server.listen(4000, '::', 10, () => { note = 'called '; })", 4000],
  ["port and callback", "server.listen(4000, () => { note = 'called '; })", 4000],
  ["options", "server.listen({ port: 4000, host: 'localhost', ipv6Only: true })", 4000],
  ["options and callback", "server.listen({ port: 4000 }, () => { note = 'called '; })", 4000],
])("listen with %s reaches the socket, and address() looks like TCP", async (_title, call, port) => {
  await using place = await temporaryDirectory();
  const body = await answerOf(place.path, `${server}\n${call};`);
  expect(body.startsWith("called ")).toBe(call.includes("called"));
  expect(JSON.parse(body.replace("called ", ""))).toEqual({ address: "127.0.0.1", family: "IPv4", port });
});

test("the peer of a request looks like TCP, for what limits or logs by address", async () => {
  await using place = await temporaryDirectory();
  const source =
    "http.createServer((q, s) => s.end(q.socket.remoteAddress + ' ' + q.socket.remoteFamily)).listen(3000)";
  expect(await answerOf(place.path, source)).toBe("127.0.0.1 IPv4");
});

test("a second server gets a port of its own on loopback, so that two releases never collide", async () => {
  await using place = await temporaryDirectory();
  const source = `const second = http.createServer(); second.listen(3001);
const main = second; const late = http.createServer((q, s) => s.end("late"));
late.listen(3001, () => {});
second.on("request", (q, s) => s.end(JSON.stringify([late.address().address, late.address().port === 3001])));`;
  expect(JSON.parse(await answerOf(place.path, source))).toEqual(["127.0.0.1", false]);
});

test("a server that is no HTTP server is left alone", async () => {
  await using place = await temporaryDirectory();
  const source = `const raw = net.createServer().listen(0, "127.0.0.1", () => {
  http.createServer((q, s) => s.end(String(raw.address().port > 0))).listen(3000);
});`;
  expect(await answerOf(place.path, source)).toBe("true");
});

test("a cluster's workers share the socket", async () => {
  await using place = await temporaryDirectory();
  const source = `import cluster from "node:cluster";
if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }
else http.createServer((q, s) => s.end("worker")).listen(3000);`;
  expect(await answerOf(place.path, source)).toBe("worker");
});

test("the program below a package manager and a shell is the one that gets the socket", async () => {
  await using place = await temporaryDirectory();
  await mkdir(join(place.path, "built"), { recursive: true });
  const scripts = { start: "node app.mjs", prestart: "node -e 0" };
  await writeFile(join(place.path, "built/package.json"), JSON.stringify({ scripts }));
  const source = `http.createServer((q, s) => s.end("below npm")).listen(3000);`;
  expect(await answerOf(place.path, source, "npm start")).toBe("below npm");
});

test("a worker thread does not take the socket from the main thread", async () => {
  await using place = await temporaryDirectory();
  const source = `import { Worker, isMainThread, parentPort } from "node:worker_threads";
if (isMainThread) {
  const main = http.createServer((q, s) => s.end("main")).listen(3000, () => {
    const worker = new Worker(new URL(import.meta.url));
    worker.on("message", () => { note = " and the worker elsewhere"; });
  });
  let note = ""; main.removeAllListeners("request");
  main.on("request", (q, s) => { const wait = () => (note ? s.end("main" + note) : setTimeout(wait, 10)); wait(); });
} else http.createServer((q, s) => s.end("worker")).listen(3000, () => parentPort.postMessage("up"));`;
  expect(await answerOf(place.path, source)).toBe("main and the worker elsewhere");
});
