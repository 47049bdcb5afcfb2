import type { Dock } from "../dock.ts";
import { bypassVariable } from "../projects/protection-bypass.ts";
import { listVariables, type Variable } from "../projects/queries.ts";
import { sharedOf } from "../projects/shared-variables.ts";

export type Env = Readonly<Record<string, string>>;

/** The two sets of variables of a deployment, fixed when it is created, as Vercel fixes them. */
export type DeploymentEnv = {
  /** Of the install and build commands. */
  readonly build: Env;
  /** Of the release's process. */
  readonly run: Env;
};

/**
 * The project's variables for this target (a branch's own ones win), then the request's. `build.env` of a request
 * reaches the build only.
 */
export async function deploymentEnv(
  dock: Pick<Dock, "db" | "secrets">,
  place: { projectId: string; target: string; branch: string | null },
  request: { env: Env; buildEnv: Env },
): Promise<DeploymentEnv> {
  const shared = await projectEnv(dock, place);
  const bypass = await bypassVariable(dock, place.projectId);
  if (bypass !== null) shared.VERCEL_AUTOMATION_BYPASS_SECRET ??= bypass;
  const run = { ...shared, ...request.env };
  return { build: { ...run, ...request.buildEnv }, run };
}

/** `target`: `production`, `preview`, `development`, or a custom environment's id. */
export async function projectEnv(
  dock: Pick<Dock, "db" | "secrets">,
  place: { projectId: string; target: string; branch: string | null },
): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const row of await sharedOf(dock.db, place.projectId, place.target))
    env[row.key] = dock.secrets.open(row.sealed, row.id);
  const variables = await listVariables(dock.db, place.projectId);
  const due = variables.filter((row) => isDue(row, place));
  for (const row of due.filter((row) => row.git_branch === null))
    env[row.key] = dock.secrets.open(row.sealed, row.id);
  for (const row of due.filter((row) => row.git_branch !== null))
    env[row.key] = dock.secrets.open(row.sealed, row.id);
  return env;
}

/** Whether a variable is one of a target and a branch. Pure. */
export function isDue(row: Variable, place: { target: string; branch: string | null }): boolean {
  const { targets, custom_environment_ids: environments, git_branch: branch } = row;
  const isOfTarget = targets.includes(place.target) || environments.includes(place.target);
  return isOfTarget && (branch === null || branch === place.branch);
}

export function sealEnv(dock: Pick<Dock, "secrets">, deploymentId: string, env: DeploymentEnv): Buffer {
  return dock.secrets.seal(JSON.stringify(env), deploymentId);
}

export function openEnv(dock: Pick<Dock, "secrets">, deploymentId: string, sealed: Buffer): DeploymentEnv {
  return JSON.parse(dock.secrets.open(sealed, deploymentId));
}
