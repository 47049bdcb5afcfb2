import { z } from "@hono/zod-openapi";
import { NO_VERDICT, PROBE_TYPES } from "./model.ts";
import type { CheckOverview, EventRow } from "./read-overview.ts";
import type { RunResult } from "./run-checks.ts";

export const environmentName = z.enum(["preview", "staging", "production", "development"]);
const state = z.enum(["up", "degraded", "down", "unknown"]);
const ms = z
  .number()
  .int()
  .min(1)
  .max(31 * 24 * 3_600_000);

const explanation = z.object({ means: z.string(), next: z.string() }).nullable();
const failure = z.object({ class: z.string(), message: z.string() }).nullable();

export const CheckBody = z
  .object({
    id: z.string(),
    project: z.string(),
    environment: z.string(),
    name: z.string(),
    type: z.enum(PROBE_TYPES),
    source: z.enum(["config", "deployment", "api"]),
    subject: z.string().openapi({ description: "What is asked, without secrets" }),
    critical: z.boolean(),
    policy: z.record(z.string(), z.unknown()).openapi({ description: "Durations in ms" }),
    state,
    since: z.iso.datetime(),
    failure,
    explanation: explanation.openapi({ description: "What the failure means, and what to do next" }),
    down: z.array(z.string()),
    reporting: z.array(z.string()),
    disputedSince: z.iso.datetime().nullable(),
    flappingSince: z.iso.datetime().nullable(),
    suppressedBy: z.string().nullable(),
    lastCheck: z.iso.datetime().nullable(),
    latencyMs: z.number().nullable(),
    stale: z.boolean(),
    locations: z.array(
      z.object({ location: z.string(), state, lastAt: z.iso.datetime(), latencyMs: z.number().nullable() }),
    ),
  })
  .openapi("Check");

export function checkBody(check: CheckOverview): z.infer<typeof CheckBody> {
  const { displayed, policy } = check;
  const at = (since: number | null | undefined) => (since == null ? null : new Date(since).toISOString());
  return {
    id: check.id,
    project: check.project,
    environment: check.environment,
    name: check.name,
    type: check.type,
    source: check.source,
    subject: check.subject,
    critical: policy.critical,
    policy,
    state: check.state,
    since: check.since.toISOString(),
    failure: displayed?.failure ?? null,
    explanation: check.explanation,
    down: [...(displayed?.down ?? [])],
    reporting: [...(displayed?.reporting ?? [])],
    disputedSince: at(displayed?.disputedSince),
    flappingSince: at(displayed?.flappingSince),
    suppressedBy: displayed?.suppressedBy ?? null,
    lastCheck: check.lastAt?.toISOString() ?? null,
    latencyMs: check.latencyMs,
    stale: check.stale,
    locations: [...check.locations],
  };
}

export const EventBody = z
  .object({
    id: z.number(),
    check: z.string(),
    project: z.string(),
    environment: z.string(),
    at: z.iso.datetime().openapi({ description: "When it began, which may be before it was confirmed" }),
    writtenAt: z.iso.datetime(),
    from: state,
    to: state,
    failureClass: z.string().nullable(),
    message: z.string().nullable(),
    suppressedBy: z.string().nullable(),
    deploymentId: z.string().nullable(),
  })
  .openapi("CheckEvent");

export function eventBody(event: EventRow): z.infer<typeof EventBody> {
  return {
    ...event,
    id: Number(event.id),
    at: event.at.toISOString(),
    writtenAt: event.writtenAt.toISOString(),
  };
}

export const HistoryBody = z.object({
  check: CheckBody,
  samples: z.array(z.record(z.string(), z.unknown())).openapi({ description: "Rounds as they were found" }),
  spans: z.array(
    z.object({
      fromAt: z.iso.datetime(),
      toAt: z.iso.datetime().nullable(),
      state,
      failureClass: z.string().nullable(),
    }),
  ),
  events: z.array(EventBody),
});

const policyFields = {
  intervalMs: ms.min(100).optional(),
  timeoutMs: ms.max(300_000).optional(),
  failures: z.number().int().min(1).max(100).optional(),
  successes: z.number().int().min(1).max(100).optional(),
  degradedMs: ms.nullish(),
  baselineFactor: z.number().min(1.1).max(1_000).nullish(),
  graceMs: z.number().int().min(0).max(86_400_000).optional(),
  critical: z.boolean().optional(),
  locations: z.array(z.string().min(1).max(64)).min(1).max(20).optional(),
  dependsOn: z.array(z.string().min(1).max(64)).max(20).optional(),
};
const settings = z.record(z.string().max(100), z.unknown()).openapi({
  description: "Of its type; a value may be { secret: NAME } instead",
});

export const UpdateBody = z.strictObject({ settings, ...policyFields });
export const CreateBody = z.strictObject({
  project: z.string().min(1).max(255),
  environment: environmentName,
  name: z.string().regex(/^[a-z](?:[a-z0-9._-]{0,61}[a-z0-9])?$/, {
    error: "must be lower-case letters, digits, dots and dashes, beginning with a letter, at most 63",
  }),
  type: z.enum(PROBE_TYPES),
  settings,
  ...policyFields,
});

export const RunBody = z.strictObject({
  project: z.string().min(1).max(255),
  environment: environmentName.optional(),
  checks: z.array(z.string().min(1).max(255)).min(1).max(500).optional().openapi({ description: "Names" }),
});

export const RunAnswer = z.object({
  /** Every critical check that was asked is up or degraded. */
  ok: z.boolean(),
  results: z.array(
    z.object({
      check: CheckBody,
      status: state,
      latencyMs: z.number().nullable(),
      failure,
      explanation,
      phases: z.record(z.string(), z.number()).nullable(),
      observed: z.record(z.string(), z.unknown()).nullable(),
      attempts: z.number(),
      untrusted: z.string().nullable().openapi({ description: "Why the round says nothing of the service" }),
      unanswered: z.string().nullable().openapi({ description: "Which prober did not answer" }),
    }),
  ),
});

export function runAnswer(results: readonly RunResult[]): z.infer<typeof RunAnswer> {
  const bodies = results.map(({ check, round, attempt, explanation: told, unanswered }) => ({
    check: checkBody(check),
    status: attempt === null || round?.untrusted ? ("unknown" as const) : statusOf(attempt),
    latencyMs: attempt?.latencyMs ?? null,
    failure: attempt?.failure ?? null,
    explanation: told,
    phases: attempt?.phases ? { ...attempt.phases } : null,
    observed: attempt?.observed ? { ...attempt.observed } : null,
    attempts: round?.attempts.length ?? 0,
    untrusted: round?.untrusted ?? null,
    unanswered,
  }));
  const ok = bodies.every(({ check, status }) => !check.critical || status === "up" || status === "degraded");
  return { ok, results: bodies };
}

function statusOf({ status, failure: found }: NonNullable<RunResult["attempt"]>): z.infer<typeof state> {
  return found !== undefined && NO_VERDICT.has(found.class) ? "unknown" : status;
}

export const CoverageBody = z.object({
  checks: z.number(),
  known: z.number().openapi({ description: "Checks with a verdict that is not stale" }),
  problems: z.array(
    z.object({
      project: z.string(),
      environment: z.string(),
      subject: z.string(),
      why: z.string(),
      hint: z.string(),
    }),
  ),
});
