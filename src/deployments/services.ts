import type { Traffic } from "../targets/target.ts";
import type { ServicePreparation } from "./plan-source.ts";
import type { Deployment, ServiceRelease } from "./record.ts";

/** The services of a deployment as `preparing` finds them. One that the live one has already keeps its release. */
export function planServices(
  prepared: readonly ServicePreparation[],
  live: Pick<Deployment, "services"> | null,
  force: boolean,
): ServiceRelease[] {
  return prepared.map((service) => {
    const { name, targetProject, targetProjectId, inputs, health, platform } = service;
    const fresh: ServiceRelease = {
      ...UNBUILT,
      name,
      targetProject,
      targetProjectId,
      inputs,
      health,
      ...(platform?.checks ? { checked: true } : {}),
    };
    // Of a single service a new release is made, out of the same artifact: asked for again, it is deployed again.
    if (force || prepared.length === 1) return fresh;
    const serving = live?.services.find((each) => each.name === name);
    const same = serving?.inputs === inputs && serving.targetProjectId === targetProjectId;
    if (!serving || !same || serving.targetDeploymentId === null) return fresh;
    const { targetDeploymentId, url, kind, weight } = serving;
    return { ...fresh, unchanged: true, built: true, reused: true, targetDeploymentId, url, kind, weight };
  });
}

const UNBUILT = {
  unchanged: false,
  targetDeploymentId: null,
  url: null,
  urls: [],
  kind: null,
  built: false,
  reused: false,
  buildStartedAtMs: null,
  verification: null,
  opened: false,
  weight: 0,
  previousTargetId: null,
  previousUrl: null,
  rollbackToTargetId: null,
  rollbackToUrl: null,
} as const;

/** Those whose traffic moves. */
export function movingServices({ services }: Pick<Deployment, "services">): readonly ServiceRelease[] {
  return services.filter((service) => !service.unchanged);
}

/** The one that visitors open: the last, which takes traffic when all that it needs has it. */
export function mainService({ services }: Pick<Deployment, "services">): ServiceRelease | null {
  return services.at(-1) ?? null;
}

export function withService(
  services: readonly ServiceRelease[],
  name: string,
  patch: Partial<ServiceRelease>,
): readonly ServiceRelease[] {
  return services.map((service) => (service.name === name ? { ...service, ...patch } : service));
}

/** The lowest weight of the services that move; all of it when none does. */
export function lowestWeight(services: readonly ServiceRelease[]): number {
  return Math.min(100, ...services.filter((each) => !each.unchanged).map((each) => each.weight));
}

/** With the weights that the target reports. */
export function withTraffic(
  services: readonly ServiceRelease[],
  traffic: Readonly<Record<string, Traffic>>,
): readonly ServiceRelease[] {
  return services.map((service) => {
    const seen = traffic[service.name];
    return seen ? { ...service, weight: seen[service.targetDeploymentId ?? ""] ?? 0 } : service;
  });
}

/** True when both are the same releases: going from one to the other would change nothing. */
export function sameReleases(a: Pick<Deployment, "services">, b: Pick<Deployment, "services">): boolean {
  const ids = (each: Pick<Deployment, "services">) =>
    each.services.map(({ name, targetDeploymentId }) => `${name} ${targetDeploymentId}`).sort();
  return JSON.stringify(ids(a)) === JSON.stringify(ids(b));
}

/** The release that serves a place beside this one: who has most of the traffic. */
export function mainRelease(traffic: Traffic, besides: string | null): string | null {
  const others = Object.entries(traffic).filter(([id, weight]) => id !== besides && weight > 0);
  return others.sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}
