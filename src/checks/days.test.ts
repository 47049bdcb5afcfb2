import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dayOf, daysIn, lastDays } from "./days.ts";

const HOUR_MS = 3_600_000;
const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "America/Santiago",
  "America/Havana",
  "Asia/Kathmandu",
  "Pacific/Kiritimati",
];

test.each([
  ["Europe/Berlin", "2026-03-29", 23],
  ["Europe/Berlin", "2026-10-25", 25],
  ["Europe/Berlin", "2026-07-01", 24],
  ["America/New_York", "2026-03-08", 23],
  ["America/New_York", "2026-11-01", 25],
  ["Australia/Lord_Howe", "2026-04-05", 24.5],
  ["Australia/Lord_Howe", "2026-10-04", 23.5],
  // Clocks go from midnight to one: the day has no midnight.
  ["America/Santiago", "2026-09-06", 23],
  // From midnight back to eleven: the day before is the long one.
  ["America/Santiago", "2026-04-04", 25],
  ["America/Havana", "2026-11-01", 25],
])("in %s, %s has %d hours", (zone, day, hours) => {
  const found = dayOf(
    zone,
    Date.parse(`${day}T16:00:00Z`) - (zone.startsWith("Australia") ? 12 * HOUR_MS : 0),
  );
  expect(found.day).toBe(day);
  expect((found.to - found.from) / HOUR_MS).toBe(hours);
});

test("a day that a zone left out is none", () => {
  const days = daysIn("Pacific/Apia", Date.parse("2011-12-29T12:00:00Z"), Date.parse("2011-12-31T12:00:00Z"));
  expect(days.map(({ day }) => day)).toEqual(["2011-12-29", "2011-12-31", "2012-01-01"]);
  expect(days.map(({ from, to }) => (to - from) / HOUR_MS)).toEqual([24, 24, 24]);
});

describe.each(ZONES)("in %s", (zone) => {
  const instants = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2030, 0, 1) });

  test("each instant is in the day that says so, and days follow each other without a gap", () => {
    fc.assert(
      fc.property(instants, (instant) => {
        const day = dayOf(zone, instant);
        expect(day.from <= instant && instant < day.to).toBe(true);
        expect(dayOf(zone, day.from)).toEqual(day);
        expect(dayOf(zone, day.to - 1)).toEqual(day);
        expect(dayOf(zone, day.to).from).toBe(day.to);
      }),
      { numRuns: 50 },
    );
  });

  test("the days of a year are one after the other", () => {
    const days = daysIn(zone, Date.UTC(2026, 0, 1, 12), Date.UTC(2027, 0, 1, 12));
    expect(days.length).toBe(366);
    for (const [at, { from }] of days.entries()) if (at > 0) expect(from).toBe(days[at - 1]?.to);
    expect(lastDays(zone, Date.UTC(2027, 0, 1, 12) - 1, 366)).toEqual(days);
  });
});
