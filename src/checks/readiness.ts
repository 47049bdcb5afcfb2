import type { Clock } from "../foundation/clock.ts";
import { messageOf } from "../foundation/errors.ts";

/** One thing that must work; throws when it does not. */
export type ReadinessCheck = (signal: AbortSignal) => Promise<unknown>;

export type Readiness = {
  readonly status: "ready" | "not_ready";
  readonly checks: Readonly<Record<string, { ok: boolean; latencyMs: number; error?: string }>>;
};

const INTERVAL_MS = 1_000;
const TIMEOUT_MS = 3_000;
/** A verdict older than this says nothing any more. */
const STALE_MS = 10_000;

/**
 * Runs the checks in the background, once a second, so that asking costs nothing and never waits for a dependency.
 * `read` answers the last verdict, "not_ready" before the first one and once the last is older than 10 s.
 */
export function keepReadiness(
  deps: { clock: Clock },
  checks: Readonly<Record<string, ReadinessCheck>>,
): { read(): Readiness; close(): Promise<void> } {
  const stopping = new AbortController();
  let latest: { at: number; readiness: Readiness } | null = null;
  const loop = async () => {
    while (!stopping.signal.aborted) {
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => [name, await runOne(deps.clock, check)] as const),
      );
      const ok = results.every(([, result]) => result.ok);
      const readiness: Readiness = {
        status: ok ? "ready" : "not_ready",
        checks: Object.fromEntries(results),
      };
      latest = { at: deps.clock.monotonicMs(), readiness };
      await deps.clock.sleep(INTERVAL_MS, stopping.signal).catch(() => {});
    }
  };
  const running = loop();
  return {
    read: () => {
      if (latest && deps.clock.monotonicMs() - latest.at <= STALE_MS) return latest.readiness;
      return { status: "not_ready", checks: {} };
    },
    close: async () => {
      stopping.abort();
      await running;
    },
  };
}

async function runOne(clock: Clock, check: ReadinessCheck): Promise<Readiness["checks"][string]> {
  const startedAt = clock.monotonicMs();
  const latencyMs = () => Math.round((clock.monotonicMs() - startedAt) * 10) / 10;
  try {
    await check(AbortSignal.timeout(TIMEOUT_MS));
    return { ok: true, latencyMs: latencyMs() };
  } catch (error) {
    return { ok: false, latencyMs: latencyMs(), error: messageOf(error) };
  }
}
