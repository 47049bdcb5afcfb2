import { existsSync, readdirSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ask, MACHINE_PATH, NETWORK_ENV, temporaryDirectory } from "../../../test/support/trees.ts";
import { systemClock } from "../../foundation/clock.ts";
import { silentLog } from "../../foundation/log.ts";
import { createRunner } from "./index.ts";
import { isAlive, readProcess } from "./process-table.ts";
import type { AppSpec, Runner } from "./run.ts";
import { backoffMs } from "./supervise.ts";

const never = new AbortController().signal;
const opened: { runner: Runner; ids: Set<string> }[] = [];

afterEach(async () => {
  for (const { runner, ids } of opened.splice(0)) {
    for (const id of ids) await runner.stop(id, { graceMs: 0 });
    await runner.close();
  }
});

function runnerIn(dir: string, startDeadlineMs = 30_000): Runner {
  const options = { dir, networkEnv: NETWORK_ENV, path: MACHINE_PATH, clock: systemClock, log: silentLog };
  const runner = createRunner({ ...options, startDeadlineMs });
  const ids = new Set<string>();
  opened.push({ runner, ids });
  const { start, adopt } = runner;
  return {
    ...runner,
    start: (spec, signal) => {
      ids.add(spec.deploymentId);
      return start(spec, signal);
    },
    adopt: (wanted) => {
      for (const spec of wanted) ids.add(spec.deploymentId);
      return adopt(wanted);
    },
  };
}

/** An app of one file, as a release of its own. */
async function appOf(
  dir: string,
  source: string,
  more: Partial<AppSpec> = {},
  command = "node app.mjs",
): Promise<AppSpec> {
  const deploymentId = more.deploymentId ?? "dpl_1";
  const directory = join(dir, "built", deploymentId);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "app.mjs"), `import http from "node:http";\n${source}`);
  await writeFile(join(directory, "package.json"), '{"name":"shop","version":"1.2.3"}');
  return { deploymentId, server: { directory, command }, env: {}, ...more };
}

const HELLO = `const { pid, env } = process;
const server = http.createServer((q, s) => s.end(JSON.stringify({ pid, env })));
server.listen(process.env.PORT);`;

async function until<Value>(
  read: () => Value | Promise<Value>,
  good: (value: Value) => boolean,
): Promise<Value> {
  for (;;) {
    const value = await read();
    if (good(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const pidOf = async (runner: Runner, id = "dpl_1"): Promise<number> =>
  JSON.parse((await ask(runner.socketPath(id))).body).pid;

describe("a start", () => {
  test("resolves once the app answers, on its socket, with its own environment only", async () => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path);
    process.env.DOCK_ONLY = "the dock's own";
    await runner.start(await appOf(place.path, HELLO, { env: { GREETING: "hi" } }), never);
    delete process.env.DOCK_ONLY;
    expect(runner.state("dpl_1")).toMatchObject({ status: "up", restarts: 0 });
    const { env } = JSON.parse((await ask(runner.socketPath("dpl_1"))).body);
    expect(env).toMatchObject({
      GREETING: "hi",
      NODE_ENV: "production",
      PORT: "3000",
      npm_package_version: "1.2.3",
    });
    expect([env.DOCK_ONLY, env.VITEST]).toEqual([undefined, undefined]);
  });

  test("takes any answer for up, a bad one too", async () => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path);
    await runner.start(
      await appOf(place.path, "http.createServer((q, s) => s.writeHead(500).end('no')).listen(3000)"),
      never,
    );
    expect(await ask(runner.socketPath("dpl_1"))).toEqual({ status: 500, body: "no" });
  });
});

