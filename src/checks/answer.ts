import { NO_VERDICT, type Outcome } from "./model.ts";

/** What one attempt says of the service: it works, it does not, or nothing at all. */
export type Answer = "good" | "failed" | "nothing";

/** "Degraded" is good: it works. A failure of our own (`NO_VERDICT`) says nothing, whatever its status. */
export function answerOf({ status, failure }: Pick<Outcome, "status" | "failure">): Answer {
  if (status !== "down") return "good";
  return failure && NO_VERDICT.has(failure.class) ? "nothing" : "failed";
}
