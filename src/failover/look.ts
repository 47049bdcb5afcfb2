import { type HealthCheck, type HealthPolicy, probeRequest } from "../deployments/index.ts";
import type { FailoverDeps } from "./deps.ts";
import type { FailoverPlace } from "./place.ts";
import type { FailoverPolicy } from "./policy.ts";
import type { LiveDeployment } from "./queries.ts";
import { type Sighting, sightingOf } from "./sighting.ts";
import type { Standby } from "./standby.ts";
import type { Seen } from "./verdict.ts";

/** Everything that bears on whether the primary is well, seen once, all at the same time. */
export async function lookAtPrimary(
  deps: Pick<FailoverDeps, "probe" | "statusPage">,
  place: Pick<FailoverPlace, "projectId" | "policy" | "serving">,
  live: Pick<LiveDeployment, "services">,
  standby: Pick<Standby, "answeringSince" | "mirrored"> | null,
  signal: AbortSignal,
): Promise<Seen> {
  const { projectId, policy, serving } = place;
  const { witnesses, statusPage, timeoutMs } = policy.probe;
  const main = live.services.at(-1);
  const health = { ...(main?.health ?? { checks: [] }), timeoutMs };
  const own = ownAddress(policy, main?.urls ?? []);
  const user = { guardedFor: projectId };
  // What the target gave the release is no user's.
  const whose = policy.probe.primaryUrl === null ? {} : user;
  const [hostname, primary, answers, indicator] = await Promise.all([
    serving === "primary" ? sight(deps, { base: policy.url, ...user }, health, signal) : null,
    sight(deps, { base: own, ...whose, not: standby }, health, signal),
    Promise.all(witnesses.map((url) => deps.probe({ type: "http", url, timeoutMs, ...user }, signal))),
    statusPage === null ? null : deps.statusPage({ projectId, url: statusPage }, signal),
  ]);
  return {
    serving,
    hostname,
    primary,
    standbyAnswers: standby?.answeringSince != null,
    witnesses: witnesses.length === 0 ? null : answers.filter(({ status }) => status !== null).length,
    indicator,
  };
}

/**
 * Where the release is met at the platform, whoever serves the hostname. The hostname is never it: while the standby
 * serves, that leads to the standby. The platform's own name is the last of a project's.
 */
function ownAddress({ hostname, probe }: FailoverPolicy, urls: readonly string[]): string | null {
  const known = probe.primaryUrl === null ? urls : [probe.primaryUrl];
  return known.findLast((url) => new URL(url).hostname !== hostname) ?? null;
}

/** The page itself, where a service is checked by no HTTP request. */
const ANYTHING: HealthCheck = { type: "http", path: "/", expectStatus: [200, 399], contains: null };

async function sight(
  { probe }: Pick<FailoverDeps, "probe">,
  {
    base,
    not,
    ...guard
  }: {
    readonly base: string | null;
    readonly guardedFor?: string;
    /** An answer of its releases is not one of whom is looked for. */
    readonly not?: Pick<Standby, "mirrored"> | null;
  },
  health: Pick<HealthPolicy, "checks" | "timeoutMs">,
  signal: AbortSignal,
): Promise<Sighting | null> {
  if (base === null) return null;
  const check = health.checks.find((each) => each.type === "http") ?? ANYTHING;
  const result = await probe({ ...probeRequest(base, check, health), ...guard }, signal);
  const { deploymentHeader } = result;
  if (not?.mirrored.some(({ targetDeploymentId }) => targetDeploymentId === deploymentHeader)) return null;
  return sightingOf(result, check.type === "http" ? check.expectStatus : [200, 399]);
}
