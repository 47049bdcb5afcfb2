import { z } from "zod";
import { checkCron, type HeartbeatSchedule } from "../../checks/heartbeats/schedule.ts";
import { defineProbe } from "../../checks/probe-kind.ts";
import { duration as anyDuration, positiveDuration } from "../../projects/config-fields.ts";

const settings = z
  .strictObject({
    /** At most so long from one beat to the next: `1h`. */
    every: positiveDuration.optional(),
    /** Or by the clock: minute, hour, day of month, month, day of week. */
    cron: z.string().min(1).max(256).optional(),
    /** IANA; of `cron`. */
    zone: z.string().min(1).max(64).default("UTC"),
    /** How late a beat may be. */
    graceTime: anyDuration.default(5 * 60_000),
    /** From a start to its end. */
    maxRuntime: positiveDuration.optional(),
  })
  .superRefine(({ every, cron, zone }, context) => {
    const problem = problemOf(every, cron, zone);
    if (problem !== null) context.addIssue({ code: "custom", path: ["cron"], message: problem });
  });

type HeartbeatSettings = z.infer<typeof settings>;

/** Not asked: its job calls us. What it says is told by the sweep of heartbeats, never by a prober. */
export const heartbeat = defineProbe<HeartbeatSettings>({
  type: "heartbeat",
  settings,
  subject: ({ every, cron, zone }) =>
    cron === undefined ? `every ${(every ?? 0) / 1_000} s` : `${cron} (${zone})`,
  host: () => null,
  schedule: scheduleOf,
  run: async () => ({
    status: "down",
    failure: { class: "unsupported", message: "A heartbeat is not asked: its job says that it is well." },
  }),
});

function scheduleOf({ every, cron, zone, graceTime, maxRuntime }: HeartbeatSettings): HeartbeatSchedule {
  const times = { graceMs: graceTime, maxRuntimeMs: maxRuntime ?? null };
  return { every: every ?? null, cron: cron ?? null, zone, ...times };
}

/** A day on which there is every date that a year has: what names no time after it never does. */
const LEAP_YEAR = new Date("2024-01-01T00:00:00Z");

function problemOf(every: number | undefined, cron: string | undefined, zone: string): string | null {
  if ((every === undefined) === (cron === undefined)) return "name either `every` or `cron`";
  if (cron === undefined) return null;
  try {
    checkCron(cron, zone, LEAP_YEAR);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
