import type { Policy } from "./model.ts";

export type Flapping = {
  /** Changes that still count, oldest first. */
  readonly changes: readonly number[];
  /** Null: it holds still. */
  readonly since: number | null;
  /** When it will have held still for long enough, should nothing more happen. */
  readonly endsAt: number | null;
};

type FlapPolicy = Pick<Policy, "flapChanges" | "flapWindowMs">;

/**
 * Flapping begins with `flapChanges` changes within the window, and ends once there was none for a whole one: with the
 * same bound for both it would flap in and out of flapping.
 */
export function judgeFlapping(
  before: { readonly changes: readonly number[]; readonly since: number | null },
  change: number | null,
  policy: FlapPolicy,
  now: number,
): Flapping {
  if (policy.flapChanges === 0) return { changes: [], since: null, endsAt: null };
  const all = change === null ? before.changes : [...before.changes, change];
  const newest = all.at(-1);
  if (newest === undefined || newest + policy.flapWindowMs <= now)
    return { changes: [], since: null, endsAt: null };
  // More than begin it need not be kept: from there on only the newest counts.
  const changes = all.filter((at) => at > newest - policy.flapWindowMs).slice(-policy.flapChanges);
  const since = before.since ?? (changes.length >= policy.flapChanges ? newest : null);
  return { changes, since, endsAt: since === null ? null : newest + policy.flapWindowMs };
}
