import { z } from "zod";
import { duration, MAX_DURATION_MS, positiveDuration, share, text } from "./config-fields.ts";
import { DURATION, parseDuration } from "./duration.ts";

const count = z.number().int({ error: "must be a whole number" });

const query = z
  .strictObject({
    name: text.optional(),
    /** PromQL that gives one number. */
    query: text,
    /** Default: the environment's `monitoring.prometheusEndpoint`. */
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
    max: z.number().optional(),
    min: z.number().optional(),
  })
  .refine((given) => given.max !== undefined || given.min !== undefined, {
    error: "has neither max nor min, so it could not decide anything",
  });

const analysis = z.strictObject({
  /** Time between two judgements. */
  interval: positiveDuration.optional(),
  /** Share of answers with a 5xx status above which the release is taken back. */
  max_error_rate: share.optional(),
  /** p95 of the time to the first byte above which the release is taken back. */
  max_latency: positiveDuration.optional(),
  /** Compare with the release before it in the same window (Mann-Whitney). */
  compare: z.boolean().optional(),
  confidence: z.number().min(0.5).max(0.999).optional(),
  tolerance: share.optional(),
  effect_size: z.number().min(1).max(100).optional(),
  /** Fewer requests in a stage decide nothing, and the rollout pauses. 0: traffic is not judged. */
  min_requests: count.min(0).max(1_000_000_000).optional(),
  /** Failed judgements in a row that take it back. */
  failure_limit: count.min(1).max(100).optional(),
  queries: z.array(query).max(10, { error: "has more than 10 queries" }).optional(),
});

/** One string, and no union: a union that does not match hides the mistakes beside it. */
const bake = z
  .string()
  .regex(new RegExp(`^manual$|${DURATION.source}`), {
    error: "is no duration; write a whole number with a unit (500ms, 10s, 2m or 1h), or manual",
  })
  .transform((text) => (text === "manual" ? text : (parseDuration(text) ?? 0)))
  .refine((bake) => bake === "manual" || bake <= MAX_DURATION_MS, { error: "is longer than 31 days" });

const canary = z.strictObject({
  steps: z
    .array(
      z.strictObject({
        /** Whole percent of the traffic. 0: only those who ask for the canary by header or cookie. */
        weight: count.min(0).max(99),
        /** How long the weight is held; `manual`: until a person advances it. */
        bake,
      }),
    )
    .min(1, { error: "needs at least one step" })
    .max(20, { error: "has more than 20 steps" })
    .superRefine((steps, context) => {
      steps.forEach((step, index) => {
        const before = steps[index - 1];
        if (before === undefined || step.weight > before.weight) return;
        context.addIssue({
          code: "custom",
          path: [index, "weight"],
          message: `${step.weight} does not come after ${before.weight}: weights must ascend`,
        });
      });
    }),
  /** Short for `analysis.max_error_rate`. */
  max_error_rate: share.optional(),
  /** Short for `analysis.min_requests`. */
  min_requests: count.min(0).max(1_000_000_000).optional(),
  analysis: analysis.optional(),
});

const blueGreen = z.strictObject({
  /** How long it is watched after the flip, the release before it kept ready. */
  watch: duration.optional(),
  analysis: analysis.optional(),
});

export const strategy = z.union([
  z.literal("instant"),
  z.literal("blue_green"),
  z.strictObject({ canary }),
  z.strictObject({ blue_green: blueGreen }),
]);

export const approvals = z.strictObject({
  required: count.min(1).max(20),
  /** Names of tokens; left out: any deployer. */
  reviewers: z.array(text).max(100).optional(),
  self_approval: z.boolean().optional(),
  /** After this without enough approvals it is rejected. */
  expires: positiveDuration.optional(),
});
