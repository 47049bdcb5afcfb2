import type { Clock } from "../foundation/clock.ts";
import { isAlive } from "../foundation/process.ts";
import type { Child } from "./child.ts";
import { lives } from "./lock.ts";
import type { SupervisorState } from "./state.ts";
import type { SuperviseDeps } from "./supervise.ts";

/**
 * The gateway of a supervisor that was killed: it went on serving, and ending it would drop requests. Null when there
 * is none, or when it listens where the configuration no longer says; that one is ended.
 */
export async function adoptGateway(
  deps: SuperviseDeps,
  before: SupervisorState | null,
): Promise<Child | null> {
  const name = before?.processes.gateway;
  if (!before || !name || !lives(name)) return null;
  const port = Number(new URL(before.gatewayUrl).port);
  if (deps.config.gatewayPort !== 0 && port !== deps.config.gatewayPort) {
    await end(deps.clock, name.pid, 15_000);
    return null;
  }
  deps.log.info({ pid: name.pid }, "adopted the gateway that was already running");
  return {
    name: "gateway",
    pid: () => name.pid,
    ready: Promise.resolve({ type: "ready", port }),
    stop: (graceMs) => end(deps.clock, name.pid, graceMs),
  };
}

async function end(clock: Clock, pid: number, graceMs: number): Promise<void> {
  if (!isAlive(pid)) return;
  process.kill(pid, "SIGTERM");
  const deadline = clock.monotonicMs() + graceMs;
  while (isAlive(pid) && clock.monotonicMs() < deadline) await clock.sleep(20);
  if (isAlive(pid)) process.kill(pid, "SIGKILL");
}
