import type { Deployment } from "./record.ts";
import { movingServices } from "./services.ts";
import type { State } from "./state.ts";
import { minHealthyMs } from "./verify.ts";

const MINUTE = 60_000;
export const WEEK_MS = 7 * 24 * 60 * MINUTE;

/** Longest stay in each state that does not depend on the deployment's own configuration. */
const STAY_MS = {
  // Behind a lock it may wait for long; the lock's own end comes sooner.
  queued: 31 * 24 * 60 * MINUTE,
  preparing: 15 * MINUTE,
  // The target's own limit of a build is 45 min by default, and it may have to wait for a builder.
  building: 90 * MINUTE,
  awaiting_approval: 31 * 24 * 60 * MINUTE,
  releasing: 5 * MINUTE,
} as const satisfies Partial<Record<State, number>>;

/** Slack on top of the configured times of verifying, migrating and shifting: slow probes, retries, our restarts. */
export const SLACK_MS = 5 * MINUTE;
const ROLLBACK_MS = 15 * MINUTE;

/** When a deployment that enters `state` now must have left it; null for states that may last. */
export function deadlineOf(deployment: Deployment, state: State, now: Date): Date | null {
  const stay = stayMs(deployment, state);
  return stay === null ? null : new Date(now.getTime() + stay);
}

function stayMs(deployment: Deployment, state: State): number | null {
  const { plan, facts } = deployment;
  switch (state) {
    case "verifying":
      return Math.max(0, ...movingServices(deployment).map((each) => verifyMs(deployment, each))) + SLACK_MS;
    case "migrating":
      return (plan?.schema?.timeoutMs ?? 0) * 2 + SLACK_MS;
    case "shifting": {
      const stages = facts.rollout?.stages ?? [];
      // A stage that waits for a person has its deadline moved for as long as it waits.
      return stages.reduce((sum, stage) => sum + (stage.bakeMs ?? 0), 0) + SLACK_MS;
    }
    case "rolling_back":
      return (facts.rollback?.steps ?? []).reduce((sum, step) => sum + step.bakeMs, 0) + ROLLBACK_MS;
    default:
      return state in STAY_MS ? STAY_MS[state as keyof typeof STAY_MS] : null;
  }
}

function verifyMs(deployment: Deployment, service: Deployment["services"][number]): number {
  const { graceMs, deadlineMs } = service.health;
  return graceMs + deadlineMs + minHealthyMs(deployment, service);
}

/** True when the deployment's progress deadline is over. Time that people were waited for does not count. */
export function isPastProgress({ plan, facts }: Deployment, now: Date): boolean {
  const limit = plan?.progressDeadlineMs ?? null;
  if (limit === null || facts.startedAtMs === undefined) return false;
  return now.getTime() - facts.startedAtMs - (facts.waitedMs ?? 0) >= limit;
}
