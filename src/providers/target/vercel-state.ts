import type { TargetDeployment } from "../../targets/target.ts";

/** A `readyState` of the API, in our words. */
export function stateOf(readyState: string): TargetDeployment["state"] {
  switch (readyState) {
    case "QUEUED":
    case "BLOCKED":
      return "queued";
    case "READY":
      return "ready";
    case "ERROR":
      return "error";
    case "CANCELED":
    case "DELETED":
      return "canceled";
    default:
      // INITIALIZING, ANALYZING, BUILDING, DEPLOYING, and whatever the platform adds: on its way.
      return "building";
  }
}
