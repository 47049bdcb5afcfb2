import { Cron } from "croner";
import { AppError } from "../../foundation/errors.ts";

/**
 * Cron jobs: requests that the dock makes by itself, by the clock, to what serves production.
 *
 * - **definition**: a path and a schedule, from the artifact of a deployment.
 * - **schedule**: five fields (minute, hour, day of month, month, day of week), in UTC.
 * - **due**: at the minute that a schedule names. A minute that passes while no dock runs is not made up for.
 */
export type CronDefinition = { readonly path: string; readonly schedule: string };

const LONGEST = 256;

const MINUTE_MS = 60_000;

/** The minute of `now`, where a schedule names it and it began after `after`; else null. Pure. */
export function dueAt(schedule: string, after: Date, now: Date): Date | null {
  const minute = new Date(now.getTime() - (now.getTime() % MINUTE_MS));
  return minute > after && parse(schedule).match(minute) ? minute : null;
}

/** How long until the next minute begins. Pure. */
export function untilNextMinuteMs(now: Date): number {
  return MINUTE_MS - (now.getTime() % MINUTE_MS);
}

/** @throws AppError `bad_request` that says what is wrong. */
export function checkSchedule(schedule: string): void {
  parse(schedule);
}

function parse(schedule: string): Cron {
  const fields = schedule.trim().split(/\s+/);
  try {
    if (schedule.length > LONGEST) throw new Error(`it is longer than ${LONGEST} characters`);
    if (fields.length !== 5) throw new Error(`it has ${fields.length} fields and not 5`);
    return new Cron(fields.join(" "), { timezone: "UTC", paused: true, mode: "5-part" });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("bad_request", `"${schedule.slice(0, LONGEST)}" is not a schedule: ${reason}.`, {
      hint: 'Write minute, hour, day of month, month and day of week, like "0 5 * * 1-5".',
      cause,
    });
  }
}
