import type { Counters } from "../rollouts/index.ts";

export type ProbeResult = {
  /** True when an HTTP answer came in time; whether its status is good is the reader's business. */
  readonly ok: boolean;
  readonly status: number | null;
  readonly latencyMs: number;
  /** Why there was no answer. */
  readonly error?: string;
  /** `x-signalbox-deployment` of the answer: the release that gave it. */
  readonly deploymentHeader?: string;
};

/** Port: one GET from outside, on a fresh connection, following no redirect. Never throws. */
export type Probe = (
  url: string,
  options: { timeoutMs: number; signal?: AbortSignal },
) => Promise<ProbeResult>;

/** Port: totals of each release since the gateway started, by target deployment id; null when it cannot be asked. */
export type Metrics = {
  readCounters(): Promise<Readonly<Record<string, Counters>> | null>;
};
