import { z } from "@hono/zod-openapi";
import type { FreezeWindow } from "./freeze.ts";
import { WEEKDAYS } from "./freeze.ts";
import type { GateView } from "./list-approvals.ts";
import type { ListedFreeze, ListedLock } from "./queries.ts";

const Environment = z.enum(["preview", "staging", "production"]);
const Weekday = z.enum(WEEKDAYS);
const instant = z.iso.datetime({ offset: true });
const digest = z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits");
const comment = z.string().max(2_000);
const reason = z.string().max(1_000);
const projectName = z.string().min(1).max(255);
const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time of day, HH:MM");

export const GateId = z.string().min(1).max(100);

export const ApproveBody = z
  .strictObject({
    digest: digest.optional().openapi({ description: "What was looked at; refused when it has changed" }),
    comment: comment.optional(),
  })
  .openapi("Approve");
export const RejectBody = z.strictObject({ digest: digest.optional(), comment }).openapi("Reject");
export const BreakGlassBody = z.strictObject({ reason }).openapi("BreakGlass");
export const EndBody = z.strictObject({ reason: reason.optional() });

const Verdict = z
  .discriminatedUnion("is", [
    z.object({ is: z.literal("open"), because: z.string() }),
    z.object({
      is: z.literal("waits"),
      for: z.enum(["approval", "timer", "lock", "freeze", "health"]),
      reason: z.string(),
      until: z.string().nullable().openapi({ description: "It looks again at the latest then" }),
    }),
    z.object({ is: z.literal("rejected"), reason: z.string(), hint: z.string() }),
  ])
  .openapi("GateVerdict");

const Policy = z.object({
  approvals: z
    .object({
      required: z.number(),
      reviewers: z.array(z.string()).readonly(),
      selfApproval: z.boolean(),
      expiresMs: z.number(),
    })
    .nullable(),
  waitMs: z.number(),
});

export const GateBody = z
  .object({
    deploymentId: z.string(),
    state: z.string(),
    policy: Policy.nullable(),
    digest: z.string().nullable().openapi({ description: "Of what would take traffic now" }),
    approvals: z.array(
      z.object({
        id: z.string(),
        decision: z.enum(["approve", "reject"]),
        actor: z.string(),
        comment: z.string().nullable(),
        at: z.string(),
        digest: z.string(),
        counts: z.boolean(),
        whyNot: z.string().nullable(),
      }),
    ),
    breakGlass: z.object({ actor: z.string(), reason: z.string(), at: z.string() }).nullable(),
    verdict: Verdict.nullable().openapi({ description: "Null while it has not asked yet" }),
  })
  .openapi("Gate");

export function gateBody(view: GateView): z.infer<typeof GateBody> {
  const { verdict, breakGlass } = view;
  return {
    deploymentId: view.deploymentId,
    state: view.state,
    policy: view.policy,
    digest: view.digest,
    approvals: view.approvals.map(({ id, decision, actorName, comment, at, digest, counts, whyNot }) => ({
      id,
      decision,
      actor: actorName,
      comment,
      at: at.toISOString(),
      digest,
      counts,
      whyNot,
    })),
    breakGlass: breakGlass && {
      actor: breakGlass.actorName,
      reason: breakGlass.reason,
      at: breakGlass.at.toISOString(),
    },
    verdict: verdict?.is === "waits" ? { ...verdict, until: verdict.until?.toISOString() ?? null } : verdict,
  };
}

export const LockInput = z
  .strictObject({
    project: projectName.optional(),
    environment: Environment.optional(),
    reason,
    ttlMs: z.number().int().optional().openapi({ description: "Default 24 h, at most 30 days" }),
  })
  .openapi("NewLock");

const placeFields = { project: z.string().nullable(), environment: Environment.nullable() };

export const LockBody = z
  .object({
    id: z.string(),
    ...placeFields,
    owner: z.string(),
    reason: z.string(),
    createdAt: z.string(),
    expiresAt: z.string().nullable(),
  })
  .openapi("Lock");

export function lockBody(lock: ListedLock): z.infer<typeof LockBody> {
  const { id, project, environment, ownerName: owner, reason, createdAt, expiresAt } = lock;
  return {
    id,
    project,
    environment,
    owner,
    reason,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
  };
}

const freezeFields = {
  name: z.string().max(80),
  reason: reason.optional(),
  project: projectName.optional(),
  environment: Environment.optional(),
  expiresAt: instant.optional(),
};

export const FreezeInput = z
  .discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("once"), from: instant, until: instant, ...freezeFields }),
    z.strictObject({
      kind: z.literal("weekly"),
      days: z.array(Weekday).min(1).max(7),
      from: timeOfDay,
      until: timeOfDay.openapi({ description: "Not after `from`: on the next day" }),
      untilDay: Weekday.optional().openapi({ description: "It ends on the day of this name that follows" }),
      timeZone: z.string().max(80).openapi({ example: "Europe/Berlin" }),
      ...freezeFields,
    }),
  ])
  .openapi("NewFreeze");

export function windowOf(input: z.infer<typeof FreezeInput>): FreezeWindow {
  if (input.kind === "once")
    return { kind: "once", from: new Date(input.from), until: new Date(input.until) };
  const { kind, days, from, until, untilDay = null, timeZone } = input;
  return { kind, days, from, until, untilDay, timeZone };
}

const listedFields = {
  id: z.string(),
  name: z.string(),
  reason: z.string().nullable(),
  ...placeFields,
  owner: z.string(),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  frozenUntil: z.string().nullable().openapi({ description: "Null: it does not hold now" }),
};

export const FreezeBody = z
  .discriminatedUnion("kind", [
    z.object({ ...listedFields, kind: z.literal("once"), from: z.string(), until: z.string() }),
    z.object({
      ...listedFields,
      kind: z.literal("weekly"),
      days: z.array(Weekday),
      from: z.string(),
      until: z.string(),
      untilDay: Weekday.nullable(),
      timeZone: z.string(),
    }),
  ])
  .openapi("Freeze");

export function freezeBody(freeze: ListedFreeze, frozenUntil: Date | null): z.infer<typeof FreezeBody> {
  const { id, name, reason, project, environment, ownerName: owner } = freeze;
  const common = {
    id,
    name,
    reason,
    project,
    environment,
    owner,
    createdAt: freeze.createdAt.toISOString(),
    expiresAt: freeze.expiresAt?.toISOString() ?? null,
    frozenUntil: frozenUntil?.toISOString() ?? null,
  };
  if (freeze.kind === "once") {
    return { ...common, kind: "once", from: freeze.from.toISOString(), until: freeze.until.toISOString() };
  }
  const { kind, days, from, until, untilDay, timeZone } = freeze;
  return { ...common, kind, days: [...days], from, until, untilDay, timeZone };
}
