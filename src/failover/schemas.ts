import { z } from "@hono/zod-openapi";

export const ProjectParam = z.object({ project: z.string() });
const side = z.enum(["primary", "standby"]);

export const SwitchBody = z.object({
  to: side.openapi({ description: "`standby`: the dock. `primary`: back to the platform." }),
  reason: z.string().max(1_000).optional(),
  force: z.boolean().optional().openapi({ description: "Although the other side is not known to be well." }),
});

export const AutomaticBody = z.object({ on: z.boolean() });

const SwitchUnderWay = z.object({
  id: z.string(),
  to: side,
  by: z.enum(["automatic", "person"]),
  actorName: z.string(),
  reason: z.string(),
  startedAt: z.string(),
  force: z.boolean(),
  attempts: z.number(),
  error: z.string().nullable(),
});

const Event = z.object({
  at: z.string(),
  kind: z.string(),
  switchId: z.string().nullable(),
  side: side.nullable(),
  reason: z.string().nullable(),
  actor: z.string(),
});

export const Status = z
  .object({
    project: z.string(),
    environment: z.string(),
    asked: z.boolean().openapi({ description: "The live deployment's configuration asks for a failover." }),
    hostname: z.string().nullable(),
    serving: side,
    servingSince: z.string(),
    switchedBy: z.enum(["automatic", "person"]).nullable(),
    elsewhere: z
      .string()
      .nullable()
      .openapi({ description: "Where the hostname points when to neither side." }),
    automatic: z.object({ configured: z.boolean(), on: z.boolean(), heldBack: z.string().nullable() }),
    primary: z.object({
      verdict: z.enum(["well", "away", "release", "hostname", "cut_off", "unclear"]),
      reason: z.string(),
      since: z.string().nullable(),
      checkedAt: z.string().nullable(),
      statusPage: z.string().nullable(),
    }),
    standby: z.object({
      state: z.enum(["ready", "preparing", "stale", "failed"]),
      reason: z.string().nullable(),
      deploymentId: z.string(),
      mirrors: z.string().nullable(),
      mirroredAt: z.string().nullable(),
      answeringSince: z.string().nullable(),
      checkedAt: z.string().nullable(),
      url: z.string().nullable(),
      missingVariables: z.array(z.string()),
      warning: z.string().nullable(),
    }),
    switch: SwitchUnderWay.nullable(),
    switchesToday: z.number(),
    maxPerDay: z.number(),
    events: z.array(Event),
  })
  .openapi("Failover");