describe("a start that fails", () => {
  test.each([
    [
      "exits",
      "console.error('Error: no database'); process.exit(7)",
      /exited with code 7 before it listened: Error: no database/,
    ],
    [
      "never listens",
      "console.log('thinking'); setInterval(() => {}, 1e6)",
      /did not listen for HTTP within 2 s: thinking/,
    ],
    [
      "never answers",
      "http.createServer(() => {}).listen(3000)",
      /accepted connections but answered no request within 2 s/,
    ],
  ])("of an app that %s fails with a sentence, and leaves no process", async (_title, source, message) => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path, 2_000);
    const spec = await appOf(
      place.path,
      `import { writeFileSync } from "node:fs"; writeFileSync("pid", String(process.pid));\n${source}`,
    );
    await expect(runner.start(spec, never)).rejects.toMatchObject({
      code: "unprocessable",
      message: expect.stringMatching(message),
    });
    const pid = Number(await readFile(join(spec.server.directory, "pid"), "utf8"));
    const row = readProcess(pid);
    expect(row === null || row.zombie).toBe(true);
    expect(runner.state("dpl_1")).toEqual({ status: "stopped" });
    expect(existsSync(runner.socketPath("dpl_1"))).toBe(false);
  });

  test("in a directory that is gone fails with a sentence", async () => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path);
    const spec = {
      deploymentId: "dpl_1",
      server: { directory: join(place.path, "gone"), command: "node a.js" },
      env: {},
    };
    await expect(runner.start(spec, never)).rejects.toMatchObject({ code: "unprocessable" });
  });

  test("can be canceled, and leaves nothing", async () => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path);
    const spec = await appOf(place.path, "console.log('begun'); setInterval(() => {}, 1e6)");
    const cancel = new AbortController();
    const starting = runner.start(spec, cancel.signal);
    const settled = starting.catch((error) => error);
    await until(
      () => runner.tail("dpl_1", 1),
      (lines) => lines[0] === "begun",
    );
    cancel.abort();
    expect(await settled).toMatchObject({ code: "canceled" });
    expect(readdirSync(join(place.path, "apps"))).toEqual([]);
  });
});

describe("an app that dies", () => {
  test("is started again, and killed twice waits longer", async () => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path);
    await runner.start(await appOf(place.path, HELLO), never);
    for (const restarts of [1, 2]) {
      process.kill(await pidOf(runner), "SIGKILL");
      await until(
        () => runner.state("dpl_1"),
        (state) => state.status === "up" && state.restarts === restarts,
      );
      expect((await ask(runner.socketPath("dpl_1"))).status).toBe(200);
    }
  });

  test("says why, while it waits", async () => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path);
    const source = `http.createServer((q, s) => {
  s.end("x");
  if (q.url === "/die") { console.error("Error: out of ink"); process.exit(9); }
}).listen(3000)`;
    await runner.start(await appOf(place.path, source), never);
    await ask(runner.socketPath("dpl_1"), "/die").catch(() => {});
    const state = await until(
      () => runner.state("dpl_1"),
      (now) => now.status === "crashed",
    );
    expect(state).toMatchObject({ reason: "The app exited with code 9: Error: out of ink." });
  });

  test("waits 100 ms, then twice as long each time, at most 30 s", () => {
    expect([1, 2, 3, 9, 10, 1_000].map(backoffMs)).toEqual([100, 200, 400, 25_600, 30_000, 30_000]);
  });
});

describe("a stop", () => {
  const graceful = `const server = http.createServer((q, s) => setTimeout(() => s.end("done"), 700)).listen(3000);
process.on("SIGTERM", () => server.close(() => process.exit(0)));`;

  test("lets requests in flight end", async () => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path);
    await runner.start(await appOf(place.path, graceful), never);
    const inFlight = ask(runner.socketPath("dpl_1"));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await runner.stop("dpl_1");
    expect(await inFlight).toEqual({ status: 200, body: "done" });
    expect(runner.state("dpl_1").status).toBe("stopped");
  });

  test("kills what ignores it and what left the group, and removes every trace", async () => {
    await using place = await temporaryDirectory();
    const runner = runnerIn(place.path);
    const stubborn = `import { spawn } from "node:child_process";
process.on("SIGTERM", () => {});
const deaf = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6)";
const away = spawn(process.execPath, ["-e", deaf], { detached: true, stdio: "ignore" });
http.createServer((q, s) => s.end(JSON.stringify({ pid: process.pid, away: away.pid }))).listen(3000);`;
    await runner.start(await appOf(place.path, stubborn), never);
    const { pid, away } = JSON.parse((await ask(runner.socketPath("dpl_1"))).body);
    const starts = [pid, away].map((id) => readProcess(id)?.startTime ?? "");
    await runner.stop("dpl_1", { graceMs: 200 });
    expect([isAlive(pid, starts[0] ?? ""), isAlive(away, starts[1] ?? "")]).toEqual([false, false]);
    expect(readdirSync(join(place.path, "apps"))).toEqual([]);
    expect(readdirSync(join(place.path, "run"))).toEqual([]);
  });
});

