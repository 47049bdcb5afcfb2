import type { ErrorCode } from "../foundation/errors.ts";
import type { DeploymentOutcome } from "./record.ts";
import type { State } from "./state.ts";

/** The part of a deployment's event that this needs. Events that only change the weight have `from` equal to `to`. */
export type DoraEvent = {
  readonly at: Date;
  readonly from: State | null;
  readonly to: State;
  readonly reason: string | null;
};

/** The part of a deployment's row that this needs. */
export type Ending = {
  readonly state: State;
  /** Set by the engine at the end; null: written before there was such a column, so it is derived. */
  readonly outcome: DeploymentOutcome | null;
  /** A person asked for the rollback (a cancel has none). */
  readonly rolledBackByHand: boolean;
  /** Failed tries of the step that it ended in; 0: it ended by a decision, not by an error. */
  readonly attempts: number;
};

/** Why a deployment left `state` for the worse. */
export type Cause =
  | { readonly kind: "overdue" | "canceled" | "unhealthy" | "rolled_back_by_hand" | "tries_exhausted" }
  /** An error that is not worth another try; null: its code is not known any more. */
  | { readonly kind: "refused"; readonly code: ErrorCode | null }
  /** The target's verdict on the build; `ours`: it could not build, rather than the build failing. */
  | { readonly kind: "build"; readonly verdict: "failed" | "timeout" | "ours" };

/** Refusals that the user's own input causes. A token that the target refuses (401, 403) is the operator's. */
const USERS_MISTAKES = new Set<ErrorCode>([
  "bad_request",
  "not_found",
  "unprocessable",
  "too_large",
  "conflict",
]);

/** Whose business an ending is. Pure; what the engine should store as a deployment's `outcome`. */
export function outcomeOfCause(state: State, cause: Cause): DeploymentOutcome {
  switch (cause.kind) {
    case "canceled":
      return "cancellation";
    case "overdue":
      // Nobody's code runs while traffic is taken back.
      return state === "rolling_back" ? "error" : "timeout";
    case "unhealthy":
    case "rolled_back_by_hand":
      return "failure";
    case "tries_exhausted":
      return "error";
    case "refused":
      if (cause.code === "timeout") return "timeout";
      return cause.code === null || USERS_MISTAKES.has(cause.code) ? "failure" : "error";
    case "build":
      if (cause.verdict === "timeout") return "timeout";
      return cause.verdict === "ours" ? "error" : "failure";
  }
}

/**
 * The outcome of a deployment that has ended or was taken back; null: it is still under way. `outcome.ts` decides it
 * as a deployment ends, and the row keeps it; this reads that back, and works it out from the events of rows from
 * before there was such a column, which know less. Two functions, because only one of the two is told the cause.
 */
export function readOutcome(ending: Ending, events: readonly DoraEvent[]): DeploymentOutcome | null {
  if (ending.outcome !== null) return ending.outcome;
  const moves = events.filter((event) => event.from !== event.to);
  const takenBack = moves.findLast((event) => event.to === "rolling_back");
  switch (ending.state) {
    case "live":
      return "success";
    case "superseded":
      return moves.some((event) => event.to === "live") ? "success" : "skip";
    case "canceled":
    case "rejected":
      return "cancellation";
    case "rolled_back":
      return takenBack ? outcomeOfCause(takenBack.from ?? "shifting", causeOf(takenBack, ending)) : "failure";
    case "failed": {
      const last = moves.findLast((event) => event.to === "failed");
      return last ? outcomeOfCause(last.from ?? "queued", causeOf(last, ending)) : "error";
    }
    default:
      return null;
  }
}

/** Tries after which `setback.ts` gives a fault up; fewer mean that it was not worth a second. */
const MAX_ATTEMPTS = 10;

// Rows do not keep the cause. Until they do, these beginnings of our own sentences stand for it.
const OVERDUE = /^(It did not get through "|Its traffic could not be taken back in time)/;
const CANCELED = /^Canceled by /;
const BUILD_TIMEOUT = /^The build failed: The build did not end within /;
const BUILD_OURS = /^(The build failed: The dock |The target has no deployment )/;

function causeOf(event: DoraEvent, { rolledBackByHand, attempts }: Ending): Cause {
  const { from } = event;
  const reason = event.reason ?? "";
  if (rolledBackByHand && event.to === "rolling_back") return { kind: "rolled_back_by_hand" };
  if (CANCELED.test(reason)) return { kind: "canceled" };
  if (OVERDUE.test(reason)) return { kind: "overdue" };
  if (from === "rolling_back") return { kind: "tries_exhausted" };
  if (from === "building" && BUILD_OURS.test(reason)) return { kind: "build", verdict: "ours" };
  if (from === "building" && BUILD_TIMEOUT.test(reason)) return { kind: "build", verdict: "timeout" };
  if (attempts >= MAX_ATTEMPTS) return { kind: "tries_exhausted" };
  if (attempts > 0) return { kind: "refused", code: null };
  if (from === "building") return { kind: "build", verdict: "failed" };
  return { kind: "unhealthy" };
}
