import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import type { ProjectOptions } from "../rows.ts";
import type { RetentionPolicy } from "./retention.ts";

/** Vercel's words for a time to keep, in days. It stores "unlimited" as a hundred years. */
const DAYS = { "1d": 1, "1w": 7, "1m": 30, "2m": 60, "3m": 90, "6m": 180, "1y": 365, unlimited: 36_500 };
type Word = keyof typeof DAYS;
const WORDS = Object.keys(DAYS) as [Word, ...Word[]];

const Days = z.number().int().min(1).max(36_500).optional();
const ToKeep = z.number().int().min(1).max(1_000).optional();

/** As it is kept in a project's options, and as the project shows it. */
export const RetentionPolicySchema = z.strictObject({
  expirationDays: Days,
  expirationDaysProduction: Days,
  expirationDaysCanceled: Days,
  expirationDaysErrored: Days,
  deploymentsToKeep: ToKeep,
});

/**
 * The body of `PATCH /projects/:project/deployment-expiration`. Not in the SDK: its shape is that of Vercel's own
 * Terraform provider. `deploymentsToKeep` is the dock's.
 */
export const ExpirationBody = z.strictObject({
  expiration: z.enum(WORDS).optional(),
  expirationProduction: z.enum(WORDS).optional(),
  expirationCanceled: z.enum(WORDS).optional(),
  expirationErrored: z.enum(WORDS).optional(),
  deploymentsToKeep: ToKeep,
});

/** The policy with what the body says; the rest stays. @throws AppError `bad_request` for a body that says nothing */
export function changedPolicy(
  before: RetentionPolicy,
  body: z.infer<typeof ExpirationBody>,
): RetentionPolicy {
  const said = Object.fromEntries(
    Object.entries(body).flatMap(([name, value]) => {
      if (value === undefined) return [];
      if (typeof value === "number") return [[name, value]];
      return [[name.replace("expiration", "expirationDays"), DAYS[value]]];
    }),
  );
  if (Object.keys(said).length > 0) return { ...before, ...said };
  throw new AppError("bad_request", "The body says nothing about how long deployments are kept.", {
    hint: `Send expiration, expirationProduction, expirationCanceled or expirationErrored: ${WORDS.join(", ")}.`,
  });
}

/** The policy in Vercel's words, as far as there are some. */
export function policyInWords(policy: RetentionPolicy): Record<string, string> {
  const words = Object.entries(policy).flatMap(([name, days]) => {
    const word = name === "deploymentsToKeep" ? undefined : WORDS.find((one) => DAYS[one] === days);
    return word === undefined ? [] : [[name.replace("expirationDays", "expiration"), word] as const];
  });
  return Object.fromEntries(words);
}

/** What a project's options say; nothing where they say nothing. */
export function policyOf(options: ProjectOptions): RetentionPolicy {
  const parsed = RetentionPolicySchema.safeParse(options.deploymentExpiration);
  return parsed.success ? parsed.data : {};
}
