import { spawn } from "node:child_process";
import { mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lives, lockDirectory, nameOf } from "./lock.ts";

const fresh = () => mkdtemp(join(tmpdir(), "lock-"));

test("a directory that a living supervisor holds is refused by name; released, it is free", async () => {
  const dir = await fresh();
  const lock = await lockDirectory(dir);
  expect(lock.tookOver).toBe(false);
  await expect(lockDirectory(dir)).rejects.toThrow(`Another supervisor (pid ${process.pid}) holds ${dir}.`);
  await lock.release();
  await (await lockDirectory(dir)).release();
  expect(await readdir(dir)).toEqual([]);
});

test("the lock of a dead process is taken over, also when its pid lives again as another process", async () => {
  const dir = await fresh();
  const child = spawn("true");
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const dead = nameOf(child.pid ?? 0);
  await exited;
  expect(lives(dead)).toBe(false);
  await writeFile(join(dir, "supervisor.lock"), JSON.stringify(dead));
  const lock = await lockDirectory(dir);
  expect(lock.tookOver).toBe(true);
  await lock.release();

  await writeFile(join(dir, "supervisor.lock"), JSON.stringify({ pid: process.pid, startTime: "1" }));
  expect((await lockDirectory(dir)).tookOver).toBe(true);
});

test("of many that find a stale lock at once, exactly one gets it", async () => {
  const dir = await fresh();
  await writeFile(join(dir, "supervisor.lock"), JSON.stringify({ pid: 2 ** 22 - 1, startTime: "1" }));
  const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(dir)));
  expect(tries.filter((result) => result.status === "fulfilled")).toHaveLength(1);
});
