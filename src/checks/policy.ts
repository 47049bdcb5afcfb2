import { DEFAULT_POLICY, type Policy } from "./model.ts";

type Given = { readonly [K in keyof Omit<Policy, "priority">]?: Policy[K] | undefined };

/** A whole policy of what was said: what is critical goes first, and a timeout fits into a short interval. */
export function completePolicy(given: Given = {}): Policy {
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const { intervalMs, critical, timeoutMs, ...rest } = { ...DEFAULT_POLICY, ...said };
  const fitting = given.timeoutMs === undefined ? Math.min(timeoutMs, intervalMs) : timeoutMs;
  return { ...rest, intervalMs, critical, timeoutMs: fitting, priority: critical ? 10 : 0 };
}

/** A timeout that is longer would have the next round begin before; rounds of a minute and more may take their time. */
export function timeoutProblem({
  intervalMs,
  timeoutMs,
}: Pick<Policy, "intervalMs" | "timeoutMs">): string | null {
  if (intervalMs >= 60_000 || timeoutMs <= intervalMs) return null;
  return `the timeout of ${timeoutMs} ms is longer than the interval of ${intervalMs} ms`;
}
