import { z } from "@hono/zod-openapi";
import { FAILURE_CLASSES } from "../model.ts";

/** Of one push. An agent that has more sends several. */
export const MAX_ROUNDS = 5_000;
/** As many as a policy may ask for. */
const MAX_ATTEMPTS = 100;
/** A histogram has no more buckets. */
const MAX_BUCKETS = 200;

const time = z.number().int().min(0).max(8.64e15);
const ms = z.number().min(0).max(86_400_000);
const fact = z.union([z.string().max(1_000), z.number(), z.boolean(), z.null()]);

const Attempt = z.strictObject({
  status: z.enum(["up", "degraded", "down"]),
  startedAt: time,
  latencyMs: ms,
  distorted: z.boolean().optional(),
  failure: z.strictObject({ class: z.enum(FAILURE_CLASSES), message: z.string().max(2_000) }).optional(),
  phases: z
    .strictObject({ dnsMs: ms, connectMs: ms, tlsMs: ms, firstByteMs: ms, transferMs: ms })
    .partial()
    .optional(),
  observed: z.record(z.string().max(100), fact).optional(),
});

/**
 * A round as an agent tells it; its place is the token's to say. What is said since its start would be said for ever
 * of a start that has not come yet.
 */
export const PushedRound = z
  .strictObject({
    checkId: z.string().min(1).max(100),
    scheduledAt: time,
    startedAt: time,
    // A tick that was missed while its machine slept is told late, however long that was.
    lateMs: z.number().min(-8.64e15).max(8.64e15),
    endedAt: time,
    attempts: z.array(Attempt).max(MAX_ATTEMPTS),
    untrusted: z.enum(["lag", "offline", "missed", "busy"]).nullable(),
  })
  .refine(isInOrder, { error: "ends before it starts" });

/** To the millisecond that rounding takes. */
function isInOrder(round: {
  scheduledAt: number;
  startedAt: number;
  endedAt: number;
  attempts: readonly { startedAt: number }[];
}): boolean {
  const { scheduledAt, startedAt, endedAt, attempts } = round;
  if (Math.max(scheduledAt, startedAt) > endedAt + 1) return false;
  return attempts.every((one) => one.startedAt >= startedAt - 1 && one.startedAt <= endedAt + 1);
}

const Report = z.strictObject({
  checks: z.number(),
  rounds: z.number(),
  missed: z.number(),
  latenessP50Ms: z.number(),
  latenessP99Ms: z.number(),
  lateness: z
    .record(z.string().max(8), z.number())
    .refine((buckets) => Object.keys(buckets).length <= MAX_BUCKETS, { error: "has too many buckets" }),
  unwritten: z.number(),
  writeLagMs: z.number(),
  eventLoopLagP99Ms: z.number(),
  connected: z.boolean().nullable(),
});

export const Push = z
  .strictObject({
    /** The agent's clock when it sent this: what it is wrong by is put right. */
    sentAt: time,
    report: Report,
    rounds: z.array(PushedRound).max(MAX_ROUNDS),
  })
  .openapi("ProberPush");
export type Push = z.output<typeof Push>;

export const Receipt = z
  .object({
    recorded: z.number().int(),
    ignored: z
      .number()
      .int()
      .openapi({ description: "Known already, too old, or of checks that are not this location's" }),
  })
  .openapi("ProberReceipt");
