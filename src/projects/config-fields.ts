import { z } from "zod";
import { DURATION, parseDuration } from "./duration.ts";

/** Longest duration that a configuration may ask for. */
export const MAX_DURATION_MS = 31 * 24 * 3_600_000;

export const duration = z
  .string()
  .regex(DURATION, { error: "is no duration; write a whole number with a unit: 500ms, 10s, 2m or 1h" })
  .transform((text) => parseDuration(text) ?? 0)
  .refine((ms) => ms <= MAX_DURATION_MS, { error: "is longer than 31 days" });

export const positiveDuration = duration.refine((ms) => ms > 0, { error: "must be longer than 0" });

export const text = z
  .string()
  .min(1, { error: "is empty" })
  .max(4_096, { error: "is longer than 4,096 characters" });

export const relativePath = text.refine((path) => !/^[/\\]|^[a-z]:|\\|(^|\/)\.\.(\/|$)|\0/i.test(path), {
  error: "must be a relative path inside the repository, with forward slashes and no ..",
});

const STATUS_RANGE = /^([1-5]\d\d)(?:\.\.([1-5]\d\d))?$/;

export const statusRange = z
  .union([z.number().int(), z.string()])
  .transform(String)
  .refine((range) => STATUS_RANGE.test(range), {
    error: "is no status or range of statuses, as 200 or 200..399",
  })
  .transform((range) => {
    const [, from, to] = STATUS_RANGE.exec(range) ?? [];
    return [Number(from), Number(to ?? from)] as const;
  })
  .refine(([from, to]) => from <= to, { error: "ends before it begins" });

export const share = z.number().min(0).max(1);
