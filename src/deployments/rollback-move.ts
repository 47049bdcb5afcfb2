import { AppError, messageOf } from "../foundation/errors.ts";
import { applyChange } from "./change.ts";
import { returning } from "./decide-rollback.ts";
import { LedgerConflict } from "./ledger.ts";
import { request } from "./observe.ts";
import { type Deployment, placeOf } from "./record.ts";
import type { RollbackDeps } from "./rollback.ts";
import { probeFailure } from "./verify.ts";

const TARGET_TIMEOUT_MS = 20_000;
/** One that waits for its releases to answer, and then for the former owner's lease, takes longest. */
const FINISH_TIMEOUT_MS = 45_000;
/** It is told of every change; this is for the notice that gets lost. */
const FINISH_LOOK_MS = 500;
/** An owner of this or another process stops within milliseconds of hearing of it. */
const OWNER_LOOK_MS = 25;
const OWNER_LOOKS = 20;

/**
 * The target's calls and the second commit, of a deployment whose lease is ours. `answered`: whether the releases that
 * traffic goes back to are up. What goes wrong here is finished by
 * the engine.
 */
export async function moveTraffic(
  deps: RollbackDeps,
  taken: Deployment,
  answered: Promise<boolean>,
): Promise<void> {
  const [from, isUp] = await Promise.all([ownerStopped(deps, taken), answered]);
  if (!isUp) {
    // The engine asks again for a while, and goes there in the end all the same.
    await handOver(deps, from);
    return finished(deps, from.id);
  }
  try {
    const signal = deps.within(null, TARGET_TIMEOUT_MS);
    await Promise.all(
      returning(from).map(async (service) => {
        const { targetDeploymentId, rollbackToTargetId: to } = service;
        if (!targetDeploymentId || !to) return;
        const change = { place: placeOf(from, service), from: targetDeploymentId, to };
        await deps.target.rollback(change, signal);
      }),
    );
  } catch (error) {
    await handOver(deps, from);
    throw new AppError("upstream", `The target did not take the rollback: ${messageOf(error)}`, {
      hint: `It is tried again in the background: GET /api/deploy/status/${from.id}.`,
      cause: error,
    });
  }
  const settleAt = from.facts.settleAtMs;
  if (settleAt !== undefined && settleAt > deps.clock.now().getTime()) return handOver(deps, from);
  if ((await markRolledBack(deps, from)) === "conflict") await finished(deps, from.id);
}

function markRolledBack(deps: RollbackDeps, from: Deployment): Promise<unknown> {
  return deps.ledger
    .transaction((tx) =>
      applyChange(tx, deps.clock.now(), from, {
        to: "rolled_back",
        reason: from.reason ?? "Rolled back.",
        ...(from.hint === null ? {} : { hint: from.hint }),
        patch: {
          weight: 0,
          services: from.services.map((service) => ({ ...service, weight: 0 })),
          outcome: "failure",
        },
        release: { wakeAt: null },
      }),
    )
    .catch((error) => {
      if (error instanceof LedgerConflict) return "conflict" as const;
      throw error;
    });
}

/** Asks the releases that traffic is to go back to for a sign of life: once, each. */
export async function releasesAnswer({ probe }: RollbackDeps, from: Deployment): Promise<boolean> {
  const answers = await Promise.all(
    returning(from).map(async ({ rollbackToUrl: url, health }) => {
      const [check] = health.checks;
      if (url === null || !check) return true;
      return probeFailure([await probe(request(url, check, health))], health) === null;
    }),
  );
  return answers.every(Boolean);
}

/**
 * Waits a moment for a former owner to say that it has stopped, so that no traffic change of its can come after ours.
 * One that cannot say so any more is waited out by the engine.
 */
async function ownerStopped(deps: RollbackDeps, taken: Deployment): Promise<Deployment> {
  const settleAt = taken.facts.settleAtMs;
  if (settleAt === undefined || settleAt <= deps.clock.now().getTime()) return taken;
  const changed = new AbortController();
  const stop = deps.onChange(taken.id, () => changed.abort(new Error("changed")));
  deps.wake(taken.id);
  try {
    for (let looks = 0; looks < OWNER_LOOKS; looks++) {
      const now = await deps.ledger.load(taken.id);
      if (now?.leaseToken !== taken.leaseToken || now.facts.settleAtMs === undefined) return now ?? taken;
      await deps.clock
        .sleep(OWNER_LOOK_MS, changed.signal.aborted ? undefined : changed.signal)
        .catch(() => {});
    }
    return taken;
  } finally {
    stop();
  }
}

/** Gives the lease back, so that the engine goes on at once. */
async function handOver(deps: RollbackDeps, from: Deployment): Promise<void> {
  await applyChange(deps.ledger, deps.clock.now(), from, { release: { wakeAt: null } });
  deps.wake(from.id);
}

/** Waits until a deployment has left `rolling_back`. @throws AppError `upstream` when that failed, `timeout`. */
export async function finished(deps: RollbackDeps, id: string): Promise<void> {
  const startedMs = deps.clock.monotonicMs();
  deps.wake(id);
  for (;;) {
    const changed = new AbortController();
    const stop = deps.onChange(id, () => changed.abort(new Error("changed")));
    try {
      const now = await deps.ledger.load(id);
      if (now?.state === "failed") {
        const hint = now.hint === null ? {} : { hint: now.hint };
        throw new AppError("upstream", now.reason ?? "The rollback failed.", hint);
      }
      if (now?.state !== "rolling_back") return;
      if (deps.clock.monotonicMs() - startedMs > FINISH_TIMEOUT_MS) throw tooLong(id);
      await deps.clock.sleep(FINISH_LOOK_MS, changed.signal).catch(() => {});
    } finally {
      stop();
    }
  }
}

function tooLong(id: string): AppError {
  return new AppError("timeout", `Rolling back ${id} takes longer than ${FINISH_TIMEOUT_MS / 1_000} s.`, {
    hint: `It goes on in the background: GET /api/deploy/status/${id}.`,
  });
}
