import { projectsRequestPromote } from "@vercel/sdk/funcs/projectsRequestPromote.js";
import { projectsUpdateProject } from "@vercel/sdk/funcs/projectsUpdateProject.js";
import * as approval from "@vercel/sdk/funcs/rollingReleaseApproveRollingReleaseStage.js";
import { rollingReleaseCompleteRollingRelease } from "@vercel/sdk/funcs/rollingReleaseCompleteRollingRelease.js";
import { rollingReleaseStartRollingRelease } from "@vercel/sdk/funcs/rollingReleaseStartRollingRelease.js";
import { AppError } from "../../foundation/errors.ts";
import type { TrafficShift as Change, Place } from "../../targets/target.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { unlessStatus } from "./vercel-failures.ts";
import { readProject } from "./vercel-projects.ts";
import { type ActiveRelease, assignHost, readAliasOwner, readRelease } from "./vercel-traffic.ts";

/** How long a promotion may take to show in the aliases; the usual time is seconds. */
const PROMOTION_DEADLINE_MS = 60_000;
const PROMOTION_POLL_MS = 100;

/** Gives `to` its weight. Production splits by rolling releases; elsewhere a host has one owner. */
export async function shiftTraffic(
  client: VercelClient,
  change: Change,
  signal: AbortSignal,
): Promise<"done" | "unsupported"> {
  const { place, to, weight, drainMs } = change;
  if (weight === 100 && drainMs !== undefined) await setDrain(client, place, drainMs, signal);
  if (place.environment !== "production") {
    if (weight < 100) return "unsupported";
    await assignHost(client, place, to, signal);
    return "done";
  }
  const release = await readRelease(client, place, signal);
  if (release !== null && release.canary !== to) throw otherRelease(release);
  if (weight < 100) return raiseCanary(client, change, release, signal);
  if (release !== null) await completeRelease(client, change, signal);
  else await promote(client, change, signal);
  return "done";
}

/**
 * An extension of the dock: from then on visitors of the place get the sticky cookie by which they are kept. Vercel has
 * no such thing (404) and needs none: its skew protection is the project's own setting there.
 */
async function setDrain(
  client: VercelClient,
  place: Place,
  drainMs: number,
  signal: AbortSignal,
): Promise<void> {
  const path = `/v1/projects/${encodeURIComponent(place.targetProjectId)}/drain`;
  const set = () => client.json({ method: "PUT", path, body: { drainMs } }, { signal });
  await unlessStatus([404, 405], set, null);
}

function otherRelease(release: ActiveRelease): AppError {
  return new AppError(
    "unprocessable",
    `A rolling release of ${release.canary} is under way, with ${release.percent} % of production.`,
    { hint: "Finish it or roll it back first." },
  );
}

async function raiseCanary(
  client: VercelClient,
  change: Change,
  active: ActiveRelease | null,
  signal: AbortSignal,
): Promise<"done" | "unsupported"> {
  if (active?.percent === change.weight) return "done";
  const release = active ?? (await startRelease(client, change, signal));
  if (release === "unsupported") return "unsupported";
  if (release.percent > change.weight) {
    throw new AppError(
      "unprocessable",
      `${change.to} has ${release.percent} % already; a rolling release cannot go down to ${change.weight} %.`,
      { hint: "Roll back instead." },
    );
  }
  // Stages are approved one by one: the platform refuses to skip any.
  for (const stage of release.stages) {
    if (stage.index <= release.activeIndex || stage.targetPercentage > change.weight) continue;
    await approveStage(client, change, stage.index, signal);
  }
  return "done";
}

async function approveStage(
  client: VercelClient,
  change: Change,
  nextStageIndex: number,
  signal: AbortSignal,
): Promise<void> {
  const request = {
    idOrName: change.place.targetProjectId,
    ...scopeOf(client),
    requestBody: { nextStageIndex, canaryDeploymentId: change.to },
  };
  await client.sdk(
    (core, options) => approval.rollingReleaseApproveRollingReleaseStage(core, request, options),
    {
      signal,
    },
  );
}

