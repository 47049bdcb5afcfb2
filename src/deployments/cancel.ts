import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { applyChange, type Change } from "./change.ts";
import type { EngineDeps } from "./engine.ts";
import { LedgerConflict, type LedgerTx } from "./ledger.ts";
import type { Patch } from "./reconcile.ts";
import type { Deployment } from "./record.ts";
import { isSettled } from "./state.ts";
import { backToPrevious } from "./step.ts";

const TRIES = 5;

/**
 * Stops a deployment that is not finished, whoever works on it. Before traffic it is `canceled` at once, and its build
 * at the target is ended; while traffic moves it is taken back (`rolling_back`). Canceled already: nothing happens.
 * @throws AppError `not_found`, `conflict` for a finished one, `forbidden`.
 */
export async function cancelDeployment(
  deps: Pick<EngineDeps, "ledger" | "clock" | "wake">,
  actor: Actor,
  id: string,
): Promise<Deployment> {
  requireRole(actor, "deployer");
  for (let tries = 0; tries < TRIES; tries++) {
    const before = await deps.ledger.load(id);
    if (!before) throw noSuchDeployment(id);
    if (before.state === "canceled") return before;
    const change = stopChange(before, `Canceled by ${actor.name}.`, actor);
    const after = await deps.ledger
      .transaction(async (tx) => {
        const at = deps.clock.now();
        const changed = await applyChange(tx, at, before, change);
        if (changed === "conflict") return null;
        const subject = { type: "deployment", id };
        await tx.audit({ actor, action: "deployment.cancel", subject, details: { was: before.state }, at });
        return changed;
      })
      .catch((error) => {
        if (error instanceof LedgerConflict) return null;
        throw error;
      });
    if (after) {
      deps.wake(id);
      return after;
    }
  }
  throw new AppError("conflict", `Deployment ${id} kept changing while it was to be canceled.`, {
    hint: "Send the request again.",
  });
}

export function noSuchDeployment(id: string): AppError {
  return new AppError("not_found", `There is no deployment ${id}.`, {
    hint: "GET /api/deploy/list lists them.",
  });
}

/**
 * What stops a deployment in whatever state it is. The lease is taken from whoever has it and given back free, so that
 * the clean-up starts at once. @throws AppError `conflict` when it cannot be stopped.
 */
export function stopChange(before: Deployment, reason: string, actor: Actor): Change {
  if (isSettled(before.state)) throw notStoppable(before);
  const common = { reason, actor: actor.name, takeOver: { owner: actor.name }, release: { wakeAt: null } };
  if (before.state === "rolling_back") {
    throw new AppError("conflict", `Deployment ${before.id} is being rolled back already.`, {
      hint: "Wait for it: GET /api/deploy/status/:deploymentId.",
    });
  }
  if (before.state !== "shifting") return { ...common, to: "canceled", patch: cleanupOf(before) };
  if (before.services.every((service) => service.previousTargetId === null)) {
    throw new AppError(
      "conflict",
      `Deployment ${before.id} is taking traffic, and no release was there before it.`,
      {
        hint: "Wait until it is live, or deploy another commit.",
      },
    );
  }
  return { ...common, to: "rolling_back", patch: takeBackPatch(before) };
}

/** Where the traffic goes, and until when a change of the former owner may still be under way at the target. */
export function takeBackPatch(before: Deployment): Patch {
  const until = before.leaseUntil?.getTime();
  return {
    services: before.services.map(backToPrevious),
    outcome: "cancellation",
    facts: { ...before.facts, ...(until === undefined ? {} : { settleAtMs: until }) },
  };
}

function cleanupOf({ state }: Deployment): Patch {
  if (state === "queued" || state === "preparing") return {};
  return { cleanup: state === "building" ? "cancel_build" : "retire" };
}

function notStoppable({ id, state }: Deployment): AppError {
  if (state === "live") {
    return new AppError("conflict", `Deployment ${id} is live.`, {
      hint: "To go back to the release before it: POST /api/deploy/rollback.",
    });
  }
  return new AppError("conflict", `Deployment ${id} has ended: it is ${state}.`, {
    hint: "There is nothing to stop.",
  });
}

/** Stops a deployment inside the caller's transaction. Null: it changed meanwhile, so read it again. */
export async function stopWithin(
  deps: Pick<EngineDeps, "clock">,
  tx: LedgerTx,
  before: Deployment,
  reason: string,
  actor: Actor,
): Promise<Deployment | null> {
  const after = await applyChange(tx, deps.clock.now(), before, stopChange(before, reason, actor));
  if (after === "conflict") return null;
  return after;
}
