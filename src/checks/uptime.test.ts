import fc from "fast-check";
import { expect, test } from "vitest";
import { daysIn } from "./days.ts";
import { add, merged, NOTHING, type Span, type Tally, tally, uptimeRatio, type Window } from "./uptime.ts";

const sum = (of: Tally) => of.upMs + of.degradedMs + of.downMs + of.unknownMs + of.maintenanceMs;
const span = (from: number, to: number | null, state: Span["state"]): Span => ({ from, to, state });

test("time counts, not the number of looks", () => {
  const spans = [
    span(0, 600, "up"),
    span(600, 700, "down"),
    span(700, 900, "degraded"),
    span(900, null, "up"),
  ];
  expect(tally({ from: 0, to: 1_000 }, spans)).toEqual({
    ...NOTHING,
    upMs: 700,
    downMs: 100,
    degradedMs: 200,
  });
});

test("what is half-open is counted once", () => {
  const spans = [span(0, 10, "up"), span(10, null, "down")];
  expect(tally({ from: 10, to: 11 }, spans)).toEqual({ ...NOTHING, downMs: 1 });
  expect(tally({ from: 9, to: 10 }, spans)).toEqual({ ...NOTHING, upMs: 1 });
  expect(tally({ from: 10, to: 10 }, spans)).toEqual(NOTHING);
});

test("what no span covers is unknown: before, between and instead", () => {
  const spans = [span(100, 200, "up"), span(300, 400, "down")];
  expect(tally({ from: 0, to: 500 }, spans)).toEqual({ ...NOTHING, upMs: 100, downMs: 100, unknownMs: 300 });
  expect(tally({ from: 0, to: 500 }, [])).toEqual({ ...NOTHING, unknownMs: 500 });
});

test("maintenance is left out whatever the state; overlapping windows are one", () => {
  const spans = [span(0, 100, "up"), span(100, 200, "down"), span(200, 300, "unknown")];
  const planned = [
    { from: 150, to: 220 },
    { from: 90, to: 160 },
  ];
  expect(tally({ from: 0, to: 300 }, spans, planned)).toEqual({
    ...NOTHING,
    upMs: 90,
    downMs: 0,
    unknownMs: 80,
    maintenanceMs: 130,
  });
  expect(merged([...planned, { from: 5, to: 5 }])).toEqual([{ from: 90, to: 220 }]);
});

test("the ratio is of what is known; degraded is up unless told otherwise", () => {
  const of = { ...NOTHING, upMs: 60, degradedMs: 30, downMs: 10, unknownMs: 1_000, maintenanceMs: 500 };
  expect(uptimeRatio(of)).toBe(0.9);
  expect(uptimeRatio(of, "down")).toBe(0.6);
  expect(uptimeRatio({ ...NOTHING, unknownMs: 5 })).toBeNull();
  expect(uptimeRatio(NOTHING)).toBeNull();
});

const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 2, 20);
const RANGE_MS = 20 * 24 * HOUR_MS;
const history = fc
  .array(
    fc.tuple(
      fc.nat(RANGE_MS),
      fc.constantFrom<Span["state"]>("up", "degraded", "down", "unknown"),
      fc.boolean(),
    ),
    { maxLength: 30 },
  )
  .map((points): Span[] => {
    const sorted = points.map(([at, state, kept]) => ({ from: START + at, state, kept }));
    sorted.sort((a, b) => a.from - b.from);
    // Some are left out, so that there are gaps.
    return sorted
      .map(({ from, state, kept }, at) => ({ from, to: sorted[at + 1]?.from ?? null, state, kept }))
      .filter(({ kept }) => kept);
  });
const windows = fc.array(
  fc.tuple(fc.nat(RANGE_MS), fc.nat(30 * HOUR_MS)).map(([at, long]): Window => {
    return { from: START + at, to: START + at + long };
  }),
  { maxLength: 6 },
);

test("any window divides into exactly its length, and its days into the same as the whole", () => {
  const zone = fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe");
  fc.assert(
    fc.property(
      history,
      windows,
      fc.nat(RANGE_MS),
      fc.nat(RANGE_MS),
      zone,
      (spans, planned, from, long, at) => {
        const window = { from: START + from, to: START + from + long };
        const whole = tally(window, spans, planned);
        expect(sum(whole)).toBe(long);
        const days = daysIn(at, window.from, window.to).map((day) =>
          tally({ from: Math.max(day.from, window.from), to: Math.min(day.to, window.to) }, spans, planned),
        );
        expect(days.reduce(add, NOTHING)).toEqual(whole);
        for (const each of Object.values(whole)) expect(each).toBeGreaterThanOrEqual(0);
      },
    ),
  );
});
