import { isDeepStrictEqual } from "node:util";
import type { CheckSource, Policy, ProbeType } from "./model.ts";
import type { WantedCheck } from "./seeds.ts";

/** A check that is there, opened. */
export type Existing = {
  readonly id: string;
  readonly name: string;
  readonly type: ProbeType;
  readonly source: CheckSource;
  readonly settings: unknown;
  readonly policy: Policy;
};

export type SyncPlan = {
  readonly make: readonly WantedCheck[];
  readonly change: readonly (WantedCheck & { readonly id: string })[];
  readonly retire: readonly Existing[];
  /** Wanted, but somebody made one of that name by hand. */
  readonly taken: readonly WantedCheck[];
};

/**
 * What makes the checks of a place those that are wanted. What stays the same is not touched, so that its history goes
 * on; a check of another type under an old name is another check.
 */
export function planSync(wanted: readonly WantedCheck[], existing: readonly Existing[]): SyncPlan {
  const byName = new Map(existing.map((check) => [check.name, check]));
  const kept = new Set<string>();
  const plan = {
    make: [] as WantedCheck[],
    change: [] as SyncPlan["change"][number][],
    taken: [] as WantedCheck[],
  };
  for (const check of wanted) {
    const there = byName.get(check.name);
    if (there?.source === "api") {
      plan.taken.push(check);
    } else if (there === undefined || there.type !== check.type) {
      plan.make.push(check);
    } else {
      kept.add(there.id);
      if (!isSame(there, check)) plan.change.push({ ...check, id: there.id });
    }
  }
  const retire = existing.filter(({ id, source }) => source !== "api" && !kept.has(id));
  return { ...plan, retire };
}

/** As JSON: that is how both are kept. */
function isSame(there: Existing, wanted: WantedCheck): boolean {
  const { source, settings, policy } = JSON.parse(JSON.stringify(wanted));
  return (
    there.source === source &&
    isDeepStrictEqual(there.settings, settings) &&
    isDeepStrictEqual(there.policy, policy)
  );
}
