import type { Clock } from "../../foundation/clock.ts";

/** The end of a phase: its time is up, or the caller gave it up. */
export type TimeLimit = Disposable & {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Null while it goes on. */
  stopped(): "timeout" | "canceled" | null;
  /** At least 1: Postgres takes 0 for no limit. */
  remainingMs(): number;
};

export function startTimeLimit(clock: Clock, timeoutMs: number, outer: AbortSignal): TimeLimit {
  const end = clock.monotonicMs() + timeoutMs;
  const up = new AbortController();
  const done = new AbortController();
  clock.sleep(timeoutMs, done.signal).then(
    () => up.abort(),
    // Disposed of before its time.
    () => {},
  );
  return {
    timeoutMs,
    signal: AbortSignal.any([up.signal, outer]),
    stopped: () => (outer.aborted ? "canceled" : up.signal.aborted ? "timeout" : null),
    remainingMs: () => Math.max(1, Math.ceil(end - clock.monotonicMs())),
    [Symbol.dispose]: () => done.abort(),
  };
}
