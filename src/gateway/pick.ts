import type { HostRoute, Snapshot, WeightedRelease } from "./snapshot.ts";

/** What a valid sticky cookie says about its visitor. */
export type Pin = {
  /** The visitor's id: random, and kept when a new rollout begins. */
  readonly visitor: string;
  readonly rollout: string;
  readonly release: string;
};

export type Picked = {
  readonly release: string;
  /** True: the answer must carry a new sticky cookie. */
  readonly stick: boolean;
};

/** Buckets of visitors: one hundredth of a percent each. */
export const BUCKETS = 10_000;

/**
 * Chooses the release that answers one request. Pure: the same input always gives the same release.
 *
 * With one target there is nothing to choose and no cookie. With several, the visitor's bucket decides, and the
 * last target (the canary) owns the lowest buckets: raising its weight only ever moves visitors towards it. A
 * visitor whose cookie names a later target than the bucket gives keeps it, so nobody is moved back either when
 * weights are lowered. A cookie of another rollout, or one that names a release without traffic, does not bind.
 *
 * @param host lower case, without port
 * @param pin the visitor's verified cookie, or null
 * @param bucketOf the visitor's bucket, 0 to 9,999, under the salt given; asked only when there is a split
 * @returns null when no such host is served
 */
export function pick(
  host: string,
  pin: Pin | null,
  snapshot: Pick<Snapshot, "hosts">,
  bucketOf: (rollout: string) => number,
): Picked | null {
  const route = Object.hasOwn(snapshot.hosts, host) ? snapshot.hosts[host] : undefined;
  return route === undefined ? null : pickOfRoute(route, pin, bucketOf);
}

/** `pick` for a host that is already known. */
export function pickOfRoute(
  route: HostRoute,
  pin: Pin | null,
  bucketOf: (rollout: string) => number,
): Picked | null {
  const { targets, rollout } = route;
  const first = targets[0];
  if (first === undefined) return null;
  if (targets.length === 1 || rollout === null) return { release: first.release, stick: false };
  const assigned = targetOfBucket(targets, bucketOf(rollout));
  const pinned = pin !== null && pin.rollout === rollout ? pinnedTarget(targets, pin.release) : -1;
  const chosen = targets[Math.max(assigned, pinned)] ?? first;
  return { release: chosen.release, stick: pin?.rollout !== rollout || pin.release !== chosen.release };
}

/** The index of the target that owns a bucket, counted from the last target, which owns the lowest buckets. */
function targetOfBucket(targets: readonly WeightedRelease[], bucket: number): number {
  let upTo = 0;
  for (let index = targets.length - 1; index > 0; index--) {
    upTo += (targets[index]?.weight ?? 0) * (BUCKETS / 100);
    if (bucket < upTo) return index;
  }
  return 0;
}

/** -1 when the release is not a target, or one without traffic. */
function pinnedTarget(targets: readonly WeightedRelease[], release: string): number {
  return targets.findIndex((target) => target.release === release && target.weight > 0);
}
