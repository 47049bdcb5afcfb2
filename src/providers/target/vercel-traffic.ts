import { aliasesAssignAlias } from "@vercel/sdk/funcs/aliasesAssignAlias.js";
import { aliasesDeleteAlias } from "@vercel/sdk/funcs/aliasesDeleteAlias.js";
import { aliasesGetAlias } from "@vercel/sdk/funcs/aliasesGetAlias.js";
import { projectsRequestRollback } from "@vercel/sdk/funcs/projectsRequestRollback.js";
import { rollingReleaseGetRollingRelease } from "@vercel/sdk/funcs/rollingReleaseGetRollingRelease.js";
import { AppError } from "../../foundation/errors.ts";
import type { Place, Traffic } from "../../targets/target.ts";
import { AliasAnswer, RollingReleaseAnswer } from "./vercel-answers.ts";
import { keepAutoAssign } from "./vercel-auto-assign.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import type { Domains } from "./vercel-domains.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";
import { hostOf } from "./vercel-hosts.ts";
import { readProject } from "./vercel-projects.ts";
import { restoreTemplate } from "./vercel-release-template.ts";

/** So long a rollback waits for what is only worth keeping. */
const KEEP_LIMIT_MS = 2_000;

/** An active rolling release: `canary` gets `percent` of production, `current` the rest. */
export type ActiveRelease = {
  readonly current: string | null;
  readonly canary: string;
  readonly percent: number;
  readonly activeIndex: number;
  readonly stages: readonly { readonly index: number; readonly targetPercentage: number }[];
};

/** Who serves the place: an active rolling release's split (production only), else the owner of the host's alias. */
export async function readTraffic(
  client: VercelClient,
  domains: Domains,
  place: Place,
  signal: AbortSignal,
): Promise<Traffic> {
  const [release, owner] = await Promise.all([
    place.environment === "production" ? readRelease(client, place, signal) : null,
    domains(place, signal).then(([main = ""]) => readAliasOwner(client, main, signal)),
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
  const release = answer === null ? null : readAnswer(RollingReleaseAnswer, answer).rollingRelease;
  if (!release?.canaryDeployment || release.state !== "ACTIVE") return null;
  return {
    current: release.currentDeployment?.id ?? null,
    canary: release.canaryDeployment.id,
    percent: Math.round(release.currentCanaryPercentage ?? release.activeStage?.targetPercentage ?? 0),
    activeIndex: release.activeStage?.index ?? 0,
    stages: release.stages ?? [],
  };
}

/** The deployment that a host points to; null when it points to none. */
export async function readAliasOwner(
  client: VercelClient,
  host: string,
  signal: AbortSignal,
): Promise<string | null> {
  const request = { idOrAlias: host, ...scopeOf(client) };
  const answer = await unlessStatus(
    [404],
    () => client.sdk((core, options) => aliasesGetAlias(core, request, options), { signal, read: true }),
    null,
  );
  return answer === null ? null : (readAnswer(AliasAnswer, answer).deploymentId ?? null);
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
 * Production stays *pinned* afterwards, see `vercel-auto-assign.ts`. What is only kept for later may not hold it up.
 */
export async function rollBack(
  client: VercelClient,
  domains: Domains,
  change: { place: Place; from: string; to: string },
  signal: AbortSignal,
): Promise<void> {
  const { place, to } = change;
  if (place.environment !== "production") return assignHost(client, place, to, signal);
  await keepBeforeRollback(client, place, signal);
  const request = { projectId: place.targetProjectId, deploymentId: to, ...scopeOf(client) };
  try {
    await client.sdk((core, options) => projectsRequestRollback(core, request, options), { signal });
  } catch (error) {
    // The platform refuses to roll back to what already serves; a repeated call must not fail for that.
    if (!(error instanceof AppError) || error.code !== "unprocessable") throw error;
    const traffic = await readTraffic(client, domains, place, signal);
    if (traffic[to] !== 100) throw error;
  }
  const left = await client.memory.read(place.targetProjectId);
  // A promotion that was cut short has nothing to put back any more: it is off now, and pinned.
  if (left.restoringSince !== null)
    await client.memory.write(place.targetProjectId, { restoringSince: null });
  if (left.rolling === null) return;
  // The traffic is back. What is left of the template the watch tidies up: neither its failure nor its silence is one
  // of a rollback.
  const limit = AbortSignal.any([signal, AbortSignal.timeout(KEEP_LIMIT_MS)]);
  await restoreTemplate(client, place, limit).catch(() => {});
}

/** Known from earlier, nobody is asked: a rollback is one request then. */
async function keepBeforeRollback(client: VercelClient, place: Place, signal: AbortSignal): Promise<void> {
  const { autoAssign } = await client.memory.read(place.targetProjectId);
  if (autoAssign !== null) return;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(KEEP_LIMIT_MS)]);
  const project = await readProject(client, place.targetProjectId, limit).catch(() => null);
  if (project !== null) await keepAutoAssign(client, place, project, false);
}
