import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../foundation/clock.ts";
import { runningPostgres } from "../foundation/embedded-postgres.ts";
import { lives, nameOf, type ProcessName } from "./lock.ts";
import { readState, removeState } from "./state.ts";

/** Longer than a supervisor needs to stop everything in order. */
const SUPERVISOR_GRACE_MS = 90_000;
const LEFTOVER_GRACE_MS = 15_000;

/**
 * Stops the supervisor and everything under it; after a killed supervisor, stops what it left behind. Answers the
 * names of what was running. Nothing running: an empty list, no error.
 */
export async function down(deps: {
  config: Config;
  clock: Clock;
  stopApps(): Promise<void>;
}): Promise<{ stopped: string[] }> {
  const state = await readState(deps.config.dir);
  const stopped: string[] = [];
  if (state && lives(state.supervisor)) {
    stopped.push("supervisor", ...Object.keys(state.processes));
    await end(deps.clock, state.supervisor, "SIGTERM", SUPERVISOR_GRACE_MS);
  }
  for (const [name, process] of Object.entries(state?.processes ?? {})) {
    if (name === "postgres" || !lives(process)) continue;
    stopped.push(name);
    await end(deps.clock, process, "SIGTERM", LEFTOVER_GRACE_MS);
  }
  if (state) await deps.stopApps();
  // By its own pid file: the supervisor may have restarted it since it wrote its state.
  const postgres = await runningPostgres(join(deps.config.dir, "postgres"));
  if (postgres !== null) {
    stopped.push("postgres");
    await end(deps.clock, nameOf(postgres), "SIGINT", LEFTOVER_GRACE_MS);
  }
  await removeState(deps.config.dir);
  return { stopped: [...new Set(stopped)] };
}

async function end(clock: Clock, name: ProcessName, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  process.kill(name.pid, signal);
  const deadline = clock.monotonicMs() + graceMs;
  while (lives(name) && clock.monotonicMs() < deadline) await clock.sleep(20);
  if (lives(name)) process.kill(name.pid, "SIGKILL");
}
