import { draining, FORMER_KEPT } from "../traffic/former.ts";
import { settingsOf, type TrafficState } from "../traffic/snapshot.ts";

/**
 * The releases that must not go, however old they are: those that a host or an active rolling release points to, those
 * whose visitors are still kept, those that a page which is open may name (skew protection), and the last few of each
 * host, which a rollback may go back to. Pure.
 * @param at.skewMaxAgeS what holds for projects that say nothing
 */
export function neededReleases(state: TrafficState, at: { now: Date; skewMaxAgeS: number }): Set<string> {
  const needed = new Set<string>();
  for (const { deploymentId } of state.aliases.values()) needed.add(deploymentId);
  for (const { stable, canary } of state.rollouts.values()) needed.add(stable).add(canary);
  for (const [host, former] of state.former) {
    const { skewMaxAgeS } = settingsOf(state, state.aliases.get(host)?.projectId ?? "");
    const since = at.now.getTime() - (skewMaxAgeS ?? at.skewMaxAgeS) * 1_000;
    const lately = former.slice(0, FORMER_KEPT);
    const nameable = former.filter((one) => !one.rolledBack && one.supersededAt.getTime() > since);
    for (const one of [...lately, ...draining(former, at.now), ...nameable]) needed.add(one.deploymentId);
  }
  return needed;
}
