import { existsSync, readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type BuildPlace,
  buildPlace,
  requestOf,
  runBuild,
  temporaryDirectory,
  treeOf,
} from "../../../test/support/trees.ts";
import { isAlive, readProcess } from "../run/process-table.ts";
import type { BuildEvent } from "./build.ts";

/** A package whose build runs `script` by Node. */
async function scripted(place: BuildPlace, script: string, more: Record<string, string> = {}) {
  return treeOf(place.store, {
    "package.json": JSON.stringify({ scripts: { build: "node build.mjs" } }),
    "build.mjs": `import fs from "node:fs"; import { spawn } from "node:child_process";
fs.mkdirSync("public", { recursive: true }); fs.writeFileSync("public/index.html", "hi");
${script}`,
    ...more,
  });
}

/** The pid that a build's script wrote, as soon as it did. */
function pidIn(event: BuildEvent): number | null {
  const pid = /pid (\d+)/.exec(event.text)?.[1];
  return pid === undefined ? null : Number(pid);
}

function expectGone(pid: number | null, startTime: string | undefined) {
  expect(pid).not.toBeNull();
  expect(isAlive(pid ?? 0, startTime ?? "")).toBe(false);
}

function nothingLeft(place: BuildPlace) {
  const work = join(place.dir, "work");
  expect(existsSync(work) ? readdirSync(work) : []).toEqual([]);
}

describe("a build gets one sentence when it", () => {
  test.each([
    [
      "exits",
      "console.error('Error: the moon is full'); process.exit(3)",
      "BUILD_FAILED",
      /exited with code 3: Error: the moon/,
    ],
    ["kills itself", "process.kill(process.pid, 'SIGSEGV')", "BUILD_FAILED", /code|killed/],
    [
      "leaves nothing to serve",
      "fs.rmSync('public', { recursive: true }); fs.mkdirSync('dist')",
      "BUILD_NO_OUTPUT",
      /"public".*there are: .*dist/,
    ],
  ])("%s", async (_title, script, code, message) => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const failing = runBuild(built, requestOf(await scripted(built, script)));
    await expect(failing).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    nothingLeft(built);
  });

  test("names a program that is not there", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const settings = { buildCommand: "no-such-bundler build" };
    const failing = runBuild(built, requestOf(await scripted(built, ""), { settings }));
    await expect(failing).rejects.toThrow(/`no-such-bundler build` names a program that is not there/);
  });

  test("needs a package manager that is not installed", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const packageJson = JSON.stringify({ scripts: { build: "x" }, dependencies: { a: "1" } });
    const files = await treeOf(built.store, { "package.json": packageJson, "bun.lock": "" });
    await expect(runBuild(built, requestOf(files))).rejects.toThrow(
      /needs bun \(the repository has a bun\.lock\)/,
    );
  });
});

describe("a build that goes on for ever, or takes too much, is ended when it", () => {
  test("hangs, and nothing of it is left", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path, { timeoutMs: 3_000 });
    let pid: number | null = null;
    let startTime: string | undefined;
    const onEvent = (event: BuildEvent) => {
      pid ??= pidIn(event);
      startTime ??= readProcess(pid ?? 0)?.startTime;
    };
    const files = await scripted(built, "console.log('pid ' + process.pid); setInterval(() => {}, 1e6)");
    const failing = runBuild(built, requestOf(files), { onEvent });
    await expect(failing).rejects.toMatchObject({
      code: "BUILD_TIMEOUT",
      message: expect.stringMatching(/within 3 s/),
    });
    expectGone(pid, startTime);
    nothingLeft(built);
  });

  test("takes too much memory, children included", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path, { memoryBytes: 400 * 2 ** 20 });
    const eater = "const all = []; setInterval(() => all.push(Buffer.alloc(2 ** 25, 1)), 50)";
    const script = `spawn(process.execPath, ["-e", ${JSON.stringify(eater)}], { stdio: "ignore" });
setInterval(() => {}, 1e6)`;
    const failing = runBuild(built, requestOf(await scripted(built, script)));
    await expect(failing).rejects.toMatchObject({ code: "BUILD_OUT_OF_MEMORY" });
    nothingLeft(built);
  });

  test("fills the disk", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path, { diskBytes: 20 * 2 ** 20 });
    const script = "setInterval(() => fs.appendFileSync('public/big.bin', Buffer.alloc(2 ** 20, 1)), 20)";
    const failing = runBuild(built, requestOf(await scripted(built, script)));
    await expect(failing).rejects.toMatchObject({ code: "BUILD_OUTPUT_TOO_LARGE" });
    nothingLeft(built);
  });

  test("is canceled", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const cancel = new AbortController();
    let pid: number | null = null;
    let startTime: string | undefined;
    const onEvent = (event: BuildEvent) => {
      pid ??= pidIn(event);
      startTime ??= readProcess(pid ?? 0)?.startTime;
      if (pid !== null) cancel.abort();
    };
    const files = await scripted(built, "console.log('pid ' + process.pid); setInterval(() => {}, 1e6)");
    const failing = runBuild(built, requestOf(files), { onEvent, signal: cancel.signal });
    await expect(failing).rejects.toMatchObject({ code: "BUILD_CANCELED" });
    expectGone(pid, startTime);
    nothingLeft(built);
  });
});

