import type { PrepareInput } from "../deployments/index.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import type { BuildInput } from "../targets/target.ts";
import type { FailoverDeps } from "./deps.ts";
import type { LiveDeployment } from "./queries.ts";
import type { Standby, StandbyRelease } from "./standby.ts";
import { mergeVariables } from "./variables.ts";

/** A dock that asks for files again and again has lost its store; the next look begins anew. */
const MAX_SUPPLIES = 3;

/**
 * Builds every service of the live deployment at the dock, staged. Idempotent by key: whoever comes after a crash finds
 * the builds that were begun. @throws AppError as the ports do.
 */
export async function buildStandby(
  deps: Pick<FailoverDeps, "standby" | "prepare" | "resupply" | "variables">,
  standby: Standby,
  live: LiveDeployment,
  signal: AbortSignal,
): Promise<Standby> {
  const input = prepareInput(live);
  const { files, services, commit } = await deps.prepare(input, signal);
  const releases: StandbyRelease[] = [];
  const missing = new Set<string>();
  let warning: string | null = null;
  for (const service of services) {
    const { name, targetProject, settings } = service;
    const { targetProjectId } = await deps.standby.ensureProject(targetProject, signal);
    const primary = live.services.find((each) => each.name === name);
    const known = await readVariables(deps, primary?.targetProjectId ?? null, signal);
    if ("failure" in known) warning = known.failure;
    const merged = mergeVariables(service.env, "failure" in known ? [] : known.variables);
    for (const key of merged.missing) missing.add(key);
    const { env } = merged;
    const key = `standby:${live.id}:${standby.generation}:${name}`;
    const place = {
      targetProjectId,
      project: targetProject,
      environment: "production",
      branch: null,
    } as const;
    const build = { ...place, key, files, settings, env, commit, force: false };
    const targetDeploymentId = await start(deps, input, build, signal);
    releases.push({ service: name, targetProject, targetProjectId, targetDeploymentId, url: null });
  }
  return { ...standby, releases, missingVariables: [...missing].sort(), warning };
}

export function prepareInput(live: LiveDeployment): PrepareInput {
  const { id, project, environment, source, branch, pullRequest, commit } = live;
  return { deploymentId: id, project, environment, source, branch, pullRequest, commit };
}

async function start(
  { standby, resupply }: Pick<FailoverDeps, "standby" | "resupply">,
  input: PrepareInput,
  build: BuildInput,
  signal: AbortSignal,
): Promise<string> {
  for (let supplies = 0; ; supplies++) {
    const answer = await standby.build(build, signal);
    if (answer.kind === "accepted") return answer.targetDeploymentId;
    if (supplies === MAX_SUPPLIES) {
      throw new AppError("upstream", `The dock lacks ${answer.missing.length} files that it was sent.`);
    }
    await resupply(input, answer.missing, signal);
  }
}

type Known =
  | { readonly variables: Awaited<ReturnType<FailoverDeps["variables"]>> }
  | { readonly failure: string };

/** The primary may be away at this very moment: then the standby has what Signalbox has. */
async function readVariables(
  { variables }: Pick<FailoverDeps, "variables">,
  targetProjectId: string | null,
  signal: AbortSignal,
): Promise<Known> {
  if (targetProjectId === null) return { variables: [] };
  try {
    return { variables: await variables(targetProjectId, signal) };
  } catch (error) {
    signal.throwIfAborted();
    return { failure: `The primary's variables could not be read: ${messageOf(error)}` };
  }
}
