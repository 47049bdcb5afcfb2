import { expect, it } from "vitest";
import { checkCron, expectedAfter, type HeartbeatSchedule } from "./schedule.ts";

const cron = (text: string, zone: string): HeartbeatSchedule => ({
  every: null,
  cron: text,
  zone,
  graceMs: 0,
  maxRuntimeMs: null,
});

it.each([
  ["a night without a change", "30 2 * * *", "Europe/Rome", "2026-06-01T12:00:00Z", "2026-06-02T00:30:00Z"],
  [
    "a local time that is left out",
    "30 2 * * *",
    "Europe/Rome",
    "2026-03-28T12:00:00Z",
    "2026-03-29T01:30:00Z",
  ],
  [
    "a local time that comes twice: the first",
    "30 2 * * *",
    "Europe/Rome",
    "2026-10-24T12:00:00Z",
    "2026-10-25T00:30:00Z",
  ],
  ["and not the second", "30 2 * * *", "Europe/Rome", "2026-10-25T00:31:00Z", "2026-10-26T01:30:00Z"],
  [
    "half an hour, south of the equator",
    "15 2 * * *",
    "Australia/Lord_Howe",
    "2026-10-03T12:00:00Z",
    "2026-10-03T15:45:00Z",
  ],
  [
    "every hour, in the repeated one too",
    "0 * * * *",
    "America/New_York",
    "2026-11-01T05:00:30Z",
    "2026-11-01T06:00:00Z",
  ],
  [
    "every hour, over the one left out",
    "0 * * * *",
    "America/New_York",
    "2026-03-08T06:00:30Z",
    "2026-03-08T07:00:00Z",
  ],
  [
    "a beat just ahead of its minute is that minute's",
    "0 * * * *",
    "UTC",
    "2026-06-01T11:59:57Z",
    "2026-06-01T13:00:00Z",
  ],
])("%s", (_name, text, zone, after, expected) => {
  expect(expectedAfter(cron(text, zone), new Date(after))).toEqual(new Date(expected));
});

it("every so often counts from the beat", () => {
  const schedule = { ...cron("", "UTC"), cron: null, every: 3_600_000 };
  expect(expectedAfter(schedule, new Date("2026-03-29T00:30:00Z"))).toEqual(new Date("2026-03-29T01:30:00Z"));
});

it.each([
  ["0 0 * *", "UTC", /4 fields/],
  ["0 0 31 2 *", "UTC", /no time that ever comes/],
  ["61 0 * * *", "UTC", /is no schedule/],
  ["0 0 * * *", "Mars/Olympus", /is no schedule/],
  [`0 0 * * ${"1,".repeat(200)}1`, "UTC", /longer than 256/],
])("refuses %s in %s", (text, zone, message) => {
  expect(() => checkCron(text, zone, new Date("2026-01-01T00:00:00Z"))).toThrow(message);
});
