import { LATENCY_BOUNDS_MS } from "./latency.ts";

/** Totals of one release, since its gateway started. */
export type Counters = {
  readonly requests: number;
  /** Answers with a status of 500 or above. */
  readonly errors5xx: number;
  /** Cumulative counts of answers at or under each of `LATENCY_BOUNDS_MS`, then all answers. */
  readonly latency: readonly number[];
  readonly latencySumMs: number;
};

/** What was counted for one service since a stage was reached. */
export type ServiceWindow = {
  readonly service: string;
  readonly canary: Meter;
  /** Null: there is no release before it, or it was never seen. */
  readonly baseline: Meter | null;
  /** One for each judgement, the newest last. */
  readonly samples: readonly Sample[];
};

export type Meter = {
  /** The newest reading. */
  readonly last: Counters;
  /** Sum of all increases. */
  readonly total: Counters;
  /** `total` when the last sample was taken. */
  readonly sampled: Totals;
};

/** Both releases in the same interval. */
export type Sample = { readonly canary: Totals; readonly baseline: Totals | null };

export type Totals = {
  readonly requests: number;
  readonly errors5xx: number;
  readonly answers: number;
  readonly latencySumMs: number;
};

type Reading = {
  readonly service: string;
  readonly canary: Counters | null;
  readonly baseline: Counters | null;
};

/** Sixty intervals of 10 s are ten minutes: enough for the comparison, and little enough for a row. */
export const SAMPLES_KEPT = 60;

const NOTHING: Counters = {
  requests: 0,
  errors5xx: 0,
  latency: Array.from({ length: LATENCY_BOUNDS_MS.length + 1 }, () => 0),
  latencySumMs: 0,
};

/** Adds what was counted since the last reading. A service's first reading is where its window begins. */
export function growWindows(
  windows: readonly ServiceWindow[],
  readings: readonly Reading[] | null,
): readonly ServiceWindow[] {
  if (readings === null) return windows;
  const grown = readings.map((reading) => {
    const window = windows.find(({ service }) => service === reading.service);
    return window ? grow(window, reading) : begin(reading);
  });
  return [...windows.filter((window) => grown.every(({ service }) => service !== window.service)), ...grown];
}

/** Closes an interval: one more sample of each service. */
export function takeSamples(windows: readonly ServiceWindow[]): readonly ServiceWindow[] {
  return windows.map((window) => {
    const { canary, baseline } = window;
    const sample: Sample = {
      canary: sinceSample(canary),
      baseline: baseline && sinceSample(baseline),
    };
    return {
      ...window,
      canary: { ...canary, sampled: totalsOf(canary.total) },
      baseline: baseline && { ...baseline, sampled: totalsOf(baseline.total) },
      samples: [...window.samples, sample].slice(-SAMPLES_KEPT),
    };
  });
}

/** The canary's last `SAMPLES_KEPT` intervals and what came since; null while the stage is not longer than that. */
export function recentOf(window: ServiceWindow): Totals | null {
  if (window.samples.length < SAMPLES_KEPT) return null;
  const parts = [...window.samples.map(({ canary }) => canary), sinceSample(window.canary)];
  return parts.reduce((sum, part) => combine(sum, part, 1));
}

/** The canary's interval under way and the one before it. */
export function latestOf(window: ServiceWindow): Totals {
  const under = sinceSample(window.canary);
  const before = window.samples.at(-1)?.canary;
  return before ? combine(before, under, 1) : under;
}

function begin({ service, canary, baseline }: Reading): ServiceWindow {
  return { service, canary: meter(canary), baseline: baseline && meter(baseline), samples: [] };
}

function meter(reading: Counters | null): Meter {
  return { last: reading ?? NOTHING, total: NOTHING, sampled: totalsOf(NOTHING) };
}

function grow(window: ServiceWindow, { canary, baseline }: Reading): ServiceWindow {
  return {
    ...window,
    canary: advance(window.canary, canary ?? NOTHING),
    baseline: window.baseline ? advance(window.baseline, baseline ?? NOTHING) : baseline && meter(baseline),
  };
}

function advance(before: Meter, now: Counters): Meter {
  const increase = startedAnew(before.last, now) ? now : add(now, before.last, -1);
  return { ...before, last: now, total: add(before.total, increase, 1) };
}

/** Totals never fall, so one that fell was counted by a gateway that started anew: all of it is new. */
function startedAnew(before: Counters, now: Counters): boolean {
  return (
    now.requests < before.requests ||
    now.errors5xx < before.errors5xx ||
    (now.latency.at(-1) ?? 0) < (before.latency.at(-1) ?? 0)
  );
}

function add(a: Counters, b: Counters, sign: 1 | -1): Counters {
  return {
    requests: a.requests + sign * b.requests,
    errors5xx: a.errors5xx + sign * b.errors5xx,
    latency: NOTHING.latency.map((_, at) => (a.latency[at] ?? 0) + sign * (b.latency[at] ?? 0)),
    latencySumMs: a.latencySumMs + sign * b.latencySumMs,
  };
}

function sinceSample({ total, sampled }: Meter): Totals {
  return combine(totalsOf(total), sampled, -1);
}

function totalsOf({ requests, errors5xx, latency, latencySumMs }: Counters): Totals {
  return { requests, errors5xx, answers: latency.at(-1) ?? 0, latencySumMs };
}

function combine(a: Totals, b: Totals, sign: 1 | -1): Totals {
  return {
    requests: a.requests + sign * b.requests,
    errors5xx: a.errors5xx + sign * b.errors5xx,
    answers: a.answers + sign * b.answers,
    latencySumMs: a.latencySumMs + sign * b.latencySumMs,
  };
}
