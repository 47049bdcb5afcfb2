import { AppError } from "../foundation/errors.ts";
import type { Deployment } from "./record.ts";
import { sameReleases } from "./services.ts";
import { isActive } from "./state.ts";

/** What a rollback does to the deployments of one place. */
export type RollbackChoice = {
  /** Gives its traffic back; null: nobody has to. */
  readonly from: Deployment | null;
  /** Serves afterwards. */
  readonly to: Deployment;
  /** Canceled: they would take the traffic again. */
  readonly stop: readonly Deployment[];
};

/**
 * Chooses from the deployments of one place, newest first. Pure. One that is taking traffic is taken back before the
 * live one is touched; earlier ones are canceled. Without `named`, the newest release that served before and was not
 * rolled back. @throws AppError `conflict` when there is nothing to go back to, or `named` cannot serve.
 */
export function chooseRollback(place: readonly Deployment[], named: Deployment | null): RollbackChoice {
  const active = place.find((each) => isActive(each.state)) ?? null;
  const live = place.find((each) => each.state === "live") ?? null;
  const queued = place.filter((each) => each.state === "queued");
  if (active?.state === "rolling_back") {
    throw new AppError("conflict", `Deployment ${active.id} is being rolled back already.`, {
      hint: `Follow it with GET /api/deploy/status/${active.id}.`,
    });
  }
  if (named) checkNamed(named, active, live);
  const shifting = active?.state === "shifting" ? active : null;
  const early = active && !shifting ? [active] : [];
  const to = named ?? (active ? live : previousGood(place, live));
  if (!to) throw nothingBefore(active, live);
  return {
    from: shifting ?? (to === live || to.id === live?.id ? null : live),
    to,
    stop: [...early, ...queued],
  };
}

/** Only older ones than the live one, so that going back twice goes back twice and never in a circle. */
function previousGood(place: readonly Deployment[], live: Deployment | null): Deployment | null {
  const good = place.filter(
    (each) =>
      each.state === "superseded" &&
      isKept(each) &&
      live !== null &&
      each.seq < live.seq &&
      // Going back to what serves already would help nobody.
      !sameReleases(each, live),
  );
  return good.sort((a, b) => servedAt(b) - servedAt(a))[0] ?? null;
}

function servedAt(deployment: Deployment): number {
  return deployment.liveAt?.getTime() ?? 0;
}

function isKept(deployment: Deployment): boolean {
  return deployment.liveAt !== null && deployment.retiredAt === null && deployment.cleanup === null;
}

function checkNamed(named: Deployment, active: Deployment | null, live: Deployment | null): void {
  if (named.id === live?.id) {
    if (active) return;
    throw new AppError("conflict", `Deployment ${named.id} is the one that serves now.`, {
      hint: "Name an earlier one, or none for the previous good one.",
    });
  }
  if (named.liveAt === null || named.services.length === 0) {
    throw new AppError("conflict", `Deployment ${named.id} never was live (it is ${named.state}).`, {
      hint: "Name one that has served: GET /api/deploy/list?state=superseded.",
    });
  }
  if (!isKept(named)) {
    throw new AppError("conflict", `The release of deployment ${named.id} is no longer kept.`, {
      hint: "Deploy its commit again.",
    });
  }
}

function nothingBefore(active: Deployment | null, live: Deployment | null): AppError {
  if (active) {
    return new AppError("conflict", "There is nothing to go back to: no release serves here yet.", {
      hint: `To stop the deployment that is under way: POST /api/deploy/cancel/${active.id}.`,
    });
  }
  return new AppError(
    "conflict",
    live
      ? `There is nothing to go back to: no good release before ${live.id} is kept.`
      : "There is nothing to go back to: nothing is live here.",
    { hint: "Deploy a corrected commit, or name a release: GET /api/deploy/list." },
  );
}
