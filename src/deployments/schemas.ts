import { z } from "@hono/zod-openapi";
import { STATES, type State } from "./state.ts";

export const Environment = z.enum(["preview", "staging", "production"]);
export const StateName = z.enum(STATES as [State, ...State[]]);

const ref = z.string().min(1).max(255);
export const DeploymentId = z.string().min(1).max(100);

const PullRequest = z.number().int().min(1).max(2_147_483_647);

export const TriggerBody = z
  .strictObject({
    environment: Environment,
    project: ref.optional(),
    branch: ref.nullish().transform((branch) => branch ?? undefined),
    pullRequest: PullRequest.optional(),
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
    pullRequest: PullRequest.optional(),
    reason: z.string().max(1_000).optional(),
    stepped: z.boolean().optional(),
  })
  .openapi("Rollback");

export const RolledBack = z
  .object({
    deploymentId: z.string().openapi({ description: "The deployment that serves now" }),
    rolledBack: z
      .array(z.string())
      .openapi({ description: "Deployments that gave up their traffic or were stopped" }),
    state: z.enum(["live", "rolling_back"]),
    durationMs: z.number(),
  })
  .openapi("RolledBack");

const Stage = z.object({ weight: z.number(), bakeMs: z.number().nullable() });
const Analysis = z.object({
  intervalMs: z.number(),
  maxErrorRate: z.number().nullable(),
  maxLatencyMs: z.number().nullable(),
  compare: z.boolean(),
  confidence: z.number(),
  tolerance: z.number(),
  effectSize: z.number(),
  minRequests: z.number(),
  failureLimit: z.number(),
  queries: z
    .array(
      z.object({
        name: z.string(),
        endpoint: z.string(),
        query: z.string(),
        max: z.number().nullable(),
        min: z.number().nullable(),
      }),
    )
    .readonly(),
});
const Strategy = z.union([
  z.object({ kind: z.literal("instant") }),
  z.object({ kind: z.literal("blue_green"), watchMs: z.number(), analysis: Analysis }),
  z.object({ kind: z.literal("canary"), steps: z.array(Stage).readonly(), analysis: Analysis }),
]);

const Service = z.object({
  name: z.string(),
  url: z.string().nullable(),
  urls: z.array(z.string()).readonly(),
  targetDeploymentId: z.string().nullable(),
  previousTargetId: z.string().nullable(),
  kind: z.enum(["static", "server", "unknown"]).nullable(),
  weight: z.number(),
  unchanged: z
    .boolean()
    .openapi({ description: "It keeps the release that serves: its inputs are the same" }),
  reused: z.boolean(),
});

const Rollout = z.object({
  stages: z.array(Stage).readonly(),
  index: z.number(),
  paused: z.object({ since: z.string(), by: z.string(), reason: z.string().nullable() }).nullable(),
  verdicts: z
    .array(
      z.object({
        at: z.string(),
        weight: z.number(),
        name: z.string(),
        is: z.enum(["pass", "fail", "inconclusive"]),
        reason: z.string(),
      }),
    )
    .readonly(),
  notes: z.array(z.string()).readonly(),
});

export const DeploymentBody = z
  .object({
    id: z.string(),
    project: z.string(),
    environment: Environment,
    branch: z.string().nullable(),
    pullRequest: z.number().nullable(),
    commit: z.string().nullable(),
    message: z.string().nullable(),
    dirty: z.boolean(),
    state: StateName,
    reason: z.string().nullable(),
    hint: z.string().nullable(),
    url: z.string().nullable().openapi({ description: "Immutable address of this release" }),
    urls: z.array(z.string()).readonly().openapi({ description: "Public addresses of the environment" }),
    targetDeploymentId: z.string().nullable(),
    services: z.array(Service).readonly(),
    strategy: Strategy.nullable(),
    rollout: Rollout.nullable(),
    approvalDigest: z.string().nullable(),
    schemaVersion: z.object({ expand: z.string().nullable(), contract: z.string().nullable() }).nullable(),
    contractAt: z.string().nullable(),
    outcome: z.enum(["success", "failure", "error", "timeout", "cancellation", "skip"]).nullable(),
    blocked: z
      .object({
        by: z.enum(["rate_limit", "outage"]),
        reason: z.string(),
        since: z.string(),
        until: z.string().openapi({ description: "When the next try is made" }),
      })
      .nullable()
      .openapi({ description: "What holds its work up, which is no failure and passes by itself" }),
    problem: z.string().nullable(),
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

export const SignalBody = z
  .strictObject({ reason: z.string().max(1_000).optional() })
  .openapi("RolloutSignal");

export const StatusBody = z
  .object({
    deployment: DeploymentBody,
    logs: z.array(
      z.object({
        seq: z.number(),
        at: z.string(),
        stream: z.string(),
        service: z.string(),
        text: z.string(),
      }),
    ),
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
