import { z } from "zod";

/** What we read of the API's answers: only what is used, and forgiving about the rest. */

export const ErrorAnswer = z.object({
  error: z.object({
    code: z.coerce.string().default("unknown"),
    message: z.string().default("no reason given"),
    missing: z.array(z.string()).optional(),
  }),
});

export const ProjectAnswer = z.object({
  id: z.string(),
  autoAssignCustomDomains: z.boolean().nullish(),
  lastAliasRequest: z
    .object({ toDeploymentId: z.string(), jobStatus: z.string(), type: z.string() })
    .partial()
    .nullish(),
});

export const EnvironmentsAnswer = z.object({ environments: z.array(z.object({ slug: z.string() })) });

export const DeploymentAnswer = z.object({
  id: z.string(),
  url: z.string().nullish(),
  readyState: z.string(),
  buildingAt: z.number().nullish(),
  buildSkipped: z.boolean().nullish(),
  errorCode: z.string().nullish(),
  errorMessage: z.string().nullish(),
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
      meta: z.record(z.string(), z.unknown()).nullish(),
    }),
  ),
});

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
