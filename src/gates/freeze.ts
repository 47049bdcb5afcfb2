import { DAY_MS, localTime, whenPassed, whenReached } from "../foundation/zone.ts";
import type { EnvironmentName } from "../targets/target.ts";

/** In the order of `Date.getUTCDay`. */
export const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** From one instant to another. */
export type OnceWindow = { readonly kind: "once"; readonly from: Date; readonly until: Date };

/**
 * Begins on each of `days` at `from` ("HH:MM" on the zone's clocks) and ends at `until`: on the same day, on the next
 * one when `until` is not after `from`, or on the `untilDay` that follows. `fri` 17:00 to `mon` 08:00 is a weekend.
 */
export type WeeklyWindow = {
  readonly kind: "weekly";
  readonly days: readonly Weekday[];
  readonly from: string;
  readonly until: string;
  readonly untilDay: Weekday | null;
  /** IANA name: `Europe/Berlin`. */
  readonly timeZone: string;
};

export type FreezeWindow = OnceWindow | WeeklyWindow;

/** Nothing takes traffic where it applies while it lasts; building and proving go on. Null: all. */
export type Freeze = FreezeWindow & {
  readonly id: string;
  readonly projectId: string | null;
  readonly environment: EnvironmentName | null;
  readonly name: string;
  readonly reason: string | null;
  readonly ownerId: string | null;
  readonly ownerName: string;
  readonly createdAt: Date;
  /** No window of it lasts beyond this. Null: for good. */
  readonly expiresAt: Date | null;
};

/** Windows that follow each other without a gap are one, looked at so far ahead: a freeze of all week never ends. */
const LOOK_AHEAD_DAYS = 15;

/**
 * When the freeze that holds at `now` ends; null when none holds. Correct across daylight-saving changes: a doubled
 * time begins a window the first time and ends one the second time; a skipped one does either at the jump.
 */
export function isFrozen(freeze: FreezeWindow & Pick<Freeze, "expiresAt">, now: Date): Date | null {
  const expiresAt = freeze.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  if (now.getTime() >= expiresAt) return null;
  const end = freeze.kind === "once" ? endOfOnce(freeze, now) : endOfWeekly(freeze, now.getTime());
  return end === null ? null : new Date(Math.min(end, expiresAt));
}

/** How many days after the one on which it begins a window ends. */
function windowDays(window: Pick<WeeklyWindow, "from" | "until" | "untilDay">, first: Weekday): number {
  const wraps = minutesOf(window.until) <= minutesOf(window.from);
  if (window.untilDay === null) return wraps ? 1 : 0;
  const days = (WEEKDAYS.indexOf(window.untilDay) - WEEKDAYS.indexOf(first) + 7) % 7;
  return days === 0 && wraps ? 7 : days;
}

function endOfOnce({ from, until }: OnceWindow, now: Date): number | null {
  return from <= now && now < until ? until.getTime() : null;
}

function endOfWeekly(window: WeeklyWindow, now: number): number | null {
  const today = Math.floor(localTime(window.timeZone, now) / DAY_MS);
  const longest = Math.max(...window.days.map((day) => windowDays(window, day)));
  let end: number | null = null;
  for (let day = today - longest - 1; day <= today + LOOK_AHEAD_DAYS; day++) {
    const span = spanOf(window, day);
    if (span === null) continue;
    if (span.begins > (end ?? now)) break;
    if (span.ends > (end ?? now)) end = span.ends;
  }
  return end;
}

/** The window that begins on that day (counted from 1970-01-01), as instants; null when none does. */
function spanOf(window: WeeklyWindow, day: number): { begins: number; ends: number } | null {
  // 1 January 1970 was a Thursday.
  const weekday = WEEKDAYS[(((day + 4) % 7) + 7) % 7];
  if (weekday === undefined || !window.days.includes(weekday)) return null;
  const lastDay = day + windowDays(window, weekday);
  const begins = whenReached(window.timeZone, day * DAY_MS + minutesOf(window.from) * 60_000);
  const ends = whenPassed(window.timeZone, lastDay * DAY_MS + minutesOf(window.until) * 60_000);
  return { begins, ends };
}

function minutesOf(time: string): number {
  const [hours, minutes] = time.split(":");
  return Number(hours) * 60 + Number(minutes);
}
