import type { Deployment, DeploymentOutcome } from "./record.ts";
import type { State } from "./state.ts";

/**
 * How a deployment that enters a settled state has ended. Pure. `said`: what whoever moves it knows better: whether a
 * failure is the user's, ours, or a lack of time. One that was live and is followed by another keeps its success.
 */
export function outcomeOf(
  before: Pick<Deployment, "state" | "outcome">,
  to: State,
  said: DeploymentOutcome | null,
): DeploymentOutcome | null {
  switch (to) {
    case "live":
      return "success";
    case "superseded":
      return before.state === "queued" ? "skip" : before.outcome;
    case "rolled_back":
      return said ?? before.outcome ?? "failure";
    case "canceled":
    case "rejected":
      return "cancellation";
    default:
      return said ?? "error";
  }
}
