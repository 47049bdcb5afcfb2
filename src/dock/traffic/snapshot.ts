import type { HostRoute, Release, Snapshot } from "../../gateway/index.ts";
import type { AliasKind } from "../rows.ts";

/** A READY deployment as the gateway must know it. */
export type RoutedRelease = {
  readonly id: string;
  readonly projectId: string;
  /** The project's name. */
  readonly project: string;
  /** Immutable host. */
  readonly host: string;
  readonly manifest: string;
  /** Null for a static release. */
  readonly socket: string | null;
  /** `production`, a custom environment's id, or `preview`: releases are kept running by project and target. */
  readonly target: string;
  readonly createdAt: Date;
  readonly readyAt: Date;
  /** When it first served production, or null. */
  readonly promotedAt: Date | null;
};

export type AliasTarget = {
  readonly deploymentId: string;
  readonly projectId: string;
  readonly kind: AliasKind;
};

/** An active rolling release: `weight` percent of production's visitors see the canary. */
export type Rollout = {
  readonly id: string;
  readonly stable: string;
  readonly canary: string;
  readonly weight: number;
};

/** Everything that decides who serves what. A copy in memory of rows; changed only after their commit. */
export type TrafficState = {
  generation: number;
  readonly releases: Map<string, RoutedRelease>;
  /** By host. */
  readonly aliases: Map<string, AliasTarget>;
  /** By project id. */
  readonly rollouts: Map<string, Rollout>;
  /** Ids of the projects whose production does not follow new builds by itself (`autoAssignCustomDomains: false`). */
  readonly manual: Set<string>;
};

/** The host and the release that production of a project is at, or null before its first one. */
export function productionOf(
  state: TrafficState,
  projectId: string,
): { host: string; deploymentId: string } | null {
  for (const [host, alias] of state.aliases) {
    if (alias.kind === "production" && alias.projectId === projectId)
      return { host, deploymentId: alias.deploymentId };
  }
  return null;
}

/** The gateway's snapshot of a state. Pure. An alias to something that is not READY (any more) has no route. */
export function buildSnapshot(state: TrafficState): Snapshot {
  const hosts: Record<string, HostRoute> = {};
  const releases: Record<string, Release> = {};
  for (const release of state.releases.values()) {
    releases[release.id] = {
      id: release.id,
      project: release.project,
      manifest: release.manifest,
      socket: release.socket,
    };
    hosts[release.host] = { targets: [{ release: release.id, weight: 100 }], rollout: null };
  }
  for (const [host, alias] of state.aliases) {
    const rollout = alias.kind === "production" ? state.rollouts.get(alias.projectId) : undefined;
    const route =
      rollout && state.releases.has(rollout.canary) && state.releases.has(rollout.stable)
        ? splitRoute(rollout)
        : { targets: [{ release: alias.deploymentId, weight: 100 }], rollout: null };
    if (route.targets.every((target) => state.releases.has(target.release))) hosts[host] = route;
  }
  return { version: 1, generation: state.generation, hosts, releases };
}

function splitRoute(rollout: Rollout): HostRoute {
  const targets = [
    { release: rollout.stable, weight: 100 - rollout.weight },
    { release: rollout.canary, weight: rollout.weight },
  ].filter((target) => target.weight > 0);
  return { targets, rollout: rollout.id };
}
