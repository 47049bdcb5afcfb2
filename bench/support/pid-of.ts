import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runningPostgres } from "../../src/foundation/embedded-postgres.ts";

/** The process id that a part of the instance in `dir` has now: every restart gives it a new one. */
export async function pidOf(dir: string, process: "control" | "postgres"): Promise<number> {
  const pid = process === "postgres" ? await runningPostgres(join(dir, "postgres")) : await controlPid(dir);
  if (typeof pid !== "number") throw new Error(`${process} is not running in ${dir}.`);
  return pid;
}

async function controlPid(dir: string): Promise<unknown> {
  const { processes } = JSON.parse(await readFile(join(dir, "supervisor.json"), "utf8"));
  return processes.control?.pid;
}
