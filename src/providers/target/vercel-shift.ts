import { deploymentsGetDeployment } from "@vercel/sdk/funcs/deploymentsGetDeployment.js";
import { projectsRequestPromote } from "@vercel/sdk/funcs/projectsRequestPromote.js";
import * as approval from "@vercel/sdk/funcs/rollingReleaseApproveRollingReleaseStage.js";
import { rollingReleaseCompleteRollingRelease } from "@vercel/sdk/funcs/rollingReleaseCompleteRollingRelease.js";
import { rollingReleaseStartRollingRelease } from "@vercel/sdk/funcs/rollingReleaseStartRollingRelease.js";
import { AppError } from "../../foundation/errors.ts";
import type { TrafficShift as Change, Place } from "../../targets/target.ts";
import { DeploymentAnswer } from "./vercel-answers.ts";
import { keepAutoAssign, restoreAutoAssign } from "./vercel-auto-assign.ts";
import { report } from "./vercel-checks.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import type { Domains } from "./vercel-domains.ts";
import { isRefusal, readAnswer, unlessStatus } from "./vercel-failures.ts";
import { readProject } from "./vercel-projects.ts";
import { restoreTemplate, useTemplate } from "./vercel-release-template.ts";
import { type ActiveRelease, assignHost, readAliasOwner, readRelease } from "./vercel-traffic.ts";

/**
 * How long a promotion may take to show in the aliases; the usual time is seconds. Less than what the engine gives one
 * effect, so that it hears our sentence and not that its own patience was over.
 */
const PROMOTION_DEADLINE_MS = 20_000;
/** Often at first, since the usual time is short; later less, since each look is two requests of a rate limit. */
const PROMOTION_POLL_MS = { first: 100, factor: 1.5, longest: 2_000 } as const;

/** Gives `to` its weight. Production splits by rolling releases; elsewhere a host has one owner. */
export async function shiftTraffic(
  client: VercelClient,
  domains: Domains,
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
  const [main = ""] = await domains(place, signal);
  const owner = await readAliasOwner(client, main, signal);
  if (release !== null) {
    await completeRelease(client, change, signal);
    // The platform switches `autoAssignCustomDomains` on with the move: what is put back before it is lost.
    await confirm(client, change, { main, completed: true }, signal);
  } else if (owner !== to) await promote(client, change, main, signal);
  await tidyAfterwards(client, place, signal);
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
  await requireProduction(client, change, signal);
  if ((await useTemplate(client, place, steps, signal)) === "unsupported") return "unsupported";
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

/** Its end is a promotion, which flips what the team has set as any other does. */
async function completeRelease(client: VercelClient, change: Change, signal: AbortSignal): Promise<void> {
  const project = await readProject(client, change.place.targetProjectId, signal);
  await keepAutoAssign(client, change.place, project, true);
  const request = {
    idOrName: change.place.targetProjectId,
    ...scopeOf(client),
    requestBody: { canaryDeploymentId: change.to },
  };
  const complete = () =>
    client.sdk((core, options) => rollingReleaseCompleteRollingRelease(core, request, options), { signal });
  // Refused when it is complete already, which a lost answer or a late list hides: the aliases tell.
  await unlessStatus([400, 404, 409], complete, null);
}

/**
 * All traffic has moved. What the platform refuses to put back is no fault of the release, which would be taken back
 * for it: the watch tries again, and tells.
 */
async function tidyAfterwards(client: VercelClient, place: Place, signal: AbortSignal): Promise<void> {
  try {
    await tidyUp(client, place, signal);
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
}

/** Puts back what the team had, once all traffic is moved. */
export async function tidyUp(client: VercelClient, place: Place, signal: AbortSignal): Promise<void> {
  const { restoringSince } = await client.memory.read(place.targetProjectId);
  if (restoringSince !== null) await restoreAutoAssign(client, place, signal);
  await restoreTemplate(client, place, signal);
}

/** Moves production's domains to a staged deployment: a pointer, nothing is built. */
async function promote(
  client: VercelClient,
  change: Change,
  main: string,
  signal: AbortSignal,
): Promise<void> {
  const { place, to } = change;
  const project = await requireProduction(client, change, signal);
  await keepAutoAssign(client, place, project, true);
  // Our own gate was passed before: its check at the platform, if there is one, must not hold the domains.
  const verdict = { targetDeploymentId: to, state: "succeeded", text: "Healthy.", detailsUrl: null } as const;
  // If it cannot be told, the domains show it; a promotion that would succeed is not given up for it.
  await report(client, place.targetProjectId, verdict, signal).catch(() => signal.throwIfAborted());
  const request = { projectId: place.targetProjectId, deploymentId: to, ...scopeOf(client) };
  await client.sdk((core, options) => projectsRequestPromote(core, request, options), { signal });
  await confirm(client, change, { main, completed: false }, signal);
}

/**
 * What Vercel does when a preview is promoted is a rebuild with other variables: not what was proven, and not at once.
 * @throws AppError `unprocessable` unless `to` was built for production.
 */
async function requireProduction(client: VercelClient, { place, to }: Change, signal: AbortSignal) {
  const [answer, project] = await Promise.all([
    client.sdk(
      (core, options) => deploymentsGetDeployment(core, { idOrUrl: to, ...scopeOf(client) }, options),
      { signal, read: true },
    ),
    readProject(client, place.targetProjectId, signal),
  ]);
  const { target } = readAnswer(DeploymentAnswer, answer);
  if (target === "production") return project;
  throw new AppError(
    "unprocessable",
    `${to} was built as a ${target ?? "preview"} deployment: to promote it, Vercel would build it anew, and that ` +
      "build would be neither instant nor the one that was checked.",
    { hint: "Deploy the same commit to production; it is built for it, checked, and then promoted." },
  );
}

/**
 * An accepted promotion is a promise; it is done when production's domain points to the deployment. Where the team
 * uses rolling releases itself, the platform makes a release of it: that is completed, as all traffic was asked for.
 */
async function confirm(
  client: VercelClient,
  change: Change,
  { main, completed }: { readonly main: string; readonly completed: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { place, to } = change;
  let isCompleted = completed;
  const deadline = client.clock.monotonicMs() + PROMOTION_DEADLINE_MS;
  let waitMs: number = PROMOTION_POLL_MS.first;
  while ((await readAliasOwner(client, main, signal)) !== to) {
    const [project, release] = await Promise.all([
      readProject(client, place.targetProjectId, signal),
      readRelease(client, place, signal),
    ]);
    if (release?.canary === to && !isCompleted) {
      await completeRelease(client, change, signal);
      isCompleted = true;
    }
    const job = project?.lastAliasRequest;
    if (job?.toDeploymentId === to && job.jobStatus === "failed") {
      throw new AppError("upstream", `The platform could not move production's domains to ${to}.`, {
        hint: "Look at the project's domains at the platform; Signalbox tries again by itself.",
      });
    }
    if (client.clock.monotonicMs() >= deadline) {
      throw new AppError("upstream", `${to} was promoted, but ${main} still shows another after 20 s.`, {
        hint: "The platform may be queueing it behind another change; Signalbox looks again by itself.",
      });
    }
    await client.clock.sleep(waitMs, signal);
    waitMs = Math.min(PROMOTION_POLL_MS.longest, waitMs * PROMOTION_POLL_MS.factor);
  }
}
