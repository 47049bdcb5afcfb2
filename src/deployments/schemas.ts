import { z } from "@hono/zod-openapi";
import { STATES, type State } from "./state.ts";

export const Environment = z.enum(["preview", "staging", "production"]);
const StateName = z.enum(STATES as [State, ...State[]]);

const ref = z.string().min(1).max(255);
export const DeploymentId = z.string().min(1).max(100);

export const TriggerBody = z
  .strictObject({
    environment: Environment,
    project: ref.optional(),
    branch: ref.nullish().transform((branch) => branch ?? undefined),
    commit: ref.nullish().transform((commit) => commit ?? undefined),
    message: z
      .string()
      .max(10_000)
      .nullish()
      .transform((message) => message ?? undefined),
    dirty: z.boolean().optional(),
    source: z
      .union([
        z.strictObject({ tree: z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits") }),
        z.strictObject({ git: z.string().min(1).max(2_048) }),
      ])
      .optional(),
    force: z.boolean().optional(),
  })
  .openapi("Trigger");

export const Triggered = z
  .object({
    deploymentId: z.string(),
    project: z.string(),
    environment: Environment,
    state: z.literal("queued"),
    statusUrl: z.string(),
  })
  .openapi("Triggered");

export const RollbackBody = z
  .strictObject({
    environment: Environment,
    project: ref.optional(),
    targetDeploymentId: DeploymentId.nullish().transform((id) => id ?? undefined),
    branch: ref.optional(),
    reason: z.string().max(1_000).optional(),
  })
  .openapi("Rollback");

export const RolledBack = z
  .object({
    deploymentId: z.string().openapi({ description: "The deployment that serves now" }),
    rolledBack: z
      .array(z.string())
      .openapi({ description: "Deployments that gave up their traffic or were stopped" }),
    state: z.literal("live"),
    durationMs: z.number(),
  })
  .openapi("RolledBack");

const Strategy = z.union([
  z.object({ kind: z.literal("instant") }),
  z.object({
    kind: z.literal("canary"),
    steps: z.array(z.object({ weight: z.number(), bakeMs: z.number() })).readonly(),
    maxErrorRate: z.number(),
    minRequests: z.number(),
  }),
]);

export const DeploymentBody = z
  .object({
    id: z.string(),
    project: z.string(),
    environment: Environment,
    branch: z.string().nullable(),
    commit: z.string().nullable(),
    message: z.string().nullable(),
    dirty: z.boolean(),
    state: StateName,
    reason: z.string().nullable(),
    hint: z.string().nullable(),
    url: z.string().nullable().openapi({ description: "Immutable address of this release" }),
    urls: z.array(z.string()).readonly().openapi({ description: "Public addresses of the environment" }),
    targetDeploymentId: z.string().nullable(),
    strategy: Strategy.nullable(),
    weight: z.number(),
    progress: z.number(),
    reused: z.boolean(),
    createdAt: z.string(),
    updatedAt: z.string(),
    deadlineAt: z.string().nullable(),
    buildStartedAt: z.string().nullable(),
    finishedAt: z.string().nullable(),
    phases: z
      .array(z.object({ state: StateName, at: z.string(), durationMs: z.number().nullable() }))
      .readonly(),
    rollbackOf: z.string().nullable(),
    actor: z.string(),
  })
  .openapi("Deployment");

export const StatusBody = z
  .object({
    deployment: DeploymentBody,
    logs: z.array(z.object({ seq: z.number(), at: z.string(), stream: z.string(), text: z.string() })),
    nextLog: z.number().openapi({ description: "Send it as `after` to get the lines that follow" }),
  })
  .openapi("DeploymentStatus");

export const StatusQuery = z.object({ after: z.coerce.number().int().min(0).default(0) });

export const ListQuery = z.object({
  project: ref.optional(),
  environment: Environment.optional(),
  state: StateName.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});
