import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import type { Signal } from "../rollouts/index.ts";
import { noSuchDeployment } from "./cancel.ts";
import type { EngineDeps } from "./engine.ts";
import type { Deployment } from "./record.ts";

/**
 * Says something to a rollout that is under way: hold it, go on, end this stage now, skip the rest, or take it back.
 * The deployment hears of it at once; what came of it is in its status.
 * @throws AppError `not_found`, `conflict` when no traffic is moving, `forbidden`.
 */
export async function signalRollout(
  deps: Pick<EngineDeps, "ledger" | "clock" | "wake">,
  actor: Actor,
  input: {
    readonly deploymentId: string;
    readonly kind: Signal["kind"];
    readonly reason?: string | undefined;
  },
): Promise<Deployment> {
  requireRole(actor, "deployer");
  const { deploymentId, kind } = input;
  const reason = input.reason ?? null;
  const deployment = await deps.ledger.transaction(async (tx) => {
    const before = await tx.load(deploymentId);
    if (!before) throw noSuchDeployment(deploymentId);
    if (before.state !== "shifting") throw notMoving(before, kind);
    const at = deps.clock.now();
    await tx.signal({ deploymentId, kind, by: actor.name, reason, at });
    const subject = { type: "deployment", id: deploymentId };
    await tx.audit({ actor, action: `deployment.${kind}`, subject, details: { reason }, at });
    await tx.wake(deploymentId);
    return before;
  });
  deps.wake(deploymentId);
  return deployment;
}

function notMoving({ id, state }: Deployment, kind: Signal["kind"]): AppError {
  const hint =
    state === "live"
      ? "To go back to the release before it: POST /api/deploy/rollback."
      : state === "awaiting_approval"
        ? "To let it through: POST /api/deploy/approve/:deploymentId."
        : "A rollout can be told something while the deployment is shifting.";
  return new AppError("conflict", `Deployment ${id} is ${state}; there is no rollout to ${kind}.`, { hint });
}
