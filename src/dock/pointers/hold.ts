import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { findEnvironment, type Project } from "../projects/queries.ts";
import type { TrafficState } from "../traffic/snapshot.ts";

export const MAX_HOLD_MS = 60_000;
export const MAX_HOLD_REQUESTS = 10_000;
/** How long the answer waits for the requests that were under way. */
const DRAIN_MS = 5_000;
const POLL_MS = 50;

export type HoldTarget = {
  readonly environment?: string | undefined;
  readonly hosts?: readonly string[] | undefined;
};

export type HoldAnswer = {
  /** The hosts whose requests wait. */
  readonly hosts: readonly string[];
  /** When the hold ends by itself, milliseconds since 1970; null when no host is held. */
  readonly until: number | null;
  /** Requests that still run; WebSockets and event streams, which end by themselves only, are not among them. */
  readonly inFlight: number;
  readonly streams: number;
};

/**
 * Lets the requests of some hosts wait at the gateway. Resolves once no new one gets through and those under way have
 * ended, or 5 s have passed: `inFlight` tells. Again: longer, from now on. Immutable hosts are never held, so that
 * probes get through.
 * @throws AppError `conflict` for a host of another project, `unavailable` while the gateway is away (nothing is held
 *   then)
 */
export async function holdHosts(
  dock: Dock,
  project: Project,
  which: HoldTarget,
  limits: { maxMs: number; maxRequests: number },
): Promise<HoldAnswer> {
  const environment = await targetNamed(dock, project, which.environment);
  let hosts: readonly string[] = [];
  const until = new Date(dock.clock.now().getTime() + limits.maxMs);
  const generation = await dock.traffic.change((state) => {
    hosts = hostsOf(state, project, { environment, hosts: which.hosts });
    const held = hosts.map((host) => {
      const id = state.holds.get(host)?.id ?? dock.ids("hold");
      return { host, id, projectId: project.id, until, ...limits };
    });
    return { setHolds: held };
  });
  await dock.publisher.served(generation).catch(async (error: unknown) => {
    await dock.traffic.change(() => ({ removeHolds: hosts }));
    throw error;
  });
  const deadlineMs = dock.clock.monotonicMs() + DRAIN_MS;
  let running = await runningAt(dock, hosts);
  while (running.inFlight > 0 && dock.clock.monotonicMs() < deadlineMs) {
    await dock.clock.sleep(POLL_MS);
    running = await runningAt(dock, hosts);
  }
  return { hosts, until: hosts.length > 0 ? until.getTime() : null, ...running };
}

/** Lifts holds: all of the project's unless some are named. None there: no error. Resolves once the gateway knows. */
export async function releaseHosts(dock: Dock, project: Project, which: HoldTarget): Promise<string[]> {
  const environment = await targetNamed(dock, project, which.environment);
  let hosts: string[] = [];
  const generation = await dock.traffic.change((state) => {
    const isAll = which.environment === undefined && which.hosts === undefined;
    const named = new Set(isAll ? [] : hostsOf(state, project, { environment, hosts: which.hosts }));
    hosts = [...state.holds]
      .filter(([host, hold]) => hold.projectId === project.id && (isAll || named.has(host)))
      .map(([host]) => host);
    return { removeHolds: hosts };
  });
  await dock.publisher.served(generation);
  return hosts;
}

/** What is held now. */
export async function holdsOf(dock: Dock, project: Project) {
  const now = dock.clock.now();
  const held = [...dock.traffic.state.holds].filter(
    ([, hold]) => hold.projectId === project.id && hold.until > now,
  );
  const holds = held.map(([host, { id, until, maxMs, maxRequests }]) => {
    return { host, id, until: until.getTime(), maxMs, maxRequests };
  });
  return { holds, ...(await runningAt(dock, [...held.map(([host]) => host)])) };
}

/** What `environment` stands for in a release's `target`; undefined when none is asked for. */
async function targetNamed(dock: Dock, project: Project, name: string | undefined) {
  if (name === undefined || name === "production" || name === "preview") return name;
  const found = await findEnvironment(dock.db, project.id, name);
  if (found) return found.id;
  throw new AppError(
    "bad_request",
    `The project "${project.name}" has no environment "${name.slice(0, 60)}".`,
    {
      hint: "Name production, preview, or a custom environment of the project.",
    },
  );
}

/** The hosts that point to the project's releases; those that nothing points to have no requests to hold. */
function hostsOf(
  state: TrafficState,
  project: Project,
  which: { environment: string | undefined; hosts: readonly string[] | undefined },
): string[] {
  if (which.environment === undefined && which.hosts === undefined) {
    throw new AppError("bad_request", "Neither an environment nor hosts are named.", {
      hint: 'Send {"environment": "production"} or {"hosts": [...]}.',
    });
  }
  const named = new Set(which.hosts?.map((host) => host.toLowerCase()));
  for (const host of named) {
    const alias = state.aliases.get(host);
    if (alias && alias.projectId !== project.id) {
      throw new AppError("conflict", `The host ${host} belongs to another project.`);
    }
  }
  return [...state.aliases]
    .filter(([host, alias]) => {
      if (alias.projectId !== project.id) return false;
      if (named.has(host)) return true;
      const target = state.releases.get(alias.deploymentId)?.target;
      return which.environment !== undefined && target === which.environment;
    })
    .map(([host]) => host);
}

/** The work of every release that these hosts send somebody to. A release may have other hosts as well. */
async function runningAt(
  dock: Dock,
  hosts: readonly string[],
): Promise<Pick<HoldAnswer, "inFlight" | "streams">> {
  if (hosts.length === 0) return { inFlight: 0, streams: 0 };
  const { state } = dock.traffic;
  const releases = new Set<string>();
  for (const host of hosts) {
    const alias = state.aliases.get(host);
    if (alias === undefined) continue;
    const rollout = alias.kind === "production" ? state.rollouts.get(alias.projectId) : undefined;
    for (const former of state.former.get(host) ?? []) releases.add(former.deploymentId);
    for (const id of [alias.deploymentId, rollout?.canary]) if (id) releases.add(id);
  }
  const counters = await dock.link.counters();
  let inFlight = 0;
  let streams = 0;
  for (const id of releases) {
    streams += counters[id]?.streams ?? 0;
    inFlight += (counters[id]?.inFlight ?? 0) - (counters[id]?.streams ?? 0);
  }
  return { inFlight, streams };
}
