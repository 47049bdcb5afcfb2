import { LATENCY_BOUNDS_MS, type ReleaseCounters } from "./snapshot.ts";

/** The running totals of one release in one worker. `buckets` are not cumulative while they are counted. */
export type Tally = {
  requests: number;
  errors5xx: number;
  inFlight: number;
  streams: number;
  buckets: number[];
  latencySumMs: number;
};

export type CountersByRelease = Record<string, ReleaseCounters>;

export function newTally(): Tally {
  return {
    requests: 0,
    errors5xx: 0,
    inFlight: 0,
    streams: 0,
    buckets: new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0),
    latencySumMs: 0,
  };
}

/** Notes an answer: its status and the time until its head was there (a stream's length says nothing of health). */
export function countAnswer(tally: Tally, status: number, latencyMs: number): void {
  if (status >= 500) tally.errors5xx++;
  let bucket = 0;
  while (bucket < LATENCY_BOUNDS_MS.length && latencyMs > (LATENCY_BOUNDS_MS[bucket] ?? Infinity)) bucket++;
  tally.buckets[bucket] = (tally.buckets[bucket] ?? 0) + 1;
  tally.latencySumMs += latencyMs;
}

export function readTally(tally: Tally): ReleaseCounters {
  let upTo = 0;
  return {
    requests: tally.requests,
    errors5xx: tally.errors5xx,
    inFlight: tally.inFlight,
    streams: tally.streams,
    latency: tally.buckets.map((count) => {
      upTo += count;
      return upTo;
    }),
    latencySumMs: tally.latencySumMs,
  };
}

/** The sum of readings, release by release. */
export function addCounters(readings: readonly Readonly<CountersByRelease>[]): CountersByRelease {
  const sums = new Map<string, ReleaseCounters>();
  for (const reading of readings) {
    for (const [release, counters] of Object.entries(reading)) {
      const before = sums.get(release);
      sums.set(release, before === undefined ? counters : addOne(before, counters));
    }
  }
  return Object.fromEntries(sums);
}

/** What a worker that has gone leaves behind: its totals, and nothing in flight. */
export function withoutInFlight(reading: Readonly<CountersByRelease>): CountersByRelease {
  return Object.fromEntries(
    Object.entries(reading).map(([release, counters]) => [release, { ...counters, inFlight: 0, streams: 0 }]),
  );
}

function addOne(a: ReleaseCounters, b: ReleaseCounters): ReleaseCounters {
  return {
    requests: a.requests + b.requests,
    errors5xx: a.errors5xx + b.errors5xx,
    inFlight: a.inFlight + b.inFlight,
    streams: a.streams + b.streams,
    latency: a.latency.map((count, index) => count + (b.latency[index] ?? 0)),
    latencySumMs: a.latencySumMs + b.latencySumMs,
  };
}
