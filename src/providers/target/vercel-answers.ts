import { z } from "zod";

/** What we read of the API's answers: only what is used, and forgiving about the rest. */

export const ErrorAnswer = z.object({
  error: z.object({
    code: z.coerce.string().default("unknown"),
    message: z.string().default("no reason given"),
    missing: z.array(z.string()).optional(),
  }),
});

/** What is there and what it is must never keep us from what we need: anything unexpected counts as absent. */
const lenient = <S extends z.ZodType>(schema: S) => schema.nullish().catch(null);

export const GitLink = z.object({
  type: z.string(),
  repoId: z.union([z.number(), z.string()]).nullish(),
  projectId: z.union([z.number(), z.string()]).nullish(),
  uuid: z.string().nullish(),
  workspaceUuid: z.string().nullish(),
});

export const ProjectAnswer = z.object({
  id: z.string(),
  autoAssignCustomDomains: lenient(z.boolean()),
  lastAliasRequest: lenient(
    z
      .object({
        fromDeploymentId: z.string().nullable(),
        toDeploymentId: z.string(),
        jobStatus: z.string(),
        type: z.string(),
        requestedAt: z.number(),
      })
      .partial(),
  ),
  paused: lenient(z.boolean()),
  /** Seconds; 0 or absent: off. */
  skewProtectionMaxAge: lenient(z.number()),
  link: lenient(GitLink),
  ssoProtection: lenient(z.object({ deploymentType: z.string() })),
  passwordProtection: lenient(z.object({ deploymentType: z.string() })),
  /** By secret. */
  protectionBypass: lenient(z.record(z.string(), z.object({ scope: z.string().nullish() }))),
});
export type ProjectAnswer = z.output<typeof ProjectAnswer>;

export const BypassAnswer = z.object({
  protectionBypass: z.record(z.string(), z.object({ scope: z.string().nullish() })),
});

export const DomainsAnswer = z.object({
  domains: z.array(
    z.object({
      name: z.string(),
      redirect: lenient(z.string()),
      gitBranch: lenient(z.string()),
      customEnvironmentId: lenient(z.string()),
      verified: lenient(z.boolean()),
    }),
  ),
});

export const RollingConfigAnswer = z.object({ rollingRelease: z.record(z.string(), z.unknown()).nullish() });

export const ChecksAnswer = z.object({
  checks: z.array(z.object({ id: z.string(), name: z.string(), blocks: z.string().nullish() })),
});

export const CheckRunsAnswer = z.object({
  runs: z.array(
    z.object({
      id: z.string(),
      checkId: lenient(z.string()),
      status: lenient(z.string()),
      conclusion: lenient(z.string()),
    }),
  ),
});

export const WebhookAnswer = z.object({ id: z.string(), secret: z.string() });

export const EnvironmentsAnswer = z.object({ environments: z.array(z.object({ slug: z.string() })) });

export const DeploymentAnswer = z.object({
  id: z.string(),
  url: z.string().nullish(),
  readyState: z.string(),
  buildingAt: z.number().nullish(),
  buildSkipped: z.boolean().nullish(),
  errorCode: z.string().nullish(),
  errorMessage: z.string().nullish(),
  inspectorUrl: lenient(z.string()),
  target: lenient(z.string()),
  projectId: lenient(z.string()),
  meta: lenient(z.record(z.string(), z.unknown())),
  /** The dock's own field; Vercel does not tell what kind of thing it serves. */
  dock: z
    .object({ kind: z.enum(["static", "server"]).optional(), reused: z.boolean().optional() })
    .nullish()
    .catch(null),
});

export const CreatedAnswer = z.object({ id: z.string() });

export const DeploymentsAnswer = z.object({
  deployments: z.array(
    z.object({
      uid: z.string(),
      created: lenient(z.number()),
      readyState: lenient(z.string()),
      state: lenient(z.string()),
      target: lenient(z.string()),
      url: lenient(z.string()),
      creator: lenient(z.object({ username: lenient(z.string()), email: lenient(z.string()) })),
      errorMessage: lenient(z.string()),
      inspectorUrl: lenient(z.string()),
      meta: lenient(z.record(z.string(), z.unknown())),
    }),
  ),
});
export type ListedAnswer = z.output<typeof DeploymentsAnswer>["deployments"][number];

export const AliasAnswer = z.object({ deploymentId: z.string().nullish() });

export const HoldAnswer = z.object({ inFlight: z.number() });

const Stage = z.object({ index: z.number(), targetPercentage: z.number() });

export const RollingReleaseAnswer = z.object({
  rollingRelease: z
    .object({
      state: z.string(),
      currentDeployment: z.object({ id: z.string() }).nullish(),
      canaryDeployment: z.object({ id: z.string() }).nullish(),
      activeStage: Stage.nullish(),
      currentCanaryPercentage: z.number().nullish(),
      stages: z.array(Stage).nullish(),
    })
    .nullish(),
});

export const EventLine = z.object({
  type: z.string(),
  created: z.number().nullish(),
  date: z.number().nullish(),
  text: z.string().nullish(),
  payload: z.object({ text: z.string().nullish(), date: z.number().nullish() }).nullish(),
});
