import type { Observed, Step } from "./reconcile.ts";
import type { Deployment } from "./record.ts";
import { after, failed, takeBack } from "./step.ts";

/** What is still owed to the target after a deployment's end. */
export function cleanUp(deployment: Deployment): Step {
  const { cleanup, services, facts } = deployment;
  if (cleanup === "vacate") return { do: "vacate" };
  if (cleanup === "retire") return { do: "retire" };
  // Builds are asked for one by one. Whether the target took the last of them is known only by asking again, with the
  // same key; those after it were never asked for.
  const last = services.find((service) => service.targetDeploymentId === null);
  return last && facts.cleanupAsked !== true ? { do: "build", service: last.name } : { do: "cancel_build" };
}

/** Where nobody can tell what is under way: longer than any request or stream is let go on after a switch. */
const DRAIN_UNSEEN_MS = 60_000;
const DRAIN_LOOK_MS = 1_000;
/** Somebody who never lets go must not hold the contract for ever. */
const DRAIN_LONGEST_MS = 3_600_000;

/**
 * A live deployment's contract migrations: once the release before it can not be gone back to any more, and answers
 * nobody any more.
 */
export function contract(deployment: Deployment, { inFlightBefore }: Observed, now: Date): Step {
  const { contractAt, liveAt, services } = deployment;
  if (contractAt === null) return { do: "rest" };
  if (now < contractAt) return { do: "wait", until: contractAt };
  const hadOne = services.some((service) => service.previousTargetId !== null);
  if (hadOne && inFlightBefore !== 0) {
    const drained = after(liveAt ?? now, DRAIN_UNSEEN_MS);
    if (inFlightBefore !== null) return awaitDrain(deployment, contractAt, inFlightBefore, now);
    if (now < drained) return { do: "wait", until: drained };
  }
  return { do: "migrate", phase: "contract" };
}

function awaitDrain({ facts }: Deployment, contractAt: Date, inFlight: number, now: Date): Step {
  if (now < after(contractAt, DRAIN_LONGEST_MS)) return { do: "wait", until: after(now, DRAIN_LOOK_MS) };
  const problem = `Its contract migrations were not run: the release before it still answers ${inFlight} requests.`;
  return { do: "wait", until: now, patch: { contractAt: null, facts: { ...facts, problem } } };
}

export function overdue(deployment: Deployment): Step {
  const { state } = deployment;
  const last = deployment.facts.attempts?.error;
  const reason = `It did not get through "${state}" in time${last ? `; last error: ${last}` : ""}.`;
  const outcome = "timeout";
  switch (state) {
    case "shifting":
      return takeBack(deployment, reason, {}, outcome);
    case "rolling_back":
      return failed(`Its traffic could not be taken back in time${last ? `: ${last}` : ""}.`, {
        hint: "It may still have traffic: see that the target can be reached, then roll back again.",
        outcome: "error",
      });
    case "building":
      return failed(reason, {
        hint: "Look at the end of the build log for what it waits for.",
        patch: { cleanup: "cancel_build" },
        outcome,
      });
    case "verifying":
    case "awaiting_approval":
    case "migrating":
    case "releasing":
      return failed(reason, { hint: "Deploy again.", patch: { cleanup: "retire" }, outcome });
    default:
      return failed(reason, { hint: "See that the target can be reached, then deploy again.", outcome });
  }
}
