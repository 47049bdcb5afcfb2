import type { HealthPolicy } from "./plan-source.ts";
import type { ProbeResult } from "./ports.ts";
import type { Deployment, Verification } from "./record.ts";

/** Default of `min_healthy_time` for releases that run a process. Nomad's 10 s in production; elsewhere speed wins. */
const MIN_HEALTHY_PRODUCTION_MS = 10_000;
const MIN_HEALTHY_MS = 1_000;

export function minHealthyMs(deployment: Pick<Deployment, "plan" | "kind" | "environment">): number {
  const configured = deployment.plan?.health.minHealthyMs ?? null;
  if (configured !== null) return configured;
  // Files do not crash after a while: one good answer proves them.
  if (deployment.kind === "static") return 0;
  return deployment.environment === "production" ? MIN_HEALTHY_PRODUCTION_MS : MIN_HEALTHY_MS;
}

export type Verdict =
  | { readonly is: "healthy"; readonly verification: Verification }
  | { readonly is: "waiting"; readonly verification: Verification }
  | { readonly is: "failed"; readonly reason: string; readonly verification: Verification };

/**
 * Folds one probe into the verdict. Healthy for `minHealthy` ms without a gap is healthy; a failed probe starts the
 * period again; past the deadline only a period that is under way may still finish.
 */
export function judge(
  before: Verification | undefined,
  probe: ProbeResult,
  policy: HealthPolicy,
  times: { readonly now: Date; readonly since: Date; readonly minHealthyMs: number },
): Verdict {
  const now = times.now.getTime();
  const failure = probeFailure(probe, policy);
  if (failure === null) {
    const healthySinceMs = before?.healthySinceMs ?? now;
    const verification = { healthySinceMs, lastFailure: before?.lastFailure ?? null };
    return { is: now - healthySinceMs >= times.minHealthyMs ? "healthy" : "waiting", verification };
  }
  const verification = { healthySinceMs: null, lastFailure: failure };
  if (now - times.since.getTime() < policy.deadlineMs) return { is: "waiting", verification };
  const reason =
    `It did not stay healthy for ${seconds(times.minHealthyMs)} within ${seconds(policy.deadlineMs)}. ` +
    `Last probe of ${policy.path}: ${failure}.`;
  return { is: "failed", reason, verification };
}

/** Why a probe counts as failed, as the end of a sentence; null when it is good. */
export function probeFailure(probe: ProbeResult, policy: Pick<HealthPolicy, "expectStatus">): string | null {
  if (!probe.ok || probe.status === null) return probe.error ?? "no answer";
  const [low, high] = policy.expectStatus;
  if (probe.status >= low && probe.status <= high) return null;
  return `status ${probe.status}, expected ${low === high ? low : `${low} to ${high}`}`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
