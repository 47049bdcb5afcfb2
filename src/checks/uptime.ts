import type { State } from "./model.ts";

/** Ms since the epoch, half-open. */
export type Window = { readonly from: number; readonly to: number };

/** A stretch of one state; the last one has no end yet. */
export type Span = { readonly from: number; readonly to: number | null; readonly state: State };

/** How a window divides, in whole ms: the five always add up to its length. */
export type Tally = {
  readonly upMs: number;
  readonly degradedMs: number;
  readonly downMs: number;
  /** Nobody knows; never counted as up. Also what no span covers. */
  readonly unknownMs: number;
  /** Within a window of maintenance, whatever the state. Zero where maintenance is not left out. */
  readonly maintenanceMs: number;
};

export const NOTHING: Tally = { upMs: 0, degradedMs: 0, downMs: 0, unknownMs: 0, maintenanceMs: 0 };

/** Divides a window by the spans, which are in the order of their starts, and the windows to leave out. */
export function tally(window: Window, spans: Iterable<Span>, leftOut: readonly Window[] = []): Tally {
  const length = Math.max(0, window.to - window.from);
  const planned = merged(leftOut);
  const sums = { up: 0, degraded: 0, down: 0, unknown: 0 };
  let reached = window.from;
  for (const { from, to, state } of spans) {
    const begin = Math.max(from, reached);
    const end = Math.min(to ?? window.to, window.to);
    if (end <= begin) continue;
    sums[state] += end - begin - overlap({ from: begin, to: end }, planned);
    reached = end;
  }
  const maintenanceMs = length === 0 ? 0 : overlap(window, planned);
  const known = sums.up + sums.degraded + sums.down;
  return {
    upMs: sums.up,
    degradedMs: sums.degraded,
    downMs: sums.down,
    unknownMs: length - known - maintenanceMs,
    maintenanceMs,
  };
}

export function add(a: Tally, b: Tally): Tally {
  return {
    upMs: a.upMs + b.upMs,
    degradedMs: a.degradedMs + b.degradedMs,
    downMs: a.downMs + b.downMs,
    unknownMs: a.unknownMs + b.unknownMs,
    maintenanceMs: a.maintenanceMs + b.maintenanceMs,
  };
}

/**
 * The share of the known time in which it was up, 0 to 1; null when nothing is known. Degraded is up, unless told
 * otherwise. What is unknown or planned is in neither half.
 */
export function uptimeRatio(of: Tally, degradedCountsAs: "up" | "down" = "up"): number | null {
  const known = of.upMs + of.degradedMs + of.downMs;
  if (known === 0) return null;
  return (of.upMs + (degradedCountsAs === "up" ? of.degradedMs : 0)) / known;
}

/** Windows that overlap or touch are one; those without a length are none. In the order of their starts. */
export function merged(windows: readonly Window[]): Window[] {
  const sorted = windows.filter(({ from, to }) => to > from).sort((a, b) => a.from - b.from);
  const result: { from: number; to: number }[] = [];
  for (const { from, to } of sorted) {
    const last = result.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else result.push({ from, to });
  }
  return result;
}

function overlap({ from, to }: Window, apart: readonly Window[]): number {
  let sum = 0;
  for (const other of apart) sum += Math.max(0, Math.min(to, other.to) - Math.max(from, other.from));
  return sum;
}
