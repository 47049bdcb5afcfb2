/**
 * Wall-clock time of IANA zones, with nothing but Intl. A local time is milliseconds as if the wall clock were UTC
 * (`Date.UTC(2026, 2, 29, 2, 30)` for 02:30 on 29 March), which makes calendar arithmetic on it exact.
 */
export const DAY_MS = 86_400_000;

// Making a formatter costs a hundred times what using it does.
const formatters = new Map<string, Intl.DateTimeFormat>();

/** True for names such as `Europe/Berlin` and `UTC`; offsets such as `+02:00` know no daylight-saving time. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][\w+/-]*$/.test(name)) return false;
  try {
    formatterOf(name);
    return true;
  } catch {
    return false;
  }
}

/** What the clocks of a zone show at an instant. */
export function localTime(timeZone: string, instant: number): number {
  const text = formatterOf(timeZone).format(instant);
  const [, month, day, year, hour, minute, second] = FIELDS.exec(text) ?? [];
  return (
    Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) +
    (((instant % 1_000) + 1_000) % 1_000)
  );
}

/** The first instant at which the zone's clocks show `local` or later. Doubled: the first; skipped: the jump. */
export function whenReached(timeZone: string, local: number): number {
  const { before, after, at } = offsetsAround(timeZone, local);
  return local - before < at ? local - before : Math.max(at, local - after);
}

/** From when on the zone's clocks show `local` or later for good. Doubled: the second; skipped: the jump. */
export function whenPassed(timeZone: string, local: number): number {
  const { before, after, at } = offsetsAround(timeZone, local);
  return local - after > at ? local - after : Math.min(at, local - before);
}

const FIELDS = /^(\d+)\/(\d+)\/(\d+), (\d+):(\d+):(\d+)$/;

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (!formatter) {
    const two = "2-digit";
    const fields = { year: "numeric", month: two, day: two, hour: two, minute: two, second: two } as const;
    formatter = new Intl.DateTimeFormat("en-US", { ...fields, timeZone, hourCycle: "h23" });
    formatters.set(timeZone, formatter);
  }
  return formatter;
}

type Offsets = { readonly before: number; readonly after: number; readonly at: number };

/**
 * The zone's offset a day before and a day after a local time, and when it changes between the two. Offsets are
 * between -12 h and +14 h, so both lie outside of what `local` can mean; no zone changes twice in two days.
 */
function offsetsAround(timeZone: string, local: number): Offsets {
  const offset = (instant: number) => localTime(timeZone, instant) - instant;
  let low = local - DAY_MS;
  let high = local + DAY_MS;
  const before = offset(low);
  const after = offset(high);
  if (before === after) return { before, after, at: Number.POSITIVE_INFINITY };
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offset(middle) === before) low = middle;
    else high = middle;
  }
  return { before, after, at: high };
}
