import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DAY_MS, isTimeZone, localTime } from "../foundation/zone.ts";
import { isFrozen, WEEKDAYS, type Weekday, type WeeklyWindow } from "./freeze.ts";

const MINUTE_MS = 60_000;
const ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"] as const;

function weekly(
  days: readonly Weekday[],
  from: string,
  until: string,
  timeZone = "Europe/Berlin",
  untilDay: Weekday | null = null,
) {
  return { kind: "weekly", days, from, until, untilDay, timeZone, expiresAt: null } as const;
}

const end = (freeze: Parameters<typeof isFrozen>[0], now: string) =>
  isFrozen(freeze, new Date(now))?.toISOString() ?? null;

describe("a weekly freeze", () => {
  const night = weekly(["mon"], "22:00", "06:00");
  const weekend = weekly(["fri"], "17:00", "08:00", "Europe/Berlin", "mon");
  const allWeek = weekly(WEEKDAYS, "00:00", "00:00", "UTC");

  test.each([
    ["before it begins", night, "2026-11-23T20:59:59.999Z", null],
    ["from its first instant", night, "2026-11-23T21:00:00Z", "2026-11-24T05:00:00.000Z"],
    ["after midnight", night, "2026-11-24T04:59:59.999Z", "2026-11-24T05:00:00.000Z"],
    ["not at its end", night, "2026-11-24T05:00:00Z", null],
    ["not on the night after", night, "2026-11-24T23:00:00Z", null],
    ["over a weekend", weekend, "2026-11-29T12:00:00Z", "2026-11-30T07:00:00.000Z"],
    ["in summer an hour earlier", weekend, "2026-07-04T12:00:00Z", "2026-07-06T06:00:00.000Z"],
    ["between two weekends", weekend, "2026-11-25T12:00:00Z", null],
  ])("%s", (_name, freeze, now, expected) => {
    expect(end(freeze, now)).toBe(expected);
  });

  test("days that follow each other without a gap end together", () => {
    const freeze = weekly(["sat", "sun"], "00:00", "00:00", "UTC");
    expect(end(freeze, "2026-11-28T10:00:00Z")).toBe("2026-11-30T00:00:00.000Z");
  });

  test("one of all week always holds, and says when to look again", () => {
    const until = isFrozen(allWeek, new Date("2026-11-24T10:00:00Z"));
    expect(until && until > new Date("2026-12-01T00:00:00Z")).toBe(true);
  });

  test("a window of seven days is one", () => {
    const freeze = weekly(["mon"], "08:00", "08:00", "UTC", "mon");
    expect(end(freeze, "2026-11-29T23:00:00Z")).not.toBeNull();
  });

  test("nothing of it lasts beyond its expiry", () => {
    const freeze = { ...night, expiresAt: new Date("2026-11-24T01:00:00Z") };
    expect(end(freeze, "2026-11-24T00:00:00Z")).toBe("2026-11-24T01:00:00.000Z");
    expect(end(freeze, "2026-11-24T01:00:00Z")).toBeNull();
  });
});

describe("when the clocks are changed", () => {
  // Berlin 2026: 29 March 02:00 → 03:00 (01:00Z); 25 October 03:00 → 02:00 (01:00Z).
  test.each([
    [
      "a doubled end is the second one",
      ["00:00", "02:30"],
      "2026-10-25T00:45:00Z",
      "2026-10-25T01:30:00.000Z",
    ],
    [
      "a doubled start is the first one",
      ["02:30", "04:00"],
      "2026-10-25T00:30:00Z",
      "2026-10-25T03:00:00.000Z",
    ],
    [
      "and it holds through the hour that comes again",
      ["02:30", "04:00"],
      "2026-10-25T01:10:00Z",
      "2026-10-25T03:00:00.000Z",
    ],
    ["a skipped end is the jump", ["00:00", "02:30"], "2026-03-29T00:59:00Z", "2026-03-29T01:00:00.000Z"],
    ["a skipped start is the jump", ["02:30", "04:00"], "2026-03-29T01:00:00Z", "2026-03-29T02:00:00.000Z"],
    ["a window that is skipped whole does not hold", ["02:10", "02:50"], "2026-03-29T01:00:00Z", null],
    ["a day of 23 hours", ["00:00", "00:00"], "2026-03-28T23:00:00Z", "2026-03-29T22:00:00.000Z"],
    ["a day of 25 hours", ["00:00", "00:00"], "2026-10-24T22:00:00Z", "2026-10-25T23:00:00.000Z"],
  ])("%s", (_name, [from = "", until = ""], now, expected) => {
    expect(end(weekly(["sun"], from, until), now)).toBe(expected);
  });

  test("Lord Howe's half hour", () => {
    // 5 April 2026, 02:00 → 01:30 (15:00Z the day before).
    const freeze = weekly(["sun"], "01:00", "01:45", "Australia/Lord_Howe");
    expect(end(freeze, "2026-04-04T14:00:00Z")).toBe("2026-04-04T15:15:00.000Z");
  });
});

