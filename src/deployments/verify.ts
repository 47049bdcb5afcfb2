import type { HealthPolicy } from "./plan-source.ts";
import type { ProbeResult } from "./ports.ts";
import type { Deployment, ServiceRelease, Verification } from "./record.ts";

/** Default of `min_healthy_time` for releases that run a process. Nomad's 10 s in production; elsewhere speed wins. */
const MIN_HEALTHY_PRODUCTION_MS = 10_000;
const MIN_HEALTHY_MS = 1_000;

export function minHealthyMs(
  { environment }: Pick<Deployment, "environment">,
  { kind, health }: Pick<ServiceRelease, "kind" | "health">,
): number {
  if (health.minHealthyMs !== null) return health.minHealthyMs;
  // Files do not crash after a while: one good answer proves them.
  if (kind === "static") return 0;
  return environment === "production" ? MIN_HEALTHY_PRODUCTION_MS : MIN_HEALTHY_MS;
}

export type Verdict =
  | { readonly is: "healthy"; readonly verification: Verification }
  | { readonly is: "waiting"; readonly verification: Verification }
  | { readonly is: "failed"; readonly reason: string; readonly verification: Verification };

/**
 * Folds one round of probes into the verdict. Healthy for `minHealthy` ms without a gap is healthy; a failed probe
 * starts the period again; past the deadline only a period that is under way may still finish.
 */
export function judge(
  before: Verification | null,
  probes: readonly ProbeResult[],
  policy: HealthPolicy,
  times: { readonly now: Date; readonly since: Date; readonly minHealthyMs: number },
): Verdict {
  const now = times.now.getTime();
  const elapsed = now - times.since.getTime();
  const failure = probeFailure(probes, policy);
  if (failure === null) {
    const healthySinceMs = before?.healthySinceMs ?? now;
    const verification = { healthySinceMs, lastFailure: before?.lastFailure ?? null };
    return { is: now - healthySinceMs >= times.minHealthyMs ? "healthy" : "waiting", verification };
  }
  const isStarting = elapsed < policy.graceMs;
  const verification = { healthySinceMs: null, lastFailure: isStarting ? null : failure };
  if (elapsed < policy.graceMs + policy.deadlineMs) return { is: "waiting", verification };
  const reason =
    `It did not stay healthy for ${seconds(times.minHealthyMs)} within ` +
    `${seconds(policy.graceMs + policy.deadlineMs)}. Last probe: ${failure}.`;
  return { is: "failed", reason, verification };
}

/** Why a round of probes counts as failed, as the end of a sentence; null when all are good. */
export function probeFailure(
  probes: readonly ProbeResult[],
  policy: Pick<HealthPolicy, "checks">,
): string | null {
  for (const [index, check] of policy.checks.entries()) {
    const probe = probes[index];
    // The public host is asked the first check only.
    if (!probe) continue;
    const what =
      check.type === "tcp" ? "tcp" : check.type === "http" ? check.path : `websocket ${check.path}`;
    if (!probe.ok) return `${what}: ${probe.error ?? "no answer"}`;
    if (check.type !== "http") continue;
    const [low, high] = check.expectStatus;
    if (probe.status === null) return `${what}: ${probe.error ?? "no answer"}`;
    if (probe.status >= low && probe.status <= high) continue;
    return `${what}: status ${probe.status}, expected ${low === high ? low : `${low} to ${high}`}`;
  }
  return null;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
