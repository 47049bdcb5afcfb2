import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { stopWithin } from "./cancel.ts";
import type { EngineDeps } from "./engine.ts";
import { LedgerConflict, type LedgerTx } from "./ledger.ts";
import { moveNeighbour } from "./neighbours.ts";
import { isActive } from "./state.ts";

const TRIES = 5;
const PREVIEW = "preview:";

/**
 * Ends a preview: what is under way is stopped, its releases are let go, and its hosts are taken away. Closed already:
 * nothing happens. Returns the deployments that it ended.
 * @throws AppError `bad_request` for a place that is no preview, `conflict` when it kept changing, `forbidden`.
 */
export async function closePlace(
  deps: Pick<EngineDeps, "ledger" | "clock" | "wake">,
  actor: Actor,
  input: { readonly projectId: string; readonly slot: string; readonly reason: string },
): Promise<string[]> {
  requireRole(actor, "deployer");
  if (!input.slot.startsWith(PREVIEW)) {
    throw new AppError("bad_request", `"${input.slot}" is no preview, so it is not closed.`, {
      hint: "Only previews end; other environments keep their last release.",
    });
  }
  for (let tries = 0; tries < TRIES; tries++) {
    const ended = await deps.ledger
      .transaction((tx) => closeWithin(deps, tx, actor, input))
      .catch((error) => {
        if (error instanceof LedgerConflict) return null;
        throw error;
      });
    if (!ended) continue;
    for (const id of ended) deps.wake(id);
    return ended;
  }
  throw new AppError("conflict", `The preview "${input.slot}" kept changing while it was to be closed.`, {
    hint: "Try again.",
  });
}

async function closeWithin(
  deps: Pick<EngineDeps, "clock">,
  tx: LedgerTx,
  actor: Actor,
  { projectId, slot, reason }: { projectId: string; slot: string; reason: string },
): Promise<string[]> {
  const now = deps.clock.now();
  const place = await tx.place(projectId, slot);
  // While traffic moves, what it moves between stays as it is: the next look closes it.
  const moves = place.some(({ state }) => state === "rolling_back" || state === "shifting");
  const open = place.filter(({ state, cleanup }) => (moves ? state === "queued" : cleanup === null));
  for (const each of open) {
    if (each.state === "live") {
      const services = each.services.map((service) => ({ ...service, weight: 0 }));
      const over = { services, weight: 0, contractAt: null, cleanup: "vacate" } as const;
      await moveNeighbour(tx, each, "superseded", now, { ...over, reason, hint: null, wakeAt: null });
    } else if (each.state === "queued" || isActive(each.state)) {
      if (!(await stopWithin(deps, tx, each, reason, actor))) throw new LedgerConflict("conflict", each.id);
    } else {
      await tx.update({ id: each.id, state: each.state }, { cleanup: "retire", wakeAt: null });
    }
    await tx.wake(each.id);
  }
  if (open.length === 0) return [];
  const subject = { type: "place", id: `${projectId}/${slot}` };
  const details = { reason, deployments: open.map(({ id }) => id) };
  await tx.audit({ actor, action: "place.close", subject, details, at: now });
  return open.map(({ id }) => id);
}
