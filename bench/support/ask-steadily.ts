import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { pin } from "./proxies.ts";
import type { SteadyOptions, SteadyResult } from "./steady-load.ts";

/** One round of load by a process of its own, on `cpu` alone where one is given. */
export async function askSteadily(options: SteadyOptions, cpu: number | null): Promise<SteadyResult> {
  const child = fork(join(import.meta.dirname, "steady-load.ts"), [JSON.stringify(options)]);
  if (cpu !== null && child.pid) pin(child.pid, cpu);
  const [result] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => Promise.reject(new Error(`The load ended with ${code}.`))),
  ]);
  return result as SteadyResult;
}
