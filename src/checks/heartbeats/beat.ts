import type { Failure } from "../model.ts";
import { expectedAfter, type HeartbeatSchedule } from "./schedule.ts";
import type { HeartbeatRow } from "./tables.ts";

/** What was sent to a heartbeat's address. */
export type Beat = {
  readonly kind: "success" | "start" | "fail";
  readonly exitCode: number | null;
  /** Tells runs apart that overlap; "" where none is given. */
  readonly runId: string;
};

/** The part of the row that beats and deadlines move. */
export type Pulse = Pick<
  HeartbeatRow,
  "state" | "since" | "failure" | "expected_at" | "alert_after" | "runs" | "last_runtime_ms"
>;

/** So many starts without an end are kept; the oldest is forgotten first. */
const MAX_RUNS = 50;

/** What a beat at `now` makes of a heartbeat. Pure. */
export function afterBeat(before: Pulse, schedule: HeartbeatSchedule, beat: Beat, now: Date): Pulse {
  const { state, since, failure } = before;
  const startedAt = before.runs[beat.runId];
  if (beat.kind === "start") {
    const runs = withRun(before.runs, beat.runId, now);
    // The first word of all: from now on it is waited for, though it never says that it is done.
    const expected =
      state === "new" && before.expected_at === null ? expectedAfter(schedule, now) : before.expected_at;
    const waiting = deadline(schedule, expected, runs);
    return { state, since, failure, runs, last_runtime_ms: null, ...waiting };
  }
  const { [beat.runId]: _, ...runs } = before.runs;
  const last_runtime_ms = startedAt === undefined ? null : now.getTime() - startedAt;
  if (beat.kind === "fail") {
    const down = { state: "down", since: state === "down" ? since : now, failure: failureOf(beat) } as const;
    return { ...down, expected_at: null, alert_after: null, runs, last_runtime_ms };
  }
  const up = { state: "up", since: state === "up" ? since : now, failure: null } as const;
  return { ...up, runs, last_runtime_ms, ...deadline(schedule, expectedAfter(schedule, now), runs) };
}

/**
 * What a deadline that has passed without a beat makes of it. `heardAll`: beats could be heard all the while; else one
 * may have been lost, and the next is due a period after they could be heard again. Pure.
 */
export function atDeadline(
  before: Pulse & { readonly last_at: Date | null },
  schedule: HeartbeatSchedule,
  heard: { readonly all: boolean; readonly since: Date },
): Pulse {
  const { state, last_runtime_ms, runs } = before;
  const alertAfter = before.alert_after ?? heard.since;
  const sinceOf = (next: Pulse["state"]) => (state === next ? before.since : alertAfter);
  if (!heard.all) {
    const waiting = deadline(schedule, expectedAfter(schedule, heard.since), {});
    const failure: Failure = {
      class: "fault",
      message: "Signalbox was not there to hear a beat when one was due, so it may have been lost.",
    };
    // Starts of before are forgotten with it: their ends may be among what was lost.
    return { state: "unknown", since: sinceOf("unknown"), failure, runs: {}, last_runtime_ms, ...waiting };
  }
  const failure = overdueRun(runs, schedule, alertAfter) ?? silence(before, schedule);
  const down = { state: "down", since: sinceOf("down"), failure } as const;
  return { ...down, runs, last_runtime_ms, expected_at: null, alert_after: null };
}

/**
 * What another schedule makes of what is waited for: the next beat after the last one, or after now where that would
 * be past. What the former schedule expected says nothing any more, neither sooner nor later. Pure.
 */
export function afterSchedule(
  before: Pulse & { readonly last_at: Date | null },
  schedule: HeartbeatSchedule,
  now: Date,
): Pick<Pulse, "expected_at" | "alert_after"> {
  if (before.alert_after === null) return { expected_at: before.expected_at, alert_after: null };
  const afterLast = expectedAfter(schedule, before.last_at ?? now);
  return deadline(schedule, afterLast > now ? afterLast : expectedAfter(schedule, now), before.runs);
}

/** The start of the time in which the beat that is waited for may have come. Pure. */
export function waitingSince({ expected_at, since, runs }: Pulse, { every }: HeartbeatSchedule): Date {
  const expected = (expected_at ?? since).getTime();
  // By the clock it comes at its time; every so often, at any time of the period.
  return new Date(Math.min(expected - (expected_at === null ? 0 : (every ?? 0)), ...Object.values(runs)));
}

function deadline(
  schedule: HeartbeatSchedule,
  expected: Date | null,
  runs: Readonly<Record<string, number>>,
) {
  const limit = schedule.maxRuntimeMs;
  const ends = limit === null ? [] : Object.values(runs).map((at) => at + limit);
  const running = ends.length > 0 ? Math.min(...ends) : null;
  const due = expected === null ? null : expected.getTime() + schedule.graceMs;
  // A run that has begun is not asked to begin: its end is what is waited for. But one that begins again and again,
  // and never ends, does not put that off for ever.
  const latest = due === null || limit === null ? Number.POSITIVE_INFINITY : due + limit;
  const at = running === null ? due : Math.min(running, latest);
  return { expected_at: expected, alert_after: at === null ? null : dateWithin(at) };
}

/** Postgres knows no later time than JavaScript does, but a sum may leave both. */
function dateWithin(ms: number): Date {
  return new Date(Math.min(ms, 8.64e15));
}

function withRun(runs: Readonly<Record<string, number>>, runId: string, now: Date): Record<string, number> {
  const entries = Object.entries({ ...runs, [runId]: now.getTime() }).sort(([, a], [, b]) => a - b);
  return Object.fromEntries(entries.slice(-MAX_RUNS));
}

function failureOf({ exitCode }: Beat): Failure {
  if (exitCode === null) return { class: "status", message: "It reported a failure." };
  return { class: "status", message: `It ended with exit code ${exitCode}.` };
}

function overdueRun(
  runs: Readonly<Record<string, number>>,
  { maxRuntimeMs }: HeartbeatSchedule,
  alertAfter: Date,
): Failure | null {
  if (maxRuntimeMs === null) return null;
  const late = Object.entries(runs).find(([, at]) => at + maxRuntimeMs <= alertAfter.getTime());
  if (!late) return null;
  const [runId, at] = late;
  const name = runId === "" ? "The run" : `The run ${runId}`;
  const message = `${name} that started at ${new Date(at).toISOString()} has not ended within ${maxRuntimeMs} ms.`;
  return { class: "timeout", message };
}

function silence(
  { last_at, expected_at }: Pulse & { readonly last_at: Date | null },
  { graceMs }: HeartbeatSchedule,
): Failure {
  const last = last_at === null ? "No beat yet" : `No beat since ${last_at.toISOString()}`;
  const due = expected_at === null ? "" : `; one was due at ${expected_at.toISOString()}`;
  return { class: "missing", message: `${last}${due}, with ${graceMs} ms of grace.` };
}
