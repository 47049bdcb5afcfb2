import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";

let base: string;

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "signalbox-bin-"));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

// What a program is started with, and how it ends, told by the program itself.
const PROGRAM = `
  const [how] = process.argv.slice(2);
  process.on("SIGTERM", () => { console.log("told to end"); process.exit(7); });
  console.log(JSON.stringify({ argv: process.argv.slice(2), file: import.meta.filename }));
  if (how === "wait") setInterval(() => {}, 1_000);
  else process.exitCode = Number(how);
`;

/** Lays out a clone (`src/`) or an installed package (`dist/` under node_modules), with the real bin/. */
function layOut(kind: "clone" | "package"): string {
  const root = kind === "clone" ? join(base, "clone") : join(base, "app/node_modules/signalbox");
  const entry = kind === "clone" ? "src/main.ts" : "dist/main.js";
  mkdirSync(join(root, entry, ".."), { recursive: true });
  cpSync(join(import.meta.dirname, "../../bin"), join(root, "bin"), { recursive: true });
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  writeFileSync(join(root, entry), PROGRAM);
  return join(root, "bin/signalbox");
}

/** Starts the command with a `node` that says it is of another version, when one is given. */
function start(bin: string, args: string[], pretend?: string): ChildProcess {
  const preload = join(base, "pretend.cjs");
  writeFileSync(
    preload,
    `if (process.env.PRETEND && process.argv[1] === ${JSON.stringify(bin)} && !process.env.AGAIN) {
      process.env.AGAIN = "1";
      Object.defineProperty(process, "versions", { value: { ...process.versions, node: process.env.PRETEND } });
    }`,
  );
  const env = { PATH: process.env.PATH, ...(pretend === undefined ? {} : { PRETEND: pretend }) };
  return spawn(process.execPath, ["--require", preload, bin, ...args], { env, cwd: base });
}

async function endOf(child: ChildProcess) {
  const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [stdout, stderr, code] = await Promise.all([
    child.stdout ? text(child.stdout) : "",
    child.stderr ? text(child.stderr) : "",
    closed,
  ]);
  return { stdout, stderr, code };
}

test.each([
  "clone",
  "package",
] as const)("in a %s it runs what lies beside it and ends with its code", async (kind) => {
  const ended = await endOf(start(layOut(kind), ["3", "--flag"]));
  expect(ended.code).toBe(3);
  const { argv, file } = JSON.parse(ended.stdout);
  expect(argv).toEqual(["3", "--flag"]);
  expect(file).toMatch(kind === "clone" ? /src\/main\.ts$/ : /dist\/main\.js$/);
});

test("it works through the link that npm makes", async () => {
  const bin = layOut("package");
  const link = join(base, "app/node_modules/.bin/signalbox");
  mkdirSync(join(link, ".."), { recursive: true });
  symlinkSync(bin, link);
  expect((await endOf(start(link, ["0"]))).code).toBe(0);
});

test("an old Node without a newer one near says in one sentence what is needed", async () => {
  const ended = await endOf(start(layOut("clone"), ["0"], "20.1.0"));
  expect(ended).toMatchObject({ code: 1, stdout: "" });
  expect(ended.stderr.trim().split("\n")).toHaveLength(1);
  expect(ended.stderr).toMatch(/needs Node 24\.12 or newer, and this is 20\.1\.0: .*npm install node@24/);
});

test("an old Node hands over to the newer one in node_modules, with its signals and its exit code", async () => {
  const bin = layOut("clone");
  const pack = join(base, "clone/node_modules/node");
  mkdirSync(join(pack, "bin"), { recursive: true });
  writeFileSync(join(pack, "package.json"), JSON.stringify({ version: process.versions.node }));
  writeFileSync(join(pack, "bin/node"), `#!/bin/sh\nexec "${process.execPath}" "$@"\n`);
  chmodSync(join(pack, "bin/node"), 0o755);
  expect(await endOf(start(bin, ["5"], "20.1.0"))).toMatchObject({ code: 5 });
  const waiting = start(bin, ["wait"], "20.1.0");
  const ended = endOf(waiting);
  await new Promise((resolve) => waiting.stdout?.once("data", resolve));
  waiting.kill("SIGTERM");
  expect(await ended).toMatchObject({ code: 7, stdout: expect.stringContaining("told to end") });
});
