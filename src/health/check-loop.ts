import type { CheckOptions, CheckResult, HealthClock } from "./options.ts";

/** What the last look found; times by the monotonic clock, except `at`. */
export type Look = {
  readonly status: "pass" | "warn" | "fail";
  /** For those who may see details. */
  readonly output: string | null;
  /** For everybody: no names, no addresses. */
  readonly reason: string | null;
  readonly latencyMs: number;
  readonly at: Date;
  readonly endedMs: number;
  readonly observed: { readonly value: number | string; readonly unit: string | null } | null;
};

export type Limits = { readonly intervalMs: number; readonly timeoutMs: number; readonly maxAgeMs: number };

export function limitsOf({ intervalMs = 5_000, timeoutMs = 2_000, maxAgeMs }: CheckOptions): Limits {
  return { intervalMs, timeoutMs, maxAgeMs: maxAgeMs ?? 3 * intervalMs + timeoutMs };
}

/** What a timer of Node can wait for; anything above is 1 ms to it. */
const LONGEST_MS = 2 ** 31 - 1;

/** @throws RangeError for what would be looked at without a pause, or never. */
export function requireLimits(name: string, options: CheckOptions): void {
  for (const [limit, ms] of Object.entries(limitsOf(options))) {
    const isOurs = limit === "maxAgeMs" && options.maxAgeMs === undefined;
    if (!isOurs && !(Number.isInteger(ms) && ms >= 1 && ms <= LONGEST_MS))
      throw new RangeError(
        `${limit} of the check "${name}" is ${ms}; it has to be 1 to ${LONGEST_MS} whole ms`,
      );
  }
}

/**
 * Looks again and again, one look at a time: a check that ignores its signal is not started a second time while it
 * hangs, lest what it waits for drown in what has piled up. Failures are kept as successes are. `found` is called after
 * each look.
 */
export function startLoop(
  options: CheckOptions,
  clock: HealthClock,
  found: (look: Look) => void,
): { close(): void } {
  const { intervalMs, timeoutMs } = limitsOf(options);
  const closing = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const turn = async () => {
    const { look, settled } = begin(options, timeoutMs, clock, closing.signal);
    const first = await look;
    if (closing.signal.aborted) return;
    found(first);
    await settled;
    if (closing.signal.aborted) return;
    timer = setTimeout(() => void turn(), intervalMs);
    // A health check is no reason for a process to stay.
    timer.unref();
  };
  void turn();
  return {
    close() {
      closing.abort();
      clearTimeout(timer);
    },
  };
}

function begin(options: CheckOptions, timeoutMs: number, clock: HealthClock, closing: AbortSignal) {
  const startedMs = clock.monotonicMs();
  const ends = AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]);
  const ended = (status: Look["status"], more: Partial<Look> = {}): Look => {
    const endedMs = clock.monotonicMs();
    const latencyMs = Math.round((endedMs - startedMs) * 100) / 100;
    return {
      status,
      output: null,
      reason: null,
      observed: null,
      ...more,
      latencyMs,
      at: clock.now(),
      endedMs,
    };
  };
  const work = (async () => options.check(ends))().then(
    (result) => ended(...worked(result)),
    (error: unknown) =>
      ends.aborted ? late() : ended("fail", { output: messageOf(error), reason: codeOf(error) }),
  );
  const late = () => {
    const reason = `no answer within ${timeoutMs} ms`;
    return ended("fail", { output: reason, reason });
  };
  const timeout = new Promise<Look>((resolve) => {
    if (ends.aborted) resolve(late());
    else ends.addEventListener("abort", () => resolve(late()), { once: true });
  });
  return { look: Promise.race([work, timeout]), settled: work };
}

function worked(result: unknown): [Look["status"], Partial<Look>] {
  const said: CheckResult = typeof result === "object" && result !== null ? result : {};
  const { observedValue: value, observedUnit } = said;
  const observed = isShown(value)
    ? { observed: { value, unit: isShown(observedUnit) ? String(observedUnit) : null } }
    : {};
  if (said.status !== "warn") return ["pass", observed];
  const output = isShown(said.output) ? String(said.output) : null;
  return ["warn", { ...observed, output, reason: "not as it should be" }];
}

/** A check may answer whatever its driver gave it, and that must not be what breaks the answers. */
function isShown(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/** Codes (`ECONNREFUSED`, `57P03`) say what happened without saying where. */
function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : null;
  return typeof code === "string" && /^\w{1,40}$/.test(code) ? `failed (${code})` : "failed";
}
