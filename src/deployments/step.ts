import type { Patch, Step } from "./reconcile.ts";
import type { Deployment, DeploymentOutcome } from "./record.ts";

export function after(now: Date, ms: number): Date {
  return new Date(now.getTime() + ms);
}

/** Ends a deployment that has no traffic. `outcome`: whose fault; the user's by default. */
export function failed(
  reason: string,
  more: { hint: string; patch?: Patch; outcome?: DeploymentOutcome },
): Step {
  const patch = { ...more.patch, outcome: more.outcome ?? ("failure" as const) };
  return { do: "move", to: "failed", reason, hint: more.hint, patch };
}

/** Ends a rollout that went wrong: back to what served before, as far as anything did. */
export function takeBack(
  deployment: Deployment,
  reason: string,
  patch: Patch,
  outcome: DeploymentOutcome = "failure",
): Step {
  const services = patch.services ?? deployment.services;
  if (services.every((service) => service.previousTargetId === null)) {
    return failed(`${reason}. There was no release before it to go back to.`, {
      hint: "Deploy a corrected commit; until then the environment has no healthy release.",
      patch,
      outcome,
    });
  }
  return {
    do: "move",
    to: "rolling_back",
    reason,
    hint: "Read what the release answered, correct it, and deploy again; the previous release serves.",
    patch: { ...patch, outcome, services: services.map(backToPrevious) },
  };
}

export function backToPrevious(service: Deployment["services"][number]): Deployment["services"][number] {
  if (service.unchanged) return service;
  return { ...service, rollbackToTargetId: service.previousTargetId, rollbackToUrl: service.previousUrl };
}
