import type { HostRoute, Release, Snapshot, TimedRelease } from "../../gateway/index.ts";
import type { CronDefinition } from "../crons/schedule.ts";
import { keptUp } from "../releases/wanted.ts";
import type { AliasKind } from "../rows.ts";
import { draining, type Former } from "./former.ts";
import { gateOfHost, type Protection } from "./host-gate.ts";

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
  /** Run while it serves production. Absent: none. */
  readonly crons?: readonly CronDefinition[];
  /** `production`, a custom environment's id, or `preview`: releases are kept running by project and target. */
  readonly target: string;
  readonly branch: string | null;
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

/** What a project says of the traffic of its hosts. */
export type TrafficSettings = {
  /** Seconds for which a release may be named after it lost its host; 0: never; null: the dock's default. */
  readonly skewMaxAgeS: number | null;
  /** How long visitors may keep a release after a flip, if they have its cookie. 0: not at all, and no cookie. */
  readonly drainMs: number;
  /** Nothing of it is served. */
  readonly paused: boolean;
  /** Which of its hosts ask for a secret; null: none. */
  readonly protection: Protection | null;
  /** SHA-256 of the secrets that open protected hosts, hex. */
  readonly bypass: readonly string[];
};

export const NO_SETTINGS: TrafficSettings = {
  skewMaxAgeS: null,
  drainMs: 0,
  paused: false,
  protection: null,
  bypass: [],
};

/** A host that a project was given. Without branch and environment it is production's. */
export type ProjectDomain = {
  readonly projectId: string;
  /** The host that visitors are sent to instead. */
  readonly redirect: { readonly to: string; readonly status: number } | null;
  readonly gitBranch: string | null;
  readonly environmentId: string | null;
};

/** A host whose requests wait. */
export type HeldHost = {
  readonly id: string;
  readonly projectId: string;
  readonly until: Date;
  readonly maxMs: number;
  readonly maxRequests: number;
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
  /** By host, newest first. */
  readonly former: Map<string, readonly Former[]>;
  /** By project id; absent: nothing but defaults. */
  readonly settings: Map<string, TrafficSettings>;
  /** By host. */
  readonly holds: Map<string, HeldHost>;
  /** By host. */
  readonly domains: Map<string, ProjectDomain>;
  /** Hosts of deployments whose time to be kept is over, and until when that is said. */
  readonly gone: Map<string, Date>;
};

/** So long a visitor is told that the deployment was there. Source: Vercel's recovery period. */
export const GONE_SHOWN_MS = 30 * 24 * 60 * 60_000;

export function settingsOf(state: TrafficState, projectId: string): TrafficSettings {
  return state.settings.get(projectId) ?? NO_SETTINGS;
}

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

/**
 * The gateway's snapshot of a state. Pure. An alias to something that is not READY (any more) has no route.
 * @param at.skewMaxAgeS what holds for projects that say nothing
 */
export function buildSnapshot(state: TrafficState, at: { now: Date; skewMaxAgeS: number }): Snapshot {
  const up = keptUp(state);
  const hosts: Record<string, HostRoute> = {};
  const releases: Record<string, Release> = {};
  for (const release of state.releases.values()) {
    releases[release.id] = {
      id: release.id,
      project: release.project,
      manifest: release.manifest,
      socket: release.socket,
    };
    const own = { targets: [{ release: release.id, weight: 100 }], rollout: null, own: true };
    hosts[release.host] = { ...own, ...gateOfHost(state, release.host, release) };
  }
  for (const [host, alias] of state.aliases) {
    const rollout = alias.kind === "production" ? state.rollouts.get(alias.projectId) : undefined;
    const route =
      rollout && state.releases.has(rollout.canary) && state.releases.has(rollout.stable)
        ? splitRoute(rollout)
        : { targets: [{ release: alias.deploymentId, weight: 100 }], rollout: null };
    if (!route.targets.every((target) => state.releases.has(target.release))) continue;
    const gate = gateOfHost(state, host, state.releases.get(alias.deploymentId));
    hosts[host] = { ...route, ...beyondWeights(state, host, route, { ...at, up }), ...gate };
  }
  const gone = [...state.gone]
    .filter(([host, until]) => until > at.now && !hosts[host])
    .map(([host]) => host);
  return { version: 1, generation: state.generation, hosts, releases, ...(gone.length > 0 ? { gone } : {}) };
}

/** A canary of weight 0 is in the split too: it is reached by those who ask for it. */
function splitRoute(rollout: Rollout): HostRoute {
  const targets = [
    { release: rollout.stable, weight: 100 - rollout.weight },
    { release: rollout.canary, weight: rollout.weight },
  ];
  return { targets, rollout: rollout.id };
}

/** What else a host's route says, and nothing where there is nothing: such hosts are the quickest. */
function beyondWeights(
  state: TrafficState,
  host: string,
  { targets, rollout }: HostRoute,
  at: { now: Date; skewMaxAgeS: number; up: ReadonlySet<string> },
): Omit<Partial<HostRoute>, "targets" | "rollout"> {
  const projectId = state.aliases.get(host)?.projectId ?? "";
  const { skewMaxAgeS, drainMs } = settingsOf(state, projectId);
  const maxAgeMs = (skewMaxAgeS ?? at.skewMaxAgeS) * 1_000;
  const isTarget = (id: string) => targets.some((target) => target.release === id);
  const former = (state.former.get(host) ?? []).filter(
    (one) => state.releases.get(one.deploymentId)?.projectId === projectId && !isTarget(one.deploymentId),
  );
  const kept = draining(former, at.now).map((one) => timed(one, one.drainUntil?.getTime() ?? 0));
  const nameable = former
    .filter((one) => !one.rolledBack && isAnswering(state, one.deploymentId, at.up))
    .map((one) => timed(one, one.supersededAt.getTime() + maxAgeMs))
    .filter((one) => one.untilMs > at.now.getTime());
  const hold = state.holds.get(host);
  return {
    ...(drainMs > 0 && rollout === null ? { sticky: true } : {}),
    ...(kept.length > 0 ? { draining: kept } : {}),
    ...(maxAgeMs > 0 && (nameable.length > 0 || targets.length > 1) ? { nameable } : {}),
    ...(hold && hold.until > at.now ? { hold: holdOf(hold) } : {}),
  };
}

/** Naming a release whose process was stopped would be an error page; it falls through to what is served now. */
function isAnswering(state: TrafficState, id: string, up: ReadonlySet<string>): boolean {
  return state.releases.get(id)?.socket === null || up.has(id);
}

function timed({ deploymentId }: Former, untilMs: number): TimedRelease {
  return { release: deploymentId, untilMs };
}

function holdOf({ id, until, maxMs, maxRequests }: HeldHost): NonNullable<HostRoute["hold"]> {
  return { id, untilMs: until.getTime(), maxMs, maxRequests };
}
