import type { Clock } from "../foundation/clock.ts";
import type { Signal } from "../rollouts/index.ts";
import { applyChange, type Change, isSingleWrite, LEASE_MS } from "./change.ts";
import { type Ledger, LedgerConflict } from "./ledger.ts";
import type { Deployment } from "./record.ts";

export type StoreDeps = {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly workerId: string;
};

/** All that the engine's shell reads and writes while it advances deployments; each call is one transaction. */
export type Store = {
  claim(id: string): Promise<Deployment | null>;
  /** Null: the lease was taken over, so stop. */
  renew(held: Deployment): Promise<Deployment | null>;
  release(held: Deployment): Promise<void>;
  letGo(held: Deployment): Promise<void>;
  commit(before: Deployment, change: Change): Promise<Deployment | "conflict" | "blocked">;
  blockedBy(deployment: Deployment): Promise<string | null>;
  due(limit: number): Promise<string[]>;
  /** The live deployment of the same place. */
  liveBeside(deployment: Deployment): Promise<Deployment | null>;
  /** True when another deployment that may serve has the release: then it must not be let go. */
  usedElsewhere(deployment: Deployment, targetDeploymentId: string): Promise<boolean>;
  /** True when another deployment uses the place or waits for it. */
  placeInUse(deployment: Deployment): Promise<boolean>;
  signals(deployment: Deployment): Promise<Signal[]>;
  logTail(id: string, lines: number): Promise<string[]>;
};

export function createStore({ ledger, clock, workerId }: StoreDeps): Store {
  const leaseEnd = () => new Date(clock.now().getTime() + LEASE_MS);
  return {
    claim: (id) => ledger.claim(id, workerId, clock.now(), leaseEnd()),
    async renew(held) {
      const leaseUntil = leaseEnd();
      return (await ledger.renew(held, leaseUntil)) ? { ...held, leaseUntil } : null;
    },
    release: (held) => ledger.release(held),
    letGo: (held) => ledger.letGo(held),
    commit: (before, change) => commit(ledger, clock, before, change),
    blockedBy: (deployment) => ledger.blockedBy(deployment),
    due: (limit) => ledger.due(clock.now(), limit),
    liveBeside: ({ projectId, slot }) => ledger.liveOf(projectId, slot),
    usedElsewhere: ({ id }, release) => ledger.releaseInUse(release, id),
    async placeInUse({ id, projectId, slot }) {
      const place = await ledger.place(projectId, slot);
      return place.some((each) => each.id !== id && each.cleanup === null);
    },
    signals: ({ id, facts }) => ledger.signals(id, facts.rollout?.lastSignal ?? 0),
    logTail: (id, lines) => ledger.logTail(id, lines),
  };
}

/**
 * Writes one step, or nothing. `conflict`: the state or the lease is no longer the caller's; `blocked`: another
 * deployment became active in the same place first.
 */
async function commit(
  ledger: Ledger,
  clock: Clock,
  before: Deployment,
  change: Change,
): Promise<Deployment | "conflict" | "blocked"> {
  const now = clock.now();
  try {
    if (isSingleWrite(before, change)) return await applyChange(ledger, now, before, change);
    return await ledger.transaction(async (tx) => {
      const after = await applyChange(tx, now, before, change);
      // Thrown, so that what was written for the neighbours before it is undone.
      if (after === "conflict") throw new LedgerConflict("conflict", before.id);
      return after;
    });
  } catch (error) {
    if (!(error instanceof LedgerConflict)) throw error;
    return error.kind === "conflict" ? "conflict" : "blocked";
  }
}
