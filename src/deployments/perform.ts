import { AppError } from "../foundation/errors.ts";
import { INSTANT_STAGES, startRollout } from "../rollouts/index.ts";
import type { Target } from "../targets/target.ts";
import type { Change } from "./change.ts";
import type { MigrateSchema, Phase, Preparation, Prepare, PrepareInput, Resupply } from "./plan-source.ts";
import type { Step } from "./reconcile.ts";
import { type Deployment, effectKey, placeOf, type SchemaFacts, type ServiceRelease } from "./record.ts";
import { movingServices, planServices, withService } from "./services.ts";
import { isSettled } from "./state.ts";
import type { Store } from "./store.ts";

export type PerformDeps = {
  readonly store: Pick<Store, "usedElsewhere" | "liveBeside" | "placeInUse">;
  readonly target: Target;
  readonly prepare: Prepare;
  readonly resupply: Resupply;
  readonly migrateSchema: MigrateSchema;
  /** What `prepare` found, for the builds that follow at once. Only a shortcut: it may be empty at any time. */
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
      return build(deps, deployment, step.service, signal);
    case "hold":
      return hold(deps, deployment, signal);
    case "unhold":
      return unhold(deps, deployment, signal);
    case "migrate":
      return migrate(deps, deployment, step.phase, signal);
    case "shift":
      return shift(deps, deployment, step, signal);
    case "restore_traffic":
      return restoreTraffic(deps, deployment, step, signal);
    case "return_traffic":
      return returnTraffic(deps, deployment, step, signal);
    case "cancel_build":
      return cancelBuilds(deps, deployment, signal);
    case "retire":
      return retire(deps, deployment, signal);
    case "vacate":
      return vacate(deps, deployment, signal);
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

function prepareInput(deployment: Deployment): PrepareInput {
  const { id, project, environment, source, branch, pullRequest, commit } = deployment;
  return { deploymentId: id, project, environment, source, branch, pullRequest, commit };
}

async function prepare(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  const [preparation, live] = await Promise.all([
    callPrepare(deps, deployment, signal),
    deps.store.liveBeside(deployment),
  ]);
  // The branch of a preview decides its place, so what was asked for stands.
  const known =
    deployment.environment === "preview" ? deployment.branch : (deployment.branch ?? preparation.branch);
  const place = { ...deployment, branch: known };
  const planned = planServices(preparation.services, live, deployment.force);
  const services = await Promise.all(
    planned.map(async (service) => {
      const hosts = await deps.target.domains(placeOf(place, service), signal);
      return { ...service, urls: hosts.map((host) => deps.target.publicUrl(host)) };
    }),
  );
  const kept = services.filter((service) => service.unchanged).map((service) => service.name);
  const unchanged = kept.length > 0 ? ` Unchanged: ${kept.join(", ")}.` : "";
  const { plan, commit } = preparation;
  return {
    to: "building",
    reason: `The commit was read and its configuration is valid.${unchanged}`,
    patch: { plan, services, commit, branch: known },
  };
}

async function build(
  deps: PerformDeps,
  deployment: Deployment,
  name: string,
  signal: AbortSignal,
): Promise<Change> {
  const { id, force, commit } = deployment;
  const preparation = deps.prepared.get(id) ?? (await callPrepare(deps, deployment, signal));
  const service = serviceOf(deployment, name);
  const prepared = preparation.services.find((each) => each.name === name);
  if (!prepared) throw new AppError("internal", `Deployment ${id} has no service "${name}" any more.`);
  const { settings, env, platform } = prepared;
  const { files } = preparation;
  const key = effectKey(deployment, `build:${name}`);
  const what = { key, files, settings, env, commit, force, ...(platform ? { platform } : {}) };
  const input = { ...placeOf(deployment, service), ...what };
  const answer = await deps.target.build(input, signal);
  if (answer.kind === "missing_files") {
    await deps.resupply(prepareInput(deployment), answer.missing, signal);
    throw new AppError(
      "upstream",
      `The target lacked ${answer.missing.length} of the ${files.length} files.`,
      { hint: "They were sent again, and the build is asked for again." },
    );
  }
  const { targetDeploymentId } = answer;
  const services = withService(deployment.services, name, { targetDeploymentId });
  if (services.every((each) => each.targetDeploymentId !== null)) deps.prepared.delete(id);
  if (!isSettled(deployment.state)) return { patch: { services } };
  return { patch: { services, facts: { ...deployment.facts, cleanupAsked: true } } };
}

function serviceOf({ id, services }: Deployment, name: string): ServiceRelease {
  const service = services.find((each) => each.name === name);
  if (!service) throw new AppError("internal", `Deployment ${id} has no service "${name}".`);
  return service;
}

function withSchema({ facts }: Deployment, change: Partial<SchemaFacts>): Deployment["facts"] {
  const before = facts.schema ?? { held: false, expanded: false, version: { expand: null, contract: null } };
  return { ...facts, schema: { ...before, ...change } };
}

/** Where it cannot be held, the migration runs beside the traffic: `signalbox plan` has said so. */
async function hold(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  const limits = deployment.plan?.schema?.hold;
  if (!limits) throw new AppError("internal", `Deployment ${deployment.id} holds without limits.`);
  for (const service of deployment.services) {
    await deps.target.hold(placeOf(deployment, service), limits, signal);
  }
  return { patch: { facts: withSchema(deployment, { held: true, holding: true }) } };
}

async function unhold(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  for (const service of deployment.services) {
    await deps.target.unhold(placeOf(deployment, service), signal);
  }
  return { patch: { facts: withSchema(deployment, { held: false, holding: false }) } };
}

async function migrate(
  deps: PerformDeps,
  deployment: Deployment,
  phase: Phase,
  signal: AbortSignal,
): Promise<Change> {
  const { projectId } = deployment;
  const key = effectKey(deployment, phase);
  const { version } = await deps.migrateSchema(
    { ...prepareInput(deployment), projectId, phase, key },
    signal,
  );
  const before = deployment.facts.schema?.version ?? { expand: null, contract: null };
  const change = { version: { ...before, [phase]: version } };
  if (phase === "contract") return { patch: { facts: withSchema(deployment, change), contractAt: null } };
  return { patch: { facts: withSchema(deployment, { ...change, expanded: true }) } };
}

async function shift(
  deps: PerformDeps,
  deployment: Deployment,
  step: Effect & { do: "shift" },
  signal: AbortSignal,
): Promise<Change> {
  const service = serviceOf(deployment, step.service);
  const { rollout } = deployment.facts;
  const { targetDeploymentId: to, previousTargetId: from } = service;
  if (!rollout || !to || !deployment.plan)
    throw new AppError("internal", `Deployment ${deployment.id} shifts without a plan.`);
  const steps = rollout.stages.map((stage) => stage.weight);
  const { drainMs } = deployment.plan;
  const place = placeOf(deployment, service);
  const change = { place, from, to, weight: step.weight, steps, drainMs };
  const result = await deps.target.shift(change, signal);
  const { patch } = step;
  if (result === "done") {
    const services = withService(patch.services ?? deployment.services, step.service, { opened: true });
    return { patch: { ...patch, services } };
  }
  const note = "The target cannot split traffic here, so it went from 0 to 100 %";
  const whole = {
    ...startRollout(INSTANT_STAGES),
    lastSignal: rollout.lastSignal,
    notes: [...rollout.notes, note],
  };
  return { patch: { ...patch, facts: { ...deployment.facts, rollout: whole } } };
}

async function restoreTraffic(
  deps: PerformDeps,
  deployment: Deployment,
  step: Effect & { do: "restore_traffic" },
  signal: AbortSignal,
): Promise<Change> {
  const service = serviceOf(deployment, step.service);
  const from = service.targetDeploymentId;
  if (!from) throw new AppError("internal", `Deployment ${deployment.id} has no traffic to give back.`);
  await deps.target.rollback({ place: placeOf(deployment, service), from, to: step.to }, signal);
  return {};
}

/** A step on the way back is a shift like any other. Where traffic cannot be split, it all goes back at once. */
async function returnTraffic(
  deps: PerformDeps,
  deployment: Deployment,
  step: Effect & { do: "return_traffic" },
  signal: AbortSignal,
): Promise<Change> {
  const service = serviceOf(deployment, step.service);
  const { rollback } = deployment.facts;
  if (!rollback) throw new AppError("internal", `Deployment ${deployment.id} goes back without a plan.`);
  const place = placeOf(deployment, service);
  const steps = rollback.steps.map(({ weight }) => weight);
  const change = { place, from: service.targetDeploymentId, to: step.to, weight: step.weight, steps };
  const result = await deps.target.shift(change, signal);
  if (result === "done") return {};
  return { patch: { facts: { ...deployment.facts, rollback: { ...rollback, steps: [] } } } };
}

/** What was ready before another failed is let go next. */
async function cancelBuilds(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  const own = movingServices(deployment);
  for (const { targetDeploymentId, built } of own) {
    if (targetDeploymentId && !built) await deps.target.cancel(targetDeploymentId, signal);
  }
  return { patch: { cleanup: own.some((service) => service.built) ? "retire" : null } };
}

async function retire(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  if (deployment.facts.schema?.held) return unhold(deps, deployment, signal);
  for (const { targetDeploymentId } of deployment.services) {
    if (targetDeploymentId === null) continue;
    if (await deps.store.usedElsewhere(deployment, targetDeploymentId)) continue;
    await deps.target.retire(targetDeploymentId, signal);
  }
  return { patch: { cleanup: null, retiredAt: deps.clock.now() } };
}

/** The place is taken away with its hosts, unless a newer deployment has come to it meanwhile. */
async function vacate(deps: PerformDeps, deployment: Deployment, signal: AbortSignal): Promise<Change> {
  if (!(await deps.store.placeInUse(deployment))) {
    for (const service of deployment.services) {
      await deps.target.vacate(placeOf(deployment, service), signal);
    }
  }
  return { patch: { cleanup: "retire" } };
}
