import { AppError } from "../../foundation/errors.ts";
import type { BuildInput, PlatformSettings } from "../../targets/target.ts";
import { CreatedAnswer, DeploymentsAnswer, type ListedAnswer } from "./vercel-answers.ts";
import type { VercelClient } from "./vercel-client.ts";
import { isUncertain, readAnswer, unlessStatus, vendorDetails } from "./vercel-failures.ts";
import { gitSourceOf } from "./vercel-git-source.ts";
import { STAGING } from "./vercel-projects.ts";

/** Name of the meta field that carries our idempotency key. */
export const KEY_FIELD = "signalboxKey";
/** A lookup reads this many of the newest deployments, in case the platform ignores the meta filter. */
const LOOKUP_LIMIT = 100;

/** A list at Vercel may lag behind what was accepted. So often it is looked at before a build is asked for again. */
const LOOKS = 6;
const LOOK_MS = 1_500;

export type BuildAnswer =
  | { kind: "accepted"; targetDeploymentId: string }
  | { kind: "missing_files"; missing: string[] };

/**
 * Starts a build, staged: production without domains, staging by its custom environment, previews by their branch.
 *
 * The API's POST is not idempotent, and its list is not at once complete. So a deployment that carries our key is
 * looked for first: once where the key is new, patiently where it was asked for before and no refusal came. Should the
 * list lag for longer than that, a twin is made; it is ended when the build is ready, see `endTwins`.
 */
export async function startBuild(
  client: VercelClient,
  input: BuildInput,
  signal: AbortSignal,
): Promise<BuildAnswer> {
  const body = await bodyOf(client, input, signal);
  const again = await client.memory.ask(input.key, client.clock.now());
  const earlier = await findPatiently(client, input, again ? LOOKS : 1, signal);
  if (earlier !== null) return { kind: "accepted", targetDeploymentId: earlier };
  try {
    // Not through the SDK: its request schema drops `autoAssignCustomDomains`, `env`, `build` and the files' `mode`.
    const answer = await client.json(
      { method: "POST", path: "/v13/deployments", query: queryOf(input), body },
      { signal },
    );
    return { kind: "accepted", targetDeploymentId: readAnswer(CreatedAnswer, answer).id };
  } catch (error) {
    // A refusal is certain that nothing was made; a lost answer is not.
    if (!isUncertain(error) && vendorDetails(error) !== null) await client.memory.refused(input.key);
    const missing = missingFilesOf(error);
    if (missing !== null) return { kind: "missing_files", missing };
    throw error;
  }
}

/**
 * Ends every other deployment with the key of one that is ready: a lost answer and a list that lagged made them. None
 * of them has served, as traffic goes only to the one that was written down.
 */
export async function endTwins(
  client: VercelClient,
  of: { readonly id: string; readonly targetProjectId: string; readonly key: string },
  signal: AbortSignal,
): Promise<void> {
  for (const { uid, readyState, state } of await listByKey(client, of, signal)) {
    if (uid === of.id) continue;
    const path = `/v13/deployments/${encodeURIComponent(uid)}`;
    const isOver = ["READY", "ERROR", "CANCELED"].includes(readyState ?? state ?? "");
    const cancel = { method: "PATCH", path: `/v12/deployments/${encodeURIComponent(uid)}/cancel` };
    if (!isOver) await unlessStatus([400, 404, 409, 410], () => client.json(cancel, { signal }), null);
    await unlessStatus([400, 404, 409, 410], () => client.json({ method: "DELETE", path }, { signal }), null);
  }
}

async function findPatiently(
  client: VercelClient,
  input: BuildInput,
  looks: number,
  signal: AbortSignal,
): Promise<string | null> {
  for (let look = 1; ; look++) {
    const [oldest] = await listByKey(client, input, signal);
    if (oldest) return oldest.uid;
    if (look >= looks) return null;
    await client.clock.sleep(LOOK_MS, signal);
  }
}

/** Oldest first, so that whoever looks adopts the same one. */
async function listByKey(
  client: VercelClient,
  { targetProjectId, key }: { readonly targetProjectId: string; readonly key: string },
  signal: AbortSignal,
): Promise<ListedAnswer[]> {
  // Not through the SDK: it has no parameter for meta filters.
  const query = { projectId: targetProjectId, limit: String(LOOKUP_LIMIT), [`meta-${KEY_FIELD}`]: key };
  const answer = await client.json({ method: "GET", path: "/v7/deployments", query }, { signal, read: true });
  const { deployments } = readAnswer(DeploymentsAnswer, answer);
  return deployments
    .filter((deployment) => deployment.meta?.[KEY_FIELD] === key)
    .sort((a, b) => (a.created ?? 0) - (b.created ?? 0) || (a.uid < b.uid ? -1 : 1));
}

/** `forceNew` also drops the build cache, unless `withCache` keeps it. */
function queryOf({ force, platform }: BuildInput): Record<string, string> {
  const base = { skipAutoDetectionConfirmation: "1" };
  if (!force) return base;
  return { ...base, forceNew: "1", ...(platform?.keepCache === false ? {} : { withCache: "1" }) };
}

async function bodyOf(
  client: VercelClient,
  input: BuildInput,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const { settings, platform } = input;
  const start = settings.startCommand;
  // The dock is connected to no repository, and takes files always.
  const fromGit = platform?.source === "git" && client.options.domain !== "localhost";
  return {
    name: input.project,
    project: input.targetProjectId,
    version: 2,
    ...destinationOf(input, platform),
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
    ...(fromGit
      ? { gitSource: await gitSourceOf(client, input, signal) }
      : { files: input.files.map(({ path, sha1, size, mode }) => ({ file: path, sha: sha1, size, mode })) }),
  };
}

function destinationOf(
  { environment }: BuildInput,
  platform: PlatformSettings | undefined,
): Record<string, unknown> {
  switch (environment) {
    case "production":
      return { target: "production", autoAssignCustomDomains: false };
    case "staging":
      return { customEnvironmentSlugOrId: platform?.environment ?? STAGING };
    case "preview":
      return {};
  }
}

function missingFilesOf(error: unknown): string[] | null {
  const details = error instanceof AppError ? vendorDetails(error) : null;
  return details?.code === "missing_files" ? [...(details.missing ?? [])] : null;
}