describe("after a restart of the dock", () => {
  test("the living are adopted, watched and restarted; the dead are started; the unwanted are stopped", async () => {
    await using place = await temporaryDirectory();
    const first = runnerIn(place.path);
    const [kept, dead, unwanted] = await Promise.all(
      ["dpl_kept", "dpl_dead", "dpl_unwanted"].map((deploymentId) =>
        appOf(place.path, HELLO, { deploymentId }),
      ),
    );
    if (!kept || !dead || !unwanted) throw new Error("three apps");
    for (const spec of [kept, dead, unwanted]) await first.start(spec, never);
    const pids = await Promise.all(["dpl_kept", "dpl_dead", "dpl_unwanted"].map((id) => pidOf(first, id)));
    await first.close();
    process.kill(pids[1] ?? 0, "SIGKILL");
    await until(
      () => readProcess(pids[1] ?? 0),
      (row) => row === null || row.zombie,
    );

    const second = runnerIn(place.path);
    await second.adopt([kept, dead]);
    expect(second.state("dpl_kept")).toMatchObject({ status: "up", pid: expect.any(Number), restarts: 0 });
    expect(await pidOf(second, "dpl_kept")).toBe(pids[0]);
    await until(
      () => second.state("dpl_dead"),
      (state) => state.status === "up",
    );
    const row = readProcess(pids[2] ?? 0);
    expect(row === null || row.zombie).toBe(true);

    process.kill(pids[0] ?? 0, "SIGKILL");
    await until(
      () => second.state("dpl_kept"),
      (state) => state.status === "up" && state.restarts === 1,
    );
    expect(await pidOf(second, "dpl_kept")).not.toBe(pids[0]);
  });

  test("a start finds what runs already", async () => {
    await using place = await temporaryDirectory();
    const spec = await appOf(place.path, HELLO);
    const first = runnerIn(place.path);
    await first.start(spec, never);
    const pid = await pidOf(first);
    await first.close();
    const second = runnerIn(place.path);
    await second.start(spec, never);
    expect(await pidOf(second)).toBe(pid);
  });
});

test("the log holds the newest output and stays bounded", async () => {
  await using place = await temporaryDirectory();
  const runner = runnerIn(place.path);
  const chatty = `import { writeSync } from "node:fs";
http.createServer((q, s) => {
  for (let n = 0; n < 8000; n++) writeSync(1, n + "x".repeat(990) + "\\n");
  s.end("x");
}).listen(3000)`;
  await runner.start(await appOf(place.path, chatty), never);
  await ask(runner.socketPath("dpl_1"));
  const folder = join(place.path, "apps/dpl_1");
  await until(() => existsSync(join(folder, "output.log.1")), Boolean);
  await until(
    async () =>
      (await readFile(join(folder, "output.log"))).length +
      (await readFile(join(folder, "output.log.1"))).length,
    (size) => size < 6 * 2 ** 20,
  );
  const lines = await runner.tail("dpl_1", 2);
  expect(lines).toHaveLength(2);
});

test("a socket's path is short, however deep the state directory is, and the same every time", async () => {
  await using place = await temporaryDirectory();
  const deep = join(place.path, "d".repeat(80));
  const runner = runnerIn(deep);
  const spec = await appOf(place.path, HELLO, { deploymentId: "dpl_0123456789abcdefghjk" });
  const path = runner.socketPath(spec.deploymentId);
  expect(Buffer.byteLength(path)).toBeLessThan(100);
  expect(runnerIn(deep).socketPath(spec.deploymentId)).toBe(path);
  await runner.start(spec, never);
  expect((await ask(path)).status).toBe(200);
  await runner.stop(spec.deploymentId);
  await rmdir(dirname(path));
});
