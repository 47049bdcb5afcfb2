import { DAY_MS, localTime, whenReached } from "../foundation/zone.ts";

/** A day of a zone's calendar, half-open, in ms since the epoch: 23 to 25 hours long, or what its zone makes of it. */
export type LocalDay = { readonly day: string; readonly from: number; readonly to: number };

/** The day that an instant lies in. */
export function dayOf(timeZone: string, instant: number): LocalDay {
  let number = Math.floor(localTime(timeZone, instant) / DAY_MS);
  // Where clocks go back over midnight they show the day before once more, in the day that has begun already.
  while (whenReached(timeZone, (number + 1) * DAY_MS) <= instant) number += 1;
  return numbered(timeZone, number);
}

/** The days that the window [from, to) has a part of, oldest first. */
export function daysIn(timeZone: string, from: number, to: number): LocalDay[] {
  const days: LocalDay[] = [];
  let day = dayOf(timeZone, from);
  while (day.from < to) {
    if (day.to > day.from) days.push(day);
    day = numbered(timeZone, numberOf(day) + 1);
  }
  return days;
}

/** The day of `now` and those before it, `count` in all, oldest first. */
export function lastDays(timeZone: string, now: number, count: number): LocalDay[] {
  const today = numberOf(dayOf(timeZone, now));
  return Array.from({ length: count }, (_, at) => numbered(timeZone, today - count + 1 + at));
}

/** Counted from 1970-01-01. A day that a zone leaves out (Samoa, 30 December 2011) begins and ends at the leap. */
function numbered(timeZone: string, number: number): LocalDay {
  const from = whenReached(timeZone, number * DAY_MS);
  const to = whenReached(timeZone, (number + 1) * DAY_MS);
  return { day: new Date(number * DAY_MS).toISOString().slice(0, 10), from, to };
}

function numberOf(day: LocalDay): number {
  return Date.parse(`${day.day}T00:00:00Z`) / DAY_MS;
}
