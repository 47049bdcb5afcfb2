import type { Deployment } from "./record.ts";
import type { State } from "./state.ts";
import { minHealthyMs } from "./verify.ts";

const MINUTE = 60_000;

/** Longest stay in each state that does not depend on the deployment's own configuration. */
const STAY_MS = {
  queued: 24 * 60 * MINUTE,
  preparing: 15 * MINUTE,
  // The target's own limit of a build is 45 min by default, and it may have to wait for a builder.
  building: 90 * MINUTE,
  awaiting_approval: 7 * 24 * 60 * MINUTE,
  migrating: 60 * MINUTE,
  releasing: 5 * MINUTE,
  rolling_back: 15 * MINUTE,
} as const satisfies Partial<Record<State, number>>;

/** Slack on top of the configured times of verifying and shifting: slow probes, retries, a restart of ours. */
const SLACK_MS = 5 * MINUTE;

/** When a deployment that enters `state` now must have left it; null for states that may last. */
export function deadlineOf(deployment: Deployment, state: State, now: Date): Date | null {
  const stay = stayMs(deployment, state);
  return stay === null ? null : new Date(now.getTime() + stay);
}

function stayMs(deployment: Deployment, state: State): number | null {
  if (state === "verifying") {
    const health = deployment.plan?.health;
    return health ? health.deadlineMs + minHealthyMs(deployment) + SLACK_MS : SLACK_MS;
  }
  if (state === "shifting") {
    const strategy = deployment.plan?.strategy;
    const bake = strategy?.kind === "canary" ? strategy.steps.reduce((sum, step) => sum + step.bakeMs, 0) : 0;
    return bake + SLACK_MS;
  }
  return state in STAY_MS ? STAY_MS[state as keyof typeof STAY_MS] : null;
}