/** Writes the plan as the project's template, then starts a rolling release; its first stage begins at once. */
async function startRelease(
  client: VercelClient,
  change: Change,
  signal: AbortSignal,
): Promise<ActiveRelease | "unsupported"> {
  const { place, to, steps } = change;
  // Nothing to split with: a first release has no predecessor.
  if (change.from === null) return "unsupported";
  const last = steps.length - 1;
  const configured = await unlessStatus(
    [402, 403, 404],
    () =>
      // Not through the SDK: its method has no request body.
      client.json(
        {
          method: "PATCH",
          path: `/v1/projects/${encodeURIComponent(place.targetProjectId)}/rolling-release/config`,
          body: {
            enabled: true,
            advancementType: "manual-approval",
            stages: steps.map((targetPercentage, index) => ({
              targetPercentage,
              requireApproval: index < last,
            })),
          },
        },
        { signal },
      ),
    "unsupported" as const,
  );
  if (configured === "unsupported") return "unsupported";
  const request = {
    idOrName: place.targetProjectId,
    ...scopeOf(client),
    requestBody: { canaryDeploymentId: to },
  };
  await client.sdk((core, options) => rollingReleaseStartRollingRelease(core, request, options), { signal });
  const release = await readRelease(client, place, signal);
  if (release?.canary === to) return release;
  throw new AppError(
    "upstream",
    `The rolling release of ${to} was started, but the platform does not show it.`,
    {
      hint: "Signalbox looks again by itself.",
    },
  );
}

async function completeRelease(client: VercelClient, change: Change, signal: AbortSignal): Promise<void> {
  const request = {
    idOrName: change.place.targetProjectId,
    ...scopeOf(client),
    requestBody: { canaryDeploymentId: change.to },
  };
  await client.sdk((core, options) => rollingReleaseCompleteRollingRelease(core, request, options), {
    signal,
  });
  await confirm(client, change, signal);
}

/**
 * Moves production's domains to a staged deployment. A promotion switches `autoAssignCustomDomains` on, also where the
 * team keeps it off, so a flag that was off before is put back; unless a rollback had switched it off, which
 * a promotion is meant to end.
 */
async function promote(client: VercelClient, change: Change, signal: AbortSignal): Promise<void> {
  const { place, to } = change;
  const [owner, project] = await Promise.all([
    readAliasOwner(client, place, signal),
    readProject(client, place.targetProjectId, signal),
  ]);
  if (owner === to) return;
  const keptOff = project?.autoAssignCustomDomains === false && project.lastAliasRequest?.type !== "rollback";
  const request = { projectId: place.targetProjectId, deploymentId: to, ...scopeOf(client) };
  await client.sdk((core, options) => projectsRequestPromote(core, request, options), { signal });
  await confirm(client, change, signal);
  if (!keptOff) return;
  const restore = {
    idOrName: place.targetProjectId,
    ...scopeOf(client),
    requestBody: { autoAssignCustomDomains: false },
  };
  await client.sdk((core, options) => projectsUpdateProject(core, restore, options), { signal });
}

/** An accepted promotion is a promise; it is done when production's host points to the deployment. */
async function confirm(client: VercelClient, { place, to }: Change, signal: AbortSignal): Promise<void> {
  const deadline = client.clock.monotonicMs() + PROMOTION_DEADLINE_MS;
  while ((await readAliasOwner(client, place, signal)) !== to) {
    const job = (await readProject(client, place.targetProjectId, signal))?.lastAliasRequest;
    if (job?.toDeploymentId === to && job.jobStatus === "failed") {
      throw new AppError("upstream", `The platform could not move production's domains to ${to}.`, {
        hint: "Look at the project's domains at the platform; Signalbox tries again by itself.",
      });
    }
    if (client.clock.monotonicMs() >= deadline) {
      throw new AppError("upstream", `${to} was promoted, but production still shows another after 60 s.`, {
        hint: "The platform may be queueing it behind another change; Signalbox looks again by itself.",
      });
    }
    await client.clock.sleep(PROMOTION_POLL_MS, signal);
  }
}