test("a freeze that holds once holds from its first instant to its last", () => {
  const freeze = {
    kind: "once",
    from: new Date("2026-12-24T12:00:00Z"),
    until: new Date("2027-01-02T08:00:00Z"),
    expiresAt: null,
  } as const;
  expect(end(freeze, "2026-12-24T11:59:59.999Z")).toBeNull();
  expect(end(freeze, "2026-12-24T12:00:00Z")).toBe("2027-01-02T08:00:00.000Z");
  expect(end(freeze, "2027-01-02T08:00:00Z")).toBeNull();
});

test.each([
  ["Europe/Berlin", true],
  ["UTC", true],
  ["America/Argentina/Buenos_Aires", true],
  ["Etc/GMT+5", true],
  ["+02:00", false],
  ["Mars/Olympus", false],
  ["", false],
])("%j is a time zone: %j", (name, is) => {
  expect(isTimeZone(name)).toBe(is);
});

/** What the zone's clocks show at every minute of 2026 and some days around it, read one by one. */
function readClocks(timeZone: string): { first: number; locals: Float64Array } {
  const first = Date.UTC(2025, 11, 15);
  const count = (Date.UTC(2027, 0, 20) - first) / MINUTE_MS;
  const locals = new Float64Array(count);
  for (let at = 0; at < count; at++) locals[at] = localTime(timeZone, first + at * MINUTE_MS);
  return { first, locals };
}

/**
 * Which minutes are frozen, by a scan alone: a window holds from the first minute whose clocks show its start or
 * later, to the last minute whose clocks show less than its end.
 */
function scan({ locals }: { locals: Float64Array }, window: WeeklyWindow): Uint8Array {
  const frozen = new Uint8Array(locals.length);
  const minutes = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
  const firstDay = Math.floor((locals[0] ?? 0) / DAY_MS);
  const lastDay = Math.floor((locals.at(-1) ?? 0) / DAY_MS);
  const near = (local: number) => {
    const at = Math.round((local - (locals[0] ?? 0)) / MINUTE_MS);
    return [Math.max(0, at - 200), Math.min(locals.length - 1, at + 200)] as const;
  };
  for (let day = firstDay; day <= lastDay; day++) {
    const name = WEEKDAYS[new Date(day * DAY_MS).getUTCDay()] as Weekday;
    if (!window.days.includes(name)) continue;
    const starts = day * DAY_MS + minutes(window.from) * MINUTE_MS;
    let ends = day * DAY_MS + minutes(window.until) * MINUTE_MS;
    const endsOnDay = (weekday: Weekday) => WEEKDAYS[new Date(ends).getUTCDay()] === weekday;
    while (ends <= starts || (window.untilDay !== null && !endsOnDay(window.untilDay))) ends += DAY_MS;
    let [from, fromLimit] = near(starts);
    while (from <= fromLimit && (locals[from] ?? 0) < starts) from++;
    let [untilLimit, until] = near(ends);
    while (until >= untilLimit && (locals[until] ?? 0) >= ends) until--;
    frozen.fill(1, from, Math.max(from, until + 1));
  }
  return frozen;
}

/** Mostly about the hours, and the days, on which clocks are changed. */
const timeOfDay = fc
  .oneof({ weight: 4, arbitrary: fc.integer({ min: 60, max: 180 }) }, { weight: 1, arbitrary: fc.nat(1_439) })
  .map((minute) => new Date(minute * MINUTE_MS).toISOString().slice(11, 16));
const windows = fc.record({
  days: fc.oneof(
    fc.constantFrom<Weekday[]>(["sun"], ["sat", "sun"]),
    fc.subarray([...WEEKDAYS], { minLength: 1 }),
  ),
  from: timeOfDay,
  until: timeOfDay,
  untilDay: fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(...WEEKDAYS) },
  ),
});

describe.each(ZONES)("in %s", (timeZone) => {
  test("isFrozen agrees with a scan of every minute of a year, and ends when the scan ends", () => {
    const clocks = readClocks(timeZone);
    const at = (index: number) => new Date(clocks.first + index * MINUTE_MS);
    const [begin, finish] = [20_000, clocks.locals.length - 30_000];
    fc.assert(
      fc.property(
        windows,
        fc.array(fc.integer({ min: begin, max: finish }), { maxLength: 60 }),
        (drawn, some) => {
          const freeze = { ...weekly(drawn.days, drawn.from, drawn.until, timeZone, drawn.untilDay) };
          const frozen = scan(clocks, freeze);
          const looks = new Set(some);
          for (let index = begin; index < finish; index++) {
            if (frozen[index] !== frozen[index - 1]) for (const each of [index - 1, index]) looks.add(each);
          }
          for (const index of looks) {
            const until = isFrozen(freeze, at(index));
            if ((until !== null) !== (frozen[index] === 1)) throw new Error(`otherwise: ${at(index)}`);
            if (until === null) continue;
            const ends = frozen.indexOf(0, index);
            // A freeze that has no end within its look ahead is told as one to look at again.
            const told = until.getTime();
            const right =
              ends !== -1 && ends - index < 14 * 1_440
                ? told === at(ends).getTime()
                : told > at(index + 7 * 1_440).getTime();
            if (!right) throw new Error(`from ${at(index)} it lasts not until ${until}`);
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});
