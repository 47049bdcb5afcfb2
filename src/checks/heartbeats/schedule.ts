import { Cron } from "croner";
import { AppError } from "../../foundation/errors.ts";

/** When beats are due: every so often, counted from the last one, or by the clock of a zone. Durations in ms. */
export type HeartbeatSchedule = {
  readonly every: number | null;
  /** Five fields: minute, hour, day of month, month, day of week. */
  readonly cron: string | null;
  /** IANA. Of `cron`. */
  readonly zone: string;
  /** How late a beat may be. */
  readonly graceMs: number;
  /** From a start to its end. Null: not limited. */
  readonly maxRuntimeMs: number | null;
};

const LONGEST = 256;
/** A beat so much ahead of its minute is that minute's: the clocks of two machines are never quite the same. */
const AHEAD_MS = 5_000;

/** When the beat after one at `after` is due. Pure. */
export function expectedAfter(schedule: HeartbeatSchedule, after: Date): Date {
  if (schedule.cron === null) return new Date(after.getTime() + (schedule.every ?? 0));
  const from = new Date(after.getTime() + AHEAD_MS);
  const next = nextRun(schedule.cron, schedule.zone, from);
  // Checked when it was written down; a schedule whose last time has passed has no next one.
  return next ?? new Date(8.64e15);
}

/** @throws AppError `bad_request` for what is no schedule, or one that names no time at all. */
export function checkCron(cron: string, zone: string, now: Date): void {
  const fields = cron.trim().split(/\s+/);
  let reason = "it names no time that ever comes";
  try {
    if (cron.length > LONGEST) reason = `it is longer than ${LONGEST} characters`;
    else if (fields.length !== 5) reason = `it has ${fields.length} fields and not 5`;
    else if (nextRun(cron, zone, now) !== null) return;
  } catch (cause) {
    reason = cause instanceof Error ? cause.message.slice(0, 200) : String(cause);
  }
  throw new AppError("bad_request", `"${cron.slice(0, LONGEST)}" in ${zone} is no schedule: ${reason}.`, {
    hint: 'Write minute, hour, day of month, month and day of week, like "0 5 * * 1-5", and a zone like Europe/Rome.',
  });
}

/**
 * Strictly after `from`. A local time that a change of the clocks leaves out is due just after it, and one that comes
 * twice is due the first time; but what is due every hour is due in the repeated hour too, as cron daemons have it.
 */
function nextRun(cron: string, zone: string, from: Date): Date | null {
  const inZone = new Cron(cron.trim(), { timezone: zone, paused: true, mode: "5-part" });
  const next = inZone.nextRun(from);
  const [, hour, ...days] = cron.trim().split(/\s+/);
  if (next === null || hour !== "*" || days.some((field) => field !== "*")) return next;
  const hourly = new Cron(cron.trim(), {
    utcOffset: offsetMinutes(zone, from),
    paused: true,
    mode: "5-part",
  });
  const sooner = hourly.nextRun(from);
  return sooner !== null && sooner < next && inZone.match(sooner) ? sooner : next;
}

function offsetMinutes(zone: string, at: Date): number {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
  const name = format.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours, minutes] = /GMT([+-])(\d\d):(\d\d)/.exec(name) ?? [];
  const total = Number(hours ?? 0) * 60 + Number(minutes ?? 0);
  return sign === "-" ? -total : total;
}