test("processes that fork away and leave their session end with the build", async () => {
  await using place = await temporaryDirectory();
  const built = await buildPlace(place.path);
  let pid: number | null = null;
  let startTime: string | undefined;
  const onEvent = (event: BuildEvent) => {
    pid ??= pidIn(event);
    startTime ??= readProcess(pid ?? 0)?.startTime;
  };
  // The middle one ends at once, so that the daemon belongs to init, in a session of its own.
  const daemon = "console.log('pid ' + process.pid); setInterval(() => {}, 1e6)";
  const away = '{ detached: true, stdio: "inherit" }';
  const middle = `const { spawn } = require("node:child_process");
spawn(process.execPath, ["-e", ${JSON.stringify(daemon)}], ${away}); process.exit()`;
  const script = `spawn(process.execPath, ["-e", ${JSON.stringify(middle)}], ${away});
await new Promise((resolve) => setTimeout(resolve, 1500));`;
  await runBuild(built, requestOf(await scripted(built, script)), { onEvent });
  expectGone(pid, startTime);
});

test("a command gets the request's variables and nothing of the dock's", async () => {
  await using place = await temporaryDirectory();
  const built = await buildPlace(place.path);
  process.env.DOCK_ONLY = "the dock's own";
  try {
    const files = await scripted(built, "fs.writeFileSync('public/env.json', JSON.stringify(process.env))");
    const { artifact } = await runBuild(built, requestOf(files, { env: { GREETING: "hello", CI: "yes" } }));
    const manifest = JSON.parse(await readFile(artifact.manifest, "utf8"));
    const env = JSON.parse(await readFile(built.store.path(manifest.files["/env.json"].digest), "utf8"));
    expect(env).toMatchObject({ GREETING: "hello", CI: "yes", NODE_ENV: "production" });
    expect(env.DOCK_ONLY).toBeUndefined();
    expect(env.VITEST).toBeUndefined();
    expect(env.HOME.startsWith(place.path)).toBe(true);
    expect(env.PATH).not.toContain(join(import.meta.dirname, "../../../node_modules/.bin"));
  } finally {
    delete process.env.DOCK_ONLY;
  }
});

describe("the log", () => {
  test("shows no secret, whole or encoded, even where it is written in pieces", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const script = `const s = process.env.API_TOKEN;
console.log("plain " + s); console.log("base64 " + Buffer.from(s).toString("base64"));
process.stdout.write("pieces " + s.slice(0, 5)); await new Promise((r) => setTimeout(r, 400));
process.stdout.write(s.slice(5) + "\\n"); console.error("Error: cannot use " + s); process.exit(1)`;
    const env = { API_TOKEN: "s3cr3t-t0k3n-value" };
    const events: BuildEvent[] = [];
    const failing = runBuild(built, requestOf(await scripted(built, script), { env }), {
      onEvent: (event) => events.push(event),
    });
    await expect(failing).rejects.toThrow("Error: cannot use [redacted API_TOKEN]");
    const text = events.map((event) => event.text).join("");
    expect(text).not.toContain("s3cr3");
    expect(text).toContain("base64 [redacted API_TOKEN]");
    expect(text).toContain("pieces [redacted API_TOKEN]");
  });

  test("arrives while the build runs, an unfinished line too", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const gate = join(place.path, "gate");
    const script = `process.stdout.write("working…");
while (!fs.existsSync(${JSON.stringify(gate)})) await new Promise((r) => setTimeout(r, 20));`;
    const onEvent = (event: BuildEvent) => {
      if (event.text === "working…") void writeFile(gate, "");
    };
    // Ends only if the text came before the build did.
    await runBuild(built, requestOf(await scripted(built, script)), { onEvent });
  });

  test("is bounded, and says so", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const script =
      "const line = 'x'.repeat(999) + '\\n'; for (let n = 0; n < 8000; n++) fs.writeSync(1, line);";
    const { text } = await runBuild(built, requestOf(await scripted(built, script)));
    expect(text.length).toBeLessThan(4.1 * 2 ** 20);
    expect(text).toMatch(/longer than 4 MiB/);
  });
});
