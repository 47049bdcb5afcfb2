import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../foundation/clock.ts";

/** How long this process itself stood still: what it measured meanwhile says nothing of anybody else. */
export type LoopLag = {
  /** Total of the stalls between two points of the monotonic clock, up to now. */
  between(from: number, to: number): number;
  /** Of the last ten seconds or so, for people. */
  p99Ms(): number;
  close(): void;
};

const TICK_MS = 10;
/** Below this a late timer is what timers are. */
const NOISE_MS = 3;
/** No round takes longer; older stalls explain nothing any more. */
const KEPT_MS = 120_000;

type Stall = { readonly from: number; readonly to: number };

/** Pure: the part of the stalls that lies within the window. */
export function stalledBetween(stalls: readonly Stall[], from: number, to: number): number {
  let total = 0;
  for (let at = stalls.length - 1; at >= 0; at--) {
    const stall = stalls[at] as Stall;
    if (stall.to <= from) break;
    total += Math.max(0, Math.min(stall.to, to) - Math.max(stall.from, from));
  }
  return total;
}

/** Watches by a tick of its own: one that comes late tells from when to when the loop stood still. */
export function watchLoopLag(clock: Pick<Clock, "monotonicMs">): LoopLag {
  const stalls: Stall[] = [];
  const histogram = monitorEventLoopDelay({ resolution: TICK_MS });
  histogram.enable();
  let last = clock.monotonicMs();
  const timer = setInterval(() => {
    const now = clock.monotonicMs();
    if (now - last - TICK_MS > NOISE_MS) stalls.push({ from: last + TICK_MS, to: now });
    last = now;
    while (stalls[0] && stalls[0].to < now - KEPT_MS) stalls.shift();
  }, TICK_MS);
  timer.unref();
  return {
    between: (from, to) => {
      const now = clock.monotonicMs();
      // After a stall, what waited is handled before the tick that would tell of it.
      const running = { from: last + TICK_MS, to: now };
      const open = now - last - TICK_MS > NOISE_MS ? stalledBetween([running], from, to) : 0;
      return open + stalledBetween(stalls, from, to);
    },
    p99Ms: () => {
      // The histogram holds the whole delay of its timer, of which the resolution is no lag.
      const lag = Math.max(0, histogram.percentile(99) / 1e6 - TICK_MS);
      histogram.reset();
      return Number.isFinite(lag) ? lag : 0;
    },
    close: () => {
      clearInterval(timer);
      histogram.disable();
    },
  };
}

/** What a latency can bear: more than a tenth of it, and more than what any timer is late. */
export function isDistorted(stalledMs: number, latencyMs: number): boolean {
  return stalledMs > Math.max(20, latencyMs / 10);
}

/**
 * Whether a timeout may be our own doing. Less would make every hang on a busy machine unknown: with half of the time
 * left to hear it in, a service that answers is heard.
 */
export function explainsTimeout(stalledMs: number, timeoutMs: number): boolean {
  return stalledMs > Math.max(20, timeoutMs / 2);
}
