import type { CountersOf, ProbeResult, Unwell } from "../../src/deployments/index.ts";
import { LATENCY_BOUNDS_MS, type ServiceCounters } from "../../src/rollouts/index.ts";
import { appOf, type SimulatedService, type World } from "./world.ts";

/** Visitors a second over a whole place. */
const VISITORS = 50;

export function serviceOfRelease(world: World, release: string): SimulatedService {
  const built = world.target.builds.get(release);
  const [deploymentId = "", , , name] = built?.input.key.split(":") ?? [];
  const service = appOf(world, deploymentId).services.find((each) => each.name === name);
  if (!service) throw new Error(`no service of ${release}`);
  return service;
}

/** One probe of a release's own address, or of the public host of a place. */
export function probe(world: World, url: string): ProbeResult {
  const host = new URL(url).hostname.replace(".localhost", "");
  const isOwn = host.startsWith("dpl_");
  const release = isOwn ? host : servingAt(world, host);
  if (!release) return { ok: false, status: null, latencyMs: 1, error: "refused" };
  const status = isHealthy(world, release) ? 200 : 500;
  if (isOwn) {
    if (status !== 200) world.healthySince.delete(release);
    else if (!world.healthySince.has(release)) world.healthySince.set(release, world.time.now);
  }
  return { ok: true, status, latencyMs: 1, deploymentHeader: release };
}

/** What a prober would say of a release that turns bad with traffic: it needs a while to be sure. */
export function readUnwell(world: World, deploymentId: string): Unwell[] {
  return [...world.served].flatMap(([release, at]) => {
    const since = at + 3_000;
    const built = world.target.builds.get(release);
    if (!built?.input.key.startsWith(`${deploymentId}:`) || world.time.now < since + 2_000) return [];
    if (!["faulty", "turns_bad"].includes(serviceOfRelease(world, release).health)) return [];
    return [{ name: "web", of: "service", since: new Date(since), message: "status 500" }];
  });
}

function servingAt(world: World, host: string): string | undefined {
  for (const [place, traffic] of world.target.places) {
    if (place.replaceAll("/", "-") === host) return Object.keys(traffic).find((id) => (traffic[id] ?? 0) > 0);
  }
  return undefined;
}

function isHealthy(world: World, release: string): boolean {
  const built = world.target.builds.get(release);
  if (!built || built.retired) return false;
  const { health } = serviceOfRelease(world, release);
  if (health === "bad") return false;
  if (health === "turns_bad") return !world.served.has(release);
  return health !== "slow" || built.looks > 2;
}

/** Time passes: visitors come and are answered. */
export function countTraffic(world: World, ms: number): void {
  for (const traffic of world.target.places.values()) {
    for (const [release, weight] of Object.entries(traffic)) {
      const before = world.counters.get(release) ?? { requests: 0, errors5xx: 0 };
      const requests = (VISITORS * weight * ms) / 100_000;
      const isBad = !isHealthy(world, release) || serviceOfRelease(world, release).health === "faulty";
      const errors5xx = before.errors5xx + (isBad ? requests : 0);
      world.counters.set(release, { requests: before.requests + requests, errors5xx });
    }
  }
}

export function readCounters(world: World, services: readonly CountersOf[]): ServiceCounters[] {
  const read = (release: string | null) => {
    const counted = release === null ? undefined : world.counters.get(release);
    if (!counted) return null;
    const requests = Math.floor(counted.requests);
    const errors5xx = Math.floor(counted.errors5xx);
    const latency = [...LATENCY_BOUNDS_MS.map(() => requests), requests];
    return { requests, errors5xx, latency, latencySumMs: requests };
  };
  return services.map(({ service, canary, baseline }) => ({
    service,
    canary: read(canary),
    baseline: read(baseline),
  }));
}
