import { draining } from "../traffic/former.ts";
import type { TrafficState } from "../traffic/snapshot.ts";

/** Of each project and target, so many of the newest releases stay up: a rollback to one of them starts nothing. */
const KEPT_UP = 3;
/** A release that was just built is up for whoever is about to check and promote it. */
const FRESH_MS = 10 * 60_000;

/** The server releases that must be running. Pure. */
export function wantedReleases(state: TrafficState, now: Date): Set<string> {
  const wanted = keptUp(state);
  for (const former of state.former.values())
    for (const one of draining(former, now)) wanted.add(one.deploymentId);
  for (const release of state.releases.values()) {
    if (now.getTime() - release.readyAt.getTime() < FRESH_MS) wanted.add(release.id);
  }
  return withProcess(state, wanted);
}

/**
 * Those of them that stay up whatever the time is: what a host or a rolling release points to, the release that
 * production and each environment would go back to (however many newer builds there are), and the newest few.
 */
export function keptUp(state: TrafficState): Set<string> {
  const kept = new Set<string>();
  for (const [host, alias] of state.aliases) {
    kept.add(alias.deploymentId);
    if (alias.kind !== "production" && alias.kind !== "environment") continue;
    const previous = state.former.get(host)?.find((one) => !one.rolledBack);
    if (previous) kept.add(previous.deploymentId);
  }
  for (const rollout of state.rollouts.values()) kept.add(rollout.stable).add(rollout.canary);
  const newest = [...state.releases.values()].sort((a, b) => b.readyAt.getTime() - a.readyAt.getTime());
  const counts = new Map<string, number>();
  for (const release of newest) {
    const group = `${release.projectId} ${release.target}`;
    const count = (counts.get(group) ?? 0) + 1;
    counts.set(group, count);
    if (count <= KEPT_UP) kept.add(release.id);
  }
  return withProcess(state, kept);
}

function withProcess(state: TrafficState, ids: Set<string>): Set<string> {
  for (const id of ids) if (!state.releases.get(id)?.socket) ids.delete(id);
  return ids;
}
