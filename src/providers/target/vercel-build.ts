import type { BuildInput } from "../../targets/target.ts";
import { CreatedAnswer, DeploymentsAnswer } from "./vercel-answers.ts";
import type { VercelClient } from "./vercel-client.ts";
import { vendorDetails } from "./vercel-failures.ts";
import { STAGING } from "./vercel-projects.ts";

/** Name of the meta field that carries our idempotency key. */
const KEY_FIELD = "signalboxKey";
/** A lookup reads this many of the newest deployments, in case the platform ignores the meta filter. */
const LOOKUP_LIMIT = 100;

export type BuildAnswer =
  | { kind: "accepted"; targetDeploymentId: string }
  | { kind: "missing_files"; missing: string[] };

/**
 * Starts a build, staged: production without domains, staging by its custom environment, previews by their branch.
 * The API's POST is not idempotent, so a deployment that carries our key already is looked for first.
 */
export async function startBuild(
  client: VercelClient,
  input: BuildInput,
  signal: AbortSignal,
): Promise<BuildAnswer> {
  const earlier = await findByKey(client, input, signal);
  if (earlier !== null) return { kind: "accepted", targetDeploymentId: earlier };
  try {
    // Not through the SDK: its request schema drops `autoAssignCustomDomains`, `env`, `build` and the files' `mode`.
    const answer = await client.json(
      {
        method: "POST",
        path: "/v13/deployments",
        query: { skipAutoDetectionConfirmation: "1", ...(input.force ? { forceNew: "1" } : {}) },
        body: bodyOf(input),
      },
      { signal },
    );
    return { kind: "accepted", targetDeploymentId: CreatedAnswer.parse(answer.body).id };
  } catch (error) {
    const missing = missingFilesOf(error);
    if (missing !== null) return { kind: "missing_files", missing };
    throw error;
  }
}

async function findByKey(
  client: VercelClient,
  input: BuildInput,
  signal: AbortSignal,
): Promise<string | null> {
  // Not through the SDK: it has no parameter for meta filters.
  const answer = await client.json(
    {
      method: "GET",
      path: "/v7/deployments",
      query: {
        projectId: input.targetProjectId,
        limit: String(LOOKUP_LIMIT),
        [`meta-${KEY_FIELD}`]: input.key,
      },
    },
    { signal, read: true },
  );
  const { deployments } = DeploymentsAnswer.parse(answer.body);
  return deployments.find((deployment) => deployment.meta?.[KEY_FIELD] === input.key)?.uid ?? null;
}

function bodyOf(input: BuildInput): Record<string, unknown> {
  const { settings } = input;
  const start = settings.startCommand;
  return {
    name: input.project,
    project: input.targetProjectId,
    version: 2,
    ...destinationOf(input),
    meta: {
      [KEY_FIELD]: input.key,
      // The dock gives such a preview the pull request's host, and not its branch's.
      ...(typeof input.pullRequest === "number" ? { pullRequest: String(input.pullRequest) } : {}),
    },
    gitMetadata: {
      ...(input.branch === null ? {} : { commitRef: input.branch }),
      ...(input.commit.sha === null ? {} : { commitSha: input.commit.sha }),
      ...(input.commit.message === null ? {} : { commitMessage: input.commit.message }),
      dirty: input.commit.dirty,
    },
    projectSettings: {
      sourceFilesOutsideRootDirectory: true,
      framework: settings.framework,
      installCommand: settings.installCommand,
      buildCommand: settings.buildCommand,
      outputDirectory: settings.outputDirectory,
      rootDirectory: settings.rootDirectory,
    },
    env: input.env,
    // The API has no setting for a start command; the dock reads it here, and Vercel has no use for it.
    build: { env: start === undefined ? input.env : { ...input.env, SIGNALBOX_START_COMMAND: start } },
    files: input.files.map(({ path, sha1, size, mode }) => ({ file: path, sha: sha1, size, mode })),
  };
}

function destinationOf(input: BuildInput): Record<string, unknown> {
  switch (input.environment) {
    case "production":
      return { target: "production", autoAssignCustomDomains: false };
    case "staging":
      return { customEnvironmentSlugOrId: STAGING };
    case "preview":
      return {};
  }
}

function missingFilesOf(error: unknown): string[] | null {
  const details = vendorDetails(error);
  return details?.code === "missing_files" ? [...(details.missing ?? [])] : null;
}
