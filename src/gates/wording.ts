import { DAY_MS, localTime } from "../foundation/zone.ts";

const WEEKDAY_NAMES = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTH_NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Mon 08:00 Europe/Berlin`; six days ahead and more, where a weekday is not enough, `Mon 4 Jan 2027 08:00 …`. */
export function tellTime(instant: Date, timeZone: string, now: Date): string {
  const local = new Date(localTime(timeZone, instant.getTime()));
  const date = `${local.getUTCDate()} ${MONTH_NAMES[local.getUTCMonth()]} ${local.getUTCFullYear()} `;
  const far = instant.getTime() - now.getTime() >= 6 * DAY_MS;
  return `${WEEKDAY_NAMES[local.getUTCDay()]} ${far ? date : ""}${local.toISOString().slice(11, 16)} ${timeZone}`;
}

/** `30 min`, `24 h`, `3 days`: whole units only, as limits are written. */
export function tellSpan(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1) return `${Math.round(ms / 1_000)} s`;
  if (minutes % 60 !== 0) return `${minutes} min`;
  const hours = minutes / 60;
  return hours > 48 && hours % 24 === 0 ? `${hours / 24} days` : `${hours} h`;
}

/** `a`, `a, and b`, `a, b, and c` with the separator given. */
export function joinClauses(clauses: readonly string[], separator: string): string {
  const last = clauses.at(-1) ?? "";
  if (clauses.length < 2) return last;
  return `${clauses.slice(0, -1).join(`${separator} `)}${separator} and ${last}`;
}
