import { AppError } from "../foundation/errors.ts";
import { INSTANT_STAGES, startRollout } from "../rollouts/index.ts";
import type { Target } from "../targets/target.ts";
import type { Change } from "./change.ts";
import type { Preparation, Prepare, PrepareInput, Resupply } from "./plan-source.ts";
import type { Step } from "./reconcile.ts";
import { type Deployment, effectKey, placeOf } from "./record.ts";
import type { Store } from "./store.ts";

export type PerformDeps = {
  readonly store: Pick<Store, "usedElsewhere">;
  readonly target: Target;
  readonly prepare: Prepare;
  readonly resupply: Resupply;
  /** What `prepare` found, for the build that follows at once. Only a shortcut: it may be empty at any time. */
  readonly prepared: Map<string, Preparation>;
  readonly clock: { now(): Date };
};

type Effect = Exclude<Step, { do: "wait" | "move" | "rest" }>;

/**
 * Performs one side effect and says what to write down. Each is safe to repeat: by its key, or because asking for what
 * is already so does nothing.
 */
export async function perform(
  deps: PerformDeps,
  deployment: Deployment,
  step: Effect,
  signal: AbortSignal,
): Promise<Change> {
  switch (step.do) {
    case "prepare":
      return prepare(deps, deployment, signal);
    case "build":
      return build(deps, deployment, signal);
    case "shift":
      return shift(deps, deployment, step, signal);
    case "restore_traffic":
      return restoreTraffic(deps, deployment, step.to, signal);
    case "cancel_build":
      if (deployment.targetDeploymentId) await deps.target.cancel(deployment.targetDeploymentId, signal);
      return { patch: { cleanup: null } };
    case "retire":
      return retire(deps, deployment, signal);
  }
}

async function callPrepare(
  deps: PerformDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Preparation> {
  const preparation = await deps.prepare(prepareInput(deployment), signal);
  deps.prepared.set(deployment.id, preparation);
  return preparation;
}

function prepareInput({ id, project, environment, source, branch, commit }: Deployment): PrepareInput {
  return { deploymentId: id, project, environment, source, branch, commit };
}

async function prepare(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  const { strategy, health, targetProjectId, branch, commit } = await callPrepare(deps, deployment, signal);
  // The branch of a preview decides its place, so what was asked for stands.
  const known = deployment.environment === "preview" ? deployment.branch : (deployment.branch ?? branch);
  const plan = { strategy, health, targetProjectId };
  const place = placeOf({ ...deployment, plan, branch: known });
  const hosts = place ? deps.target.hosts(place) : [];
  return {
    to: "building",
    reason: "The commit was read and its configuration is valid.",
    patch: { plan, commit, branch: known, urls: hosts.map((host) => deps.target.publicUrl(host)) },
  };
}

async function build(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  const { id, force } = deployment;
  const preparation = deps.prepared.get(id) ?? (await callPrepare(deps, deployment, signal));
  const { files, settings, env } = preparation;
  const place = placeOf(deployment);
  if (!place) throw new AppError("internal", `Deployment ${id} is building without a plan.`);
  const { commit } = deployment;
  const key = effectKey(deployment, "build");
  const answer = await deps.target.build({ ...place, key, files, settings, env, commit, force }, signal);
  if (answer.kind === "missing_files") {
    await deps.resupply(prepareInput(deployment), answer.missing, signal);
    throw new AppError(
      "upstream",
      `The target lacked ${answer.missing.length} of the ${files.length} files.`,
      {
        hint: "They were sent again, and the build is asked for again.",
      },
    );
  }
  deps.prepared.delete(id);
  return { patch: { targetDeploymentId: answer.targetDeploymentId } };
}

async function shift(
  deps: PerformDeps,
  deployment: Deployment,
  step: Effect & { do: "shift" },
  signal: AbortSignal,
): Promise<Change> {
  const place = placeOf(deployment);
  const rollout = deployment.facts.rollout;
  const { targetDeploymentId: to, previousTargetId: from } = deployment;
  if (!place || !rollout || !to)
    throw new AppError("internal", `Deployment ${deployment.id} shifts without a plan.`);
  const steps = rollout.stages.map((stage) => stage.weight);
  const result = await deps.target.shift({ place, from, to, weight: step.weight, steps }, signal);
  if (result === "done") return { patch: step.patch };
  const note = `The target cannot split traffic here, so it went from 0 to 100 %`;
  const whole = { ...startRollout(INSTANT_STAGES), notes: [...rollout.notes, note] };
  return { patch: { ...step.patch, facts: { ...step.patch.facts, rollout: whole } } };
}

async function restoreTraffic(
  deps: PerformDeps,
  deployment: Deployment,
  to: string,
  signal: AbortSignal,
): Promise<Change> {
  const place = placeOf(deployment);
  const from = deployment.targetDeploymentId;
  if (!place || !from)
    throw new AppError("internal", `Deployment ${deployment.id} has no traffic to give back.`);
  await deps.target.rollback({ place, from, to }, signal);
  return {};
}

async function retire(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  const { targetDeploymentId } = deployment;
  if (targetDeploymentId && !(await deps.store.usedElsewhere(deployment))) {
    await deps.target.retire(targetDeploymentId, signal);
  }
  return { patch: { cleanup: null, retiredAt: deps.clock.now() } };
}
