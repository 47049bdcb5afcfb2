import { AppError, messageOf } from "../foundation/errors.ts";
import type { Patch, Step } from "./reconcile.ts";
import type { Deployment, DeploymentOutcome, Facts } from "./record.ts";
import { failed, takeBack } from "./step.ts";

/** Tries of one state's work before it is given up. With the waits below that is about a minute. */
const MAX_ATTEMPTS = 10;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** Codes of mistakes that the same call would only repeat. */
const FINAL_CODES = new Set([
  "bad_request",
  "not_found",
  "unprocessable",
  "too_large",
  "forbidden",
  "unauthorized",
]);

/**
 * What a failed side effect or observation leads to. Pure. Ours and the vendor's faults are retried, the user's are
 * not.
 */
export function setback(deployment: Deployment, error: unknown, now: Date): Step {
  const count = (deployment.facts.attempts?.count ?? 0) + 1;
  const facts: Facts = { ...deployment.facts, attempts: { count, error: messageOf(error) } };
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(count - 1, 10));
  const retry: Step = { do: "wait", until: new Date(now.getTime() + wait), patch: { facts } };
  // Traffic must come back, however long it takes: only the deadline ends that.
  if (deployment.state === "rolling_back" || deployment.state === "queued") return retry;
  const final = error instanceof AppError && FINAL_CODES.has(error.code);
  if (!final && count < MAX_ATTEMPTS) return retry;
  return giveUp(deployment, error, facts, outcomeOf(error));
}

/** A token that the target refuses is the operator's business, not the committer's. */
function outcomeOf(error: unknown): DeploymentOutcome {
  if (!(error instanceof AppError)) return "error";
  if (error.code === "timeout") return "timeout";
  const isTheirs = FINAL_CODES.has(error.code) && error.code !== "unauthorized" && error.code !== "forbidden";
  return isTheirs ? "failure" : "error";
}

function giveUp(deployment: Deployment, error: unknown, facts: Facts, outcome: DeploymentOutcome): Step {
  const reason = messageOf(error);
  const hint =
    (error instanceof AppError ? error.hint : undefined) ??
    "See that the target can be reached, then deploy again.";
  switch (deployment.state) {
    case "preparing":
      return failed(reason, { hint, outcome, patch: { facts } });
    case "building":
      return failed(reason, { hint, outcome, patch: { facts, cleanup: "cancel_build" } });
    case "verifying":
    case "awaiting_approval":
    case "migrating":
    case "releasing":
      return failed(reason, { hint, outcome, patch: { facts, cleanup: "retire" } });
    case "shifting":
      return { ...takeBack(deployment, reason, { facts }, outcome), hint } as Step;
    case "live":
      // The release serves all the same; the next deployment's contract takes the same files up again.
      return { do: "wait", until: new Date(0), patch: givenUp(deployment, facts, reason) };
    default:
      // A settled one: the clean-up is not worth more tries; the target's own collection takes the rest.
      return { do: "wait", until: new Date(0), patch: { facts, cleanup: null } };
  }
}

function givenUp({ cleanup }: Deployment, facts: Facts, reason: string): Patch {
  if (cleanup !== null) return { facts, cleanup: null };
  return {
    contractAt: null,
    facts: { ...facts, problem: `Its contract migrations were given up: ${reason}` },
  };
}
