import type { Clock } from "../foundation/clock.ts";
import type { Child } from "./child.ts";
import { lives, type ProcessName } from "./lock.ts";
import type { SupervisorState } from "./state.ts";
import type { SuperviseDeps } from "./supervise.ts";

const WATCH_MS = 100;

/**
 * The gateway of a supervisor that was killed: it went on serving, and ending it would drop requests. Should it die,
 * `startFresh` replaces it. Null when there is none, or when it listens where the configuration no longer says; that
 * one is ended.
 */
export async function adoptGateway(
  deps: SuperviseDeps,
  before: SupervisorState | null,
  startFresh: () => Child,
): Promise<Child | null> {
  const name = before?.processes.gateway;
  if (!before || !name || !lives(name)) return null;
  const port = Number(new URL(before.gatewayUrl).port);
  if (deps.config.gatewayPort !== 0 && port !== deps.config.gatewayPort) {
    await end(deps.clock, name, 15_000);
    return null;
  }
  deps.log.info({ pid: name.pid }, "adopted the gateway that was already running");
  const stopping = new AbortController();
  let fresh: Child | null = null;
  const watch = async () => {
    while (!stopping.signal.aborted && lives(name)) {
      await deps.clock.sleep(WATCH_MS, stopping.signal).catch(() => {});
    }
    if (stopping.signal.aborted) return;
    deps.log.warn({ pid: name.pid }, "the adopted gateway died; starting another");
    fresh = startFresh();
  };
  const watching = watch();
  return {
    name: "gateway",
    pid: () => fresh?.pid() ?? name.pid,
    ready: Promise.resolve({ type: "ready", port }),
    stop: async (graceMs) => {
      stopping.abort();
      await watching;
      await (fresh ? fresh.stop(graceMs) : end(deps.clock, name, graceMs));
    },
  };
}

async function end(clock: Clock, name: ProcessName, graceMs: number): Promise<void> {
  if (!lives(name)) return;
  process.kill(name.pid, "SIGTERM");
  const deadline = clock.monotonicMs() + graceMs;
  while (lives(name) && clock.monotonicMs() < deadline) await clock.sleep(20);
  if (lives(name)) process.kill(name.pid, "SIGKILL");
}
