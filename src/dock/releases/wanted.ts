import type { TrafficState } from "../traffic/snapshot.ts";

/** Of each project and target, so many of the newest releases stay up: a rollback to one of them starts nothing. */
const KEPT_UP = 3;
/** A release that was just built is up for whoever is about to check and promote it. */
const FRESH_MS = 10 * 60_000;

/** The server releases that must be running. Pure. */
export function wantedReleases(state: TrafficState, now: Date): Set<string> {
  const wanted = new Set<string>();
  for (const alias of state.aliases.values()) wanted.add(alias.deploymentId);
  for (const rollout of state.rollouts.values()) wanted.add(rollout.stable).add(rollout.canary);
  const newest = [...state.releases.values()].sort((a, b) => b.readyAt.getTime() - a.readyAt.getTime());
  const counts = new Map<string, number>();
  for (const release of newest) {
    const group = `${release.projectId} ${release.target}`;
    const count = (counts.get(group) ?? 0) + 1;
    counts.set(group, count);
    const fresh = now.getTime() - release.readyAt.getTime() < FRESH_MS;
    if (count <= KEPT_UP || fresh) wanted.add(release.id);
  }
  for (const id of wanted) if (!state.releases.get(id)?.socket) wanted.delete(id);
  return wanted;
}
