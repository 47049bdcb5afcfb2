import { z } from "zod";
import { PROBE_TYPES } from "../checks/index.ts";
import { duration, positiveDuration, text } from "./config-fields.ts";

const count = z.number().int({ error: "must be a whole number" });

export const CHECK_NAME = /^[a-z](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

const name = z.string().regex(CHECK_NAME, {
  error:
    "is no name of a check: lower-case letters, digits, dots and dashes, beginning with a letter, at most 63",
});

/** What a check has beside the settings of its type. */
const policy = {
  /** Default 30s. */
  interval: positiveDuration.refine((ms) => ms >= 100, { error: "is shorter than 100ms" }).optional(),
  /** Default 5s, or the interval where that is shorter. */
  timeout: positiveDuration.refine((ms) => ms <= 300_000, { error: "is longer than 5m" }).optional(),
  /** Failed attempts in a row, re-checks included, until it is down. Default 3. */
  failures: count.min(1).max(100).optional(),
  /** Good attempts in a row until it is up again. Default 2. */
  successes: count.min(1).max(100).optional(),
  /** Slower than this is degraded. */
  degraded: positiveDuration.optional(),
  /** Slower than its own usual latency by this factor is degraded. */
  baseline: z.number().min(1.1).max(1_000).optional(),
  /** Failures so long after a deployment are no verdict. Default 0s. */
  grace: duration.optional(),
  /** The readiness of the environment depends on it. Default false. */
  critical: z.boolean().optional(),
  /** Where it is asked from. Default: `[local]`, the prober beside the control plane. */
  locations: z
    .array(text.max(64, { error: "is longer than 64 characters" }))
    .min(1, { error: "names no location" })
    .max(20, { error: "names more than 20 locations" })
    .optional(),
  /** Checks of the same environment; while one is down, this one's failure is no incident of its own. */
  depends_on: z.array(text).max(20, { error: "names more than 20 checks" }).optional(),
};

export const CHECK_FIELDS: ReadonlySet<string> = new Set(["type", ...Object.keys(policy)]);

/** All else under a check are the settings of its type; the schema of the type says what they may be. */
const check = z.looseObject({ type: z.enum(PROBE_TYPES), ...policy });

/** By name. A check of the name of one that there would be by itself takes its place; `false` takes it away. */
export const checks = z
  .record(name, z.union([z.literal(false), check]))
  .refine((all) => Object.keys(all).length <= 200, { error: "names more than 200 checks" });

export type ConfigCheck = z.output<typeof check>;
