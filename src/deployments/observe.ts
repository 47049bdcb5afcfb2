import { AppError } from "../foundation/errors.ts";
import type { Target, TargetDeployment, Traffic } from "../targets/target.ts";
import type { HealthPolicy } from "./plan-source.ts";
import type { Metrics, Probe, ProbeResult } from "./ports.ts";
import { NOTHING_OBSERVED, type Observed } from "./reconcile.ts";
import { type Deployment, placeOf } from "./record.ts";
import type { Store } from "./store.ts";

export type ObserveDeps = {
  readonly store: Pick<Store, "blockedBy">;
  readonly target: Target;
  readonly probe: Probe;
  readonly metrics: Metrics;
};

/** Looks at what the deployment's state calls for, and at nothing else. Throws what the ports throw. */
export async function observe(
  deps: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Observed> {
  switch (deployment.state) {
    case "queued":
      return { ...NOTHING_OBSERVED, blockedBy: await deps.store.blockedBy(deployment) };
    case "building":
      return { ...NOTHING_OBSERVED, build: await observeBuild(deps, deployment, signal) };
    case "verifying":
      return { ...NOTHING_OBSERVED, probe: await probeRelease(deps, deployment, signal) };
    case "releasing":
    case "rolling_back":
      return { ...NOTHING_OBSERVED, traffic: await observeTraffic(deps, deployment, signal) };
    case "shifting":
      return observeShift(deps, deployment, signal);
    default:
      return NOTHING_OBSERVED;
  }
}

async function observeBuild(
  { target }: ObserveDeps,
  { targetDeploymentId }: Deployment,
  signal: AbortSignal,
): Promise<TargetDeployment | "gone" | null> {
  if (targetDeploymentId === null) return null;
  try {
    return await target.observe(targetDeploymentId, signal);
  } catch (error) {
    if (error instanceof AppError && error.code === "not_found") return "gone";
    throw error;
  }
}

async function observeTraffic(
  { target }: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Traffic | null> {
  const place = placeOf(deployment);
  return place && target.traffic(place, signal);
}

/** The release on its own address, past all routing. */
async function probeRelease(
  { probe }: ObserveDeps,
  { url, plan }: Deployment,
  signal: AbortSignal,
): Promise<ProbeResult | null> {
  return url === null || !plan ? null : probeAt(probe, url, plan.health, signal);
}

function probeAt(
  probe: Probe,
  base: string,
  health: HealthPolicy,
  signal: AbortSignal,
): Promise<ProbeResult> {
  return probe(new URL(health.path, base).href, { timeoutMs: health.timeoutMs, signal });
}

async function observeShift(
  deps: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Observed> {
  const { targetDeploymentId, plan, urls } = deployment;
  const [traffic, probe, counters] = await Promise.all([
    observeTraffic(deps, deployment, signal),
    probeRelease(deps, deployment, signal),
    plan?.strategy.kind === "canary" ? deps.metrics.readCounters() : null,
  ]);
  const main = urls[0];
  const whole = traffic?.[targetDeploymentId ?? ""] === 100;
  const publicProbe = whole && plan && main ? await probeAt(deps.probe, main, plan.health, signal) : null;
  const own =
    counters && targetDeploymentId ? (counters[targetDeploymentId] ?? { requests: 0, errors5xx: 0 }) : null;
  return { ...NOTHING_OBSERVED, traffic, probe, publicProbe, counters: own };
}
