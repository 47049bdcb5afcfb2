import { type HealthCheck, type HealthPolicy, probeRequest } from "../deployments/index.ts";
import type { FailoverDeps } from "./deps.ts";
import type { FailoverPlace } from "./place.ts";
import type { LiveDeployment } from "./queries.ts";
import { type Sighting, sightingOf } from "./sighting.ts";
import type { Seen } from "./verdict.ts";

/** Everything that bears on whether the primary is well, seen once, all at the same time. */
export async function lookAtPrimary(
  deps: Pick<FailoverDeps, "probe" | "statusPage">,
  place: Pick<FailoverPlace, "policy" | "serving">,
  live: Pick<LiveDeployment, "services">,
  standbyAnswers: boolean,
  signal: AbortSignal,
): Promise<Seen> {
  const { policy, serving } = place;
  const { witnesses, statusPage, timeoutMs } = policy.probe;
  const main = live.services.at(-1);
  const health = { ...(main?.health ?? { checks: [] }), timeoutMs };
  const own = policy.probe.primaryUrl ?? main?.urls[0] ?? null;
  const [hostname, primary, answers, indicator] = await Promise.all([
    serving === "primary" ? sight(deps, { base: policy.url, guarded: true }, health, signal) : null,
    sight(deps, { base: own, guarded: policy.probe.primaryUrl !== null }, health, signal),
    Promise.all(witnesses.map((url) => deps.probe({ type: "http", url, timeoutMs, guarded: true }, signal))),
    statusPage === null ? null : deps.statusPage(statusPage, signal),
  ]);
  return {
    serving,
    hostname,
    primary,
    standbyAnswers,
    witnesses: witnesses.length === 0 ? null : answers.filter(({ status }) => status !== null).length,
    indicator,
  };
}

/** The page itself, where a service is checked by no HTTP request. */
const ANYTHING: HealthCheck = { type: "http", path: "/", expectStatus: [200, 399], contains: null };

async function sight(
  { probe }: Pick<FailoverDeps, "probe">,
  { base, guarded }: { readonly base: string | null; readonly guarded: boolean },
  health: Pick<HealthPolicy, "checks" | "timeoutMs">,
  signal: AbortSignal,
): Promise<Sighting | null> {
  if (base === null) return null;
  const check = health.checks.find((each) => each.type === "http") ?? ANYTHING;
  const result = await probe({ ...probeRequest(base, check, health), guarded }, signal);
  return sightingOf(result, check.type === "http" ? check.expectStatus : [200, 399]);
}
