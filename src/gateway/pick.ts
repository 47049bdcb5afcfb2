import type { HostRoute, Snapshot, TimedRelease, WeightedRelease } from "./snapshot.ts";

/** What a valid sticky cookie says about its visitor. */
export type Pin = {
  /** The visitor's id: random, and kept when a new rollout begins. */
  readonly visitor: string;
  readonly rollout: string;
  readonly release: string;
};

/** What one request brings along for the choice. */
export type Asked = {
  /** The visitor's verified cookie, or null. */
  readonly pin: Pin | null;
  /** Into the canary, or out of it, whatever the bucket says; null: no wish. */
  readonly override: "always" | "never" | null;
  /** The release that the request names (skew protection), or null. */
  readonly named: string | null;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
};

export type Picked = {
  readonly release: string;
  /** True: the answer must carry a new sticky cookie. */
  readonly stick: boolean;
};

/** Buckets of visitors: one hundredth of a percent each. */
export const BUCKETS = 10_000;

/**
 * Chooses the release that answers one request. Pure: the same input always gives the same release. The first rule
 * that applies wins:
 *
 * 1. A release that the request names, if the host's route allows it.
 * 2. In a split, the visitor's wish: `always` is the last target (the canary), `never` the first. No cookie is set.
 * 3. A release that is drained, for visitors whose cookie names it.
 * 4. In a split, the visitor's bucket. The last target owns the lowest buckets: raising its weight only ever moves
 *    visitors towards it. A visitor whose cookie names a later target than the bucket gives keeps it, so nobody is
 *    moved back either when weights are lowered. A cookie of another rollout, or one that names a release without
 *    traffic, does not bind.
 * 5. The only target.
 *
 * @param host lower case, without port
 * @param bucketOf the visitor's bucket, 0 to 9,999, under the salt given; asked only when there is a split
 * @returns null when no such host is served
 */
export function pick(
  host: string,
  asked: Asked,
  snapshot: Pick<Snapshot, "hosts">,
  bucketOf: (rollout: string) => number,
): Picked | null {
  const route = Object.hasOwn(snapshot.hosts, host) ? snapshot.hosts[host] : undefined;
  return route === undefined ? null : pickOfRoute(route, asked, bucketOf);
}

/** `pick` for a host that is already known. */
export function pickOfRoute(
  route: HostRoute,
  asked: Asked,
  bucketOf: (rollout: string) => number,
): Picked | null {
  const { targets, rollout } = route;
  const { pin, override, named, nowMs } = asked;
  const first = targets[0];
  if (first === undefined) return null;
  if (named !== null && mayBeNamed(route, named, nowMs)) return { release: named, stick: false };
  const isSplit = targets.length > 1 && rollout !== null;
  if (isSplit && override !== null) {
    const wished = override === "always" ? (targets.at(-1) ?? first) : first;
    return { release: wished.release, stick: false };
  }
  if (pin !== null && isIn(route.draining, pin.release, nowMs)) return { release: pin.release, stick: false };
  if (!isSplit)
    return { release: first.release, stick: route.sticky === true && pin?.release !== first.release };
  const assigned = targetOfBucket(targets, bucketOf(rollout));
  const pinned = pin !== null && pin.rollout === rollout ? pinnedTarget(targets, pin.release) : -1;
  const chosen = targets[Math.max(assigned, pinned)] ?? first;
  return { release: chosen.release, stick: pin?.rollout !== rollout || pin.release !== chosen.release };
}

function mayBeNamed({ targets, nameable }: HostRoute, release: string, nowMs: number): boolean {
  if (nameable === undefined) return false;
  return targets.some((target) => target.release === release) || isIn(nameable, release, nowMs);
}

/** Whether a release is in a list, and its time is not over. */
export function isIn(list: readonly TimedRelease[] | undefined, release: string, nowMs: number): boolean {
  return list?.some((entry) => entry.release === release && nowMs < entry.untilMs) ?? false;
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
