import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import type { ProjectSettings } from "../rows.ts";

const Command = z.string().max(4_096).nullish();
const Settings = z.object({
  framework: z.string().max(64).nullish(),
  installCommand: Command,
  buildCommand: Command,
  devCommand: Command,
  outputDirectory: z.string().max(1_024).nullish(),
  rootDirectory: z.string().max(1_024).nullish(),
  nodeVersion: z.string().max(16).nullish(),
});
const Env = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
    .max(256),
  z.string().max(65_536),
);

const UploadedFile = z.object({
  file: z.string(),
  sha: z.string().regex(/^[0-9a-f]{40}$/, "must be a SHA-1 of 40 lower-case hex digits"),
  size: z.number().int().nonnegative().default(0),
  mode: z.number().int().optional(),
});
const InlineFile = z.object({
  file: z.string(),
  data: z.string(),
  encoding: z.enum(["base64", "utf-8"]).default("utf-8"),
  mode: z.number().int().optional(),
});

/**
 * The body of `POST /deployments`. Fields that Vercel has and the dock has no use for are let through unread.
 * Source: vercel.com/docs/rest-api/deployments/create-a-new-deployment.
 */
export const DeploymentRequest = Settings.extend({
  name: z.string().min(1).max(100).optional(),
  project: z.string().min(1).max(100).optional(),
  target: z.string().nullish(),
  customEnvironmentSlugOrId: z.string().optional(),
  deploymentId: z.string().optional(),
  autoAssignCustomDomains: z.boolean().optional(),
  meta: z.record(z.string().max(256), z.coerce.string().max(65_536)).default({}),
  gitMetadata: z.record(z.string(), z.unknown()).nullish(),
  gitSource: z.record(z.string(), z.unknown()).nullish(),
  env: Env.default({}),
  build: z.object({ env: Env.default({}) }).default({ env: {} }),
  projectSettings: Settings.default({}),
  source: z.string().max(64).optional(),
  files: z
    .array(z.union([UploadedFile, InlineFile]))
    .max(100_000)
    .optional(),
});
export type DeploymentRequest = z.infer<typeof DeploymentRequest>;
export type RequestedFile = z.infer<typeof UploadedFile> | z.infer<typeof InlineFile>;

export { Settings as SettingsSchema };

/** The project's settings, overridden by the request's (`vercel.json` fields beside `projectSettings`). */
export function mergeSettings(project: ProjectSettings, request: DeploymentRequest): ProjectSettings {
  const top: ProjectSettings = {
    framework: request.framework,
    installCommand: request.installCommand,
    buildCommand: request.buildCommand,
    devCommand: request.devCommand,
    outputDirectory: request.outputDirectory,
    rootDirectory: request.rootDirectory,
  };
  return { ...project, ...defined(request.projectSettings), ...defined(top) };
}

function defined(settings: ProjectSettings): ProjectSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** The branch a deployment was made from, as the CLI, the git integrations and `meta` name it. */
export function branchOf(request: DeploymentRequest): string | null {
  const candidates = [
    request.gitMetadata?.commitRef,
    request.gitSource?.ref,
    request.meta.branch,
    request.meta.githubCommitRef,
    request.meta.gitlabCommitRef,
    request.meta.bitbucketCommitRef,
  ];
  for (const candidate of candidates) {
    if (typeof candidate === "string" && candidate !== "") return candidate.slice(0, 255);
  }
  return null;
}

/** A file's path inside the tree, or an error that names it: one that leaves the tree would be written outside it. */
export function checkedPath(path: string): string {
  const parts = path.split("/");
  const bad =
    path === "" ||
    path.length > 4_096 ||
    path.includes("\0") ||
    parts.some((part) => part === "" || part === "." || part === ".." || part.length > 255);
  if (!bad) return path;
  throw new AppError("bad_request", `"${path.slice(0, 200)}" is not a path inside the deployment.`, {
    hint: "Send relative paths with forward slashes, without . and .. parts.",
  });
}
