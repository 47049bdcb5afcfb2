import { aliasesAssignAlias } from "@vercel/sdk/funcs/aliasesAssignAlias.js";
import { aliasesDeleteAlias } from "@vercel/sdk/funcs/aliasesDeleteAlias.js";
import { aliasesGetAlias } from "@vercel/sdk/funcs/aliasesGetAlias.js";
import { projectsRequestRollback } from "@vercel/sdk/funcs/projectsRequestRollback.js";
import { rollingReleaseGetRollingRelease } from "@vercel/sdk/funcs/rollingReleaseGetRollingRelease.js";
import { AppError } from "../../foundation/errors.ts";
import type { Place, Traffic } from "../../targets/target.ts";
import { AliasAnswer, RollingReleaseAnswer } from "./vercel-answers.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { unlessStatus } from "./vercel-failures.ts";
import { hostOf } from "./vercel-hosts.ts";

/** An active rolling release: `canary` gets `percent` of production, `current` the rest. */
export type ActiveRelease = {
  readonly current: string | null;
  readonly canary: string;
  readonly percent: number;
  readonly activeIndex: number;
  readonly stages: readonly { readonly index: number; readonly targetPercentage: number }[];
};

/** Who serves the place: an active rolling release's split (production only), else the owner of the host's alias. */
export async function readTraffic(client: VercelClient, place: Place, signal: AbortSignal): Promise<Traffic> {
  const [release, owner] = await Promise.all([
    place.environment === "production" ? readRelease(client, place, signal) : null,
    readAliasOwner(client, place, signal),
  ]);
  if (release === null) return owner === null ? {} : { [owner]: 100 };
  if (release.current === null || release.percent >= 100) return { [release.canary]: 100 };
  return { [release.current]: 100 - release.percent, [release.canary]: release.percent };
}

/** Null when none is active, or the plan has no rolling releases. */
export async function readRelease(
  client: VercelClient,
  place: Place,
  signal: AbortSignal,
): Promise<ActiveRelease | null> {
  const answer = await unlessStatus(
    [400, 402, 403, 404],
    () =>
      client.sdk(
        (core, options) =>
          rollingReleaseGetRollingRelease(
            core,
            { idOrName: place.targetProjectId, state: "ACTIVE", ...scopeOf(client) },
            options,
          ),
        { signal, read: true },
      ),
    null,
  );
  const release = answer === null ? null : RollingReleaseAnswer.parse(answer.body).rollingRelease;
  if (!release?.canaryDeployment || release.state !== "ACTIVE") return null;
  return {
    current: release.currentDeployment?.id ?? null,
    canary: release.canaryDeployment.id,
    percent: Math.round(release.currentCanaryPercentage ?? release.activeStage?.targetPercentage ?? 0),
    activeIndex: release.activeStage?.index ?? 0,
    stages: release.stages ?? [],
  };
}

/** The deployment that the place's host points to; null when it points to none. */
export async function readAliasOwner(
  client: VercelClient,
  place: Place,
  signal: AbortSignal,
): Promise<string | null> {
  const request = { idOrAlias: hostOf(place, client.options.domain), ...scopeOf(client) };
  const answer = await unlessStatus(
    [404],
    () => client.sdk((core, options) => aliasesGetAlias(core, request, options), { signal, read: true }),
    null,
  );
  return answer === null ? null : (AliasAnswer.parse(answer.body).deploymentId ?? null);
}

/** Points the place's host at a deployment. Idempotent. */
export async function assignHost(
  client: VercelClient,
  place: Place,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  const request = {
    id: to,
    ...scopeOf(client),
    requestBody: { alias: hostOf(place, client.options.domain) },
  };
  await client.sdk((core, options) => aliasesAssignAlias(core, request, options), { signal });
}

/** Takes the place's host away. One that is not there is done. */
export async function vacate(client: VercelClient, place: Place, signal: AbortSignal): Promise<void> {
  if (place.environment === "production") {
    throw new AppError("unprocessable", `The host of ${place.project} in production cannot be taken away.`, {
      hint: "Only previews and staging can be vacated; delete the project at the target to end its production.",
    });
  }
  const request = { aliasId: hostOf(place, client.options.domain), ...scopeOf(client) };
  await unlessStatus(
    [404],
    () => client.sdk((core, options) => aliasesDeleteAlias(core, request, options), { signal }),
    null,
  );
}

/**
 * All traffic back to `to` by a single request: an instant rollback in production (it also aborts an active rolling
 * release), a moved alias elsewhere.
 *
 * Production stays *pinned* afterwards, as after every instant rollback of the platform: `autoAssignCustomDomains` is
 * false until the next promotion, so that a push through Vercel's own git integration cannot undo the rollback.
 */
export async function rollBack(
  client: VercelClient,
  change: { place: Place; from: string; to: string },
  signal: AbortSignal,
): Promise<void> {
  const { place, to } = change;
  if (place.environment !== "production") return assignHost(client, place, to, signal);
  const request = { projectId: place.targetProjectId, deploymentId: to, ...scopeOf(client) };
  try {
    await client.sdk((core, options) => projectsRequestRollback(core, request, options), { signal });
  } catch (error) {
    // The platform refuses to roll back to what already serves; a repeated call must not fail for that.
    if (!(error instanceof AppError) || error.code !== "unprocessable") throw error;
    const traffic = await readTraffic(client, place, signal);
    if (traffic[to] !== 100) throw error;
  }
}
