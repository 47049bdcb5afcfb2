import { z } from "zod";
import { RetentionPolicySchema } from "../releases/expiration.ts";
import { PROTECTIONS } from "../traffic/host-gate.ts";

const Flag = z.boolean().nullish();
const Text = z.string().max(4_096).nullish();
/** A setting of several fields that the dock keeps as it is. */
const Kept = z.record(z.string().max(256), z.unknown()).nullish();

/** Project settings by Vercel's names that are kept and shown. Source: the SDK's body of `updateProject`. */
export const ProjectOptionsSchema = z.object({
  autoExposeSystemEnvs: Flag,
  commandForIgnoringBuildStep: Text,
  connectConfigurations: z.array(Kept).max(100).nullish(),
  customerSupportCodeVisibility: Flag,
  deploymentExpiration: RetentionPolicySchema.nullish(),
  deploymentPolicy: Kept,
  directoryListing: Flag,
  dismissedToasts: z.array(Kept).max(100).optional(),
  enableAffectedProjectsDeployments: Flag,
  enableExternalRewriteCaching: Flag,
  enablePreviewFeedback: Flag,
  enableProductionFeedback: Flag,
  gitForkProtection: Flag,
  gitLFS: Flag,
  oidcTokenConfig: Kept,
  optionsAllowlist: Kept,
  passwordProtection: z
    .object({ deploymentType: z.enum(PROTECTIONS), password: z.string().max(1_024).nullish() })
    // The dock never asks for the password: what it does not have cannot leak.
    .transform(({ deploymentType }) => ({ deploymentType }))
    .nullish(),
  passport: Kept,
  previewDeploymentSuffix: Text,
  previewDeploymentsDisabled: Flag,
  protectedSourcemaps: Flag,
  publicSource: Flag,
  resourceConfig: Kept,
  sandbox: Kept,
  serverlessFunctionRegion: Text,
  serverlessFunctionZeroConfigFailover: Flag,
  skewProtectionAllowedDomains: z.array(z.string().max(253)).max(100).optional(),
  skewProtectionBoundaryAt: z.number().nonnegative().optional(),
  skipGitConnectDuringLink: Flag,
  sourceFilesOutsideRootDirectory: Flag,
  ssoProtection: z.object({ deploymentType: z.enum(PROTECTIONS).default("all") }).nullish(),
  staticIps: Kept,
  tracing: Kept,
  trustedIps: Kept,
  trustedSources: Kept,
});

const NAMES = Object.keys(ProjectOptionsSchema.shape);

/** Parts a body into what is kept only and what is more. */
export function splitOptions<T extends Readonly<Record<string, unknown>>>(
  body: T,
): { options: Record<string, unknown>; rest: Omit<T, keyof z.infer<typeof ProjectOptionsSchema>> } {
  const options: Record<string, unknown> = {};
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined) continue;
    if (NAMES.includes(name)) options[name] = value;
    else rest[name] = value;
  }
  return { options, rest: rest as T };
}
