import { describe, expect, it } from "vitest";
import { checkSchedule, dueAt, untilNextMinuteMs } from "./schedule.ts";

const at = (text: string) => new Date(`2026-${text}Z`);

describe("a schedule", () => {
  // 1 January 2026 is a Thursday.
  const cases: readonly [string, string, boolean][] = [
    ["* * * * *", "01-01T00:00:00", true],
    ["0 5 * * *", "03-01T05:00:00", true],
    ["0 5 * * *", "03-01T05:01:00", false],
    ["*/15 * * * *", "03-01T05:45:00", true],
    ["*/15 * * * *", "03-01T05:46:00", false],
    ["5,35 8-18/2 * * *", "03-01T10:35:00", true],
    ["5,35 8-18/2 * * *", "03-01T11:35:00", false],
    ["0 0 1 * *", "04-01T00:00:00", true],
    ["0 0 1 jan *", "04-01T00:00:00", false],
    ["0 9 * * 1-5", "01-01T09:00:00", true],
    ["0 9 * * MON-WED", "01-01T09:00:00", false],
    ["0 9 * * 7", "01-04T09:00:00", true],
    ["0 9 * * SUN", "01-04T09:00:00", true],
    // Either of the two days, as cron has always had it.
    ["0 9 13 * 5", "01-02T09:00:00", true],
    ["0 9 13 * 5", "01-13T09:00:00", true],
    ["0 0 29 2 *", "03-01T00:00:00", false],
  ];
  it.each(cases)("%s names %s: %s", (schedule, time, expected) => {
    const now = at(time);
    const before = new Date(now.getTime() - 1_000);
    expect(dueAt(schedule, before, now)).toEqual(expected ? now : null);
  });

  it("is in UTC, and any moment of the minute is the minute", () => {
    const now = at("03-01T05:00:41.250");
    expect(dueAt("0 5 * * *", at("03-01T04:59:59"), now)).toEqual(at("03-01T05:00:00"));
  });

  it("is not due again in the minute that was seen, nor for minutes that passed unseen", () => {
    expect(dueAt("0 5 * * *", at("03-01T05:00:00"), at("03-01T05:00:30"))).toBeNull();
    expect(dueAt("0 5 * * *", at("03-01T03:00:00"), at("03-01T05:01:00"))).toBeNull();
  });

  it.each([
    "",
    "* * * *",
    "* * * * * *",
    "60 * * * *",
    "0 24 * * *",
    "0 0 0 * *",
    "a b c d e",
    "*/0 * * * *",
  ])("%j is none", (schedule) => expect(() => checkSchedule(schedule)).toThrow(/is not a schedule/));
});

it("the next minute is never further than 60 seconds away", () => {
  expect(untilNextMinuteMs(at("03-01T05:00:00"))).toBe(60_000);
  expect(untilNextMinuteMs(at("03-01T05:00:59.999"))).toBe(1);
});
