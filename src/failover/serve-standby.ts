import type { FailoverDeps } from "./deps.ts";
import type { FailoverPlace } from "./place.ts";
import type { StandbyRelease } from "./standby.ts";

/**
 * Lets the hosts at the dock show these releases: each service at its standby host, and the last one, which is what
 * visitors open, at the hostname, so that a switch has only the hostname to move. While the standby serves, they are
 * its production too. Idempotent.
 */
export async function serveStandby(
  deps: Pick<FailoverDeps, "standby">,
  place: Pick<FailoverPlace, "policy" | "serving" | "switch">,
  releases: readonly StandbyRelease[],
  signal: AbortSignal,
): Promise<void> {
  const { standby } = deps;
  for (const { targetProject, targetDeploymentId } of releases) {
    await standby.assignHost(standby.standbyHost(targetProject), targetDeploymentId, signal);
  }
  const main = releases.at(-1);
  if (main && place.policy.hostname !== null) {
    await standby.assignHost(place.policy.hostname, main.targetDeploymentId, signal);
  }
  const wanted = place.switch?.to ?? place.serving;
  if (wanted === "standby") await activate(deps, releases, signal);
}

/**
 * Production at the dock is these releases, and scheduled requests are made to them. A release that waits is nobody's
 * production, so that nothing scheduled runs twice.
 */
export async function activate(
  { standby }: Pick<FailoverDeps, "standby">,
  releases: readonly StandbyRelease[],
  signal: AbortSignal,
): Promise<void> {
  for (const { targetProjectId, targetProject, targetDeploymentId } of releases) {
    const place = {
      targetProjectId,
      project: targetProject,
      environment: "production",
      branch: null,
    } as const;
    await standby.shift({ place, from: null, to: targetDeploymentId, weight: 100, steps: [100] }, signal);
    await standby.setCrons(targetProjectId, true, signal);
  }
}

/** The primary serves again: what is scheduled is its own. */
export async function deactivate(
  { standby }: Pick<FailoverDeps, "standby">,
  releases: readonly StandbyRelease[],
  signal: AbortSignal,
): Promise<void> {
  for (const { targetProjectId } of releases) await standby.setCrons(targetProjectId, false, signal);
}
