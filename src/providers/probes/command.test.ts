import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { probing } from "../../../test/support/probing.ts";
import { command } from "./command.ts";

const dir = mkdtempSync(join(tmpdir(), "signalbox-command-"));
afterAll(() => rmSync(dir, { recursive: true }));

const sh = (script: string, more: object = {}, options = {}) =>
  probing(command, { command: ["/bin/sh", "-c", script], ...more }, options);
const failed = (status: string, name: string, message: RegExp) => ({
  status,
  failure: { class: name, message: expect.stringMatching(message) },
});

test("the exit code decides: good ones, degraded ones, and all others", async () => {
  expect(await sh("echo fine")).toMatchObject({ status: "up", observed: { exitCode: 0, outputBytes: 5 } });
  expect(await sh("exit 3")).toMatchObject(failed("down", "status", /code 3, not 0/));
  expect(await sh("exit 3", { exitCodes: [0, 3] })).toMatchObject({ status: "up" });
  expect(await sh("exit 1", { degradedExitCodes: [1] })).toMatchObject(
    failed("degraded", "status", /code 1/),
  );
  expect(await sh("kill -9 $$")).toMatchObject(failed("down", "status", /signal SIGKILL/));
});

test("the output of both kinds is matched, the first 64 KiB of it, however much there is", async () => {
  expect(await sh("echo one; echo two >&2", { contains: "two", matches: "^one" })).toMatchObject({
    status: "up",
  });
  expect(await sh("echo one", { contains: "two" })).toMatchObject(failed("down", "assertion", /no "two"/));
  expect(await sh("echo one", { matches: "^t" })).toMatchObject(failed("down", "assertion", /\^t/));
  const long = await sh("head -c 3000000 /dev/zero; echo end", { contains: "end" });
  expect(long).toMatchObject({ ...failed("down", "assertion", /end/), observed: { outputBytes: 3_000_004 } });
});

test("no shell reads the arguments, and the prober's environment stays its own", async () => {
  const asked = { command: ["printf", "%s|", "$HOME; exit 1", "*"], contains: "$HOME; exit 1|*|" };
  expect(await probing(command, asked)).toMatchObject({ status: "up" });
  const file = join(dir, "env");
  expect(await sh(`/usr/bin/env > ${file}`, { env: { TOKEN: "t" }, cwd: dir })).toMatchObject({
    status: "up",
  });
  const names = (await readFile(file, "utf8"))
    .trim()
    .split("\n")
    .map((line) => line.split("=")[0]);
  expect(names.filter((name) => !["_", "PWD", "OLDPWD", "SHLVL"].includes(name ?? "")).sort()).toEqual([
    "LC_ALL",
    "PATH",
    "TOKEN",
  ]);
});

test("at its timeout it is killed with all that it started, and so is what it leaves behind", async () => {
  const file = join(dir, "pids");
  const late = await sh(`sleep 60 & echo $! > ${file}; sleep 61`, {}, { timeoutMs: 300 });
  expect(late).toMatchObject(failed("down", "timeout", /did not end within \d+ ms/));
  const left = await sh(`sleep 62 & echo $! >> ${file}; echo done`, { contains: "done" });
  expect(left).toMatchObject({ status: "up" });
  const pids = (await readFile(file, "utf8")).trim().split("\n").map(Number);
  expect(pids).toHaveLength(2);
  for (const pid of pids) await expect.poll(() => isRunning(pid)).toBe(false);
});

/** False for what is dead and only waits for its parent to hear of it. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat !== "" && !/^\d+ \(.*\) [ZX]/.test(stat);
}

test("what cannot be started is no verdict", async () => {
  const look = (...args: string[]) => probing(command, { command: args });
  expect(await look("no-such-program")).toMatchObject(failed("down", "unsupported", /no such program/));
  expect(await look("/etc/passwd")).toMatchObject(failed("down", "unsupported", /may not be run/));
  expect(await look("/bin/true")).toMatchObject({ status: "up" });
  expect(command.local).toBe(true);
  expect(command.settings.safeParse({ command: "/bin/true" }).success).toBe(false);
  expect(command.subject(command.settings.parse({ command: ["mysqladmin", "-psecret"] }))).toBe("mysqladmin");
});
