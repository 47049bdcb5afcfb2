import type { HealthPolicy, Plan } from "../../src/deployments/plan-source.ts";
import type { ProbeResult } from "../../src/deployments/ports.ts";
import { NOTHING_OBSERVED, type Observed } from "../../src/deployments/reconcile.ts";
import type { Deployment, ServiceRelease } from "../../src/deployments/record.ts";
import type { State } from "../../src/deployments/state.ts";
import type { GateFacts } from "../../src/gates/index.ts";

export const T0 = new Date("2026-01-01T00:00:00Z");
export const at = (ms: number) => new Date(T0.getTime() + ms);

export const HEALTH: HealthPolicy = {
  checks: [{ type: "http", path: "/", expectStatus: [200, 399], contains: null }],
  timeoutMs: 1_000,
  intervalMs: 500,
  minHealthyMs: null,
  graceMs: 0,
  deadlineMs: 60_000,
};

export const PLAN: Plan = {
  strategy: { kind: "instant" },
  gate: { approvals: null, waitMs: 0 },
  schema: null,
  progressDeadlineMs: null,
  rollbackWindowMs: 3_600_000,
  steppedRollback: false,
  drainMs: 0,
};

/** A service that was built and took over from `dpl_<name>_1`: what most states have. */
export function aService(name: string, change: Partial<ServiceRelease> = {}): ServiceRelease {
  return {
    name,
    targetProject: name === "app" ? "shop" : `shop-${name}`,
    targetProjectId: `prj_${name}`,
    inputs: "inputs",
    health: HEALTH,
    unchanged: false,
    targetDeploymentId: `dpl_${name}_2`,
    url: `http://dpl_${name}_2.localhost`,
    urls: [`http://shop-${name}.localhost`],
    kind: "server",
    built: true,
    reused: false,
    buildStartedAtMs: null,
    verification: null,
    opened: false,
    weight: 0,
    previousTargetId: `dpl_${name}_1`,
    previousUrl: `http://dpl_${name}_1.localhost`,
    rollbackToTargetId: null,
    rollbackToUrl: null,
    ...change,
  };
}

export function aDeployment(state: State, change: Partial<Deployment> = {}): Deployment {
  return {
    id: "dep_2",
    seq: 2,
    projectId: "prj_shop",
    project: "shop",
    environment: "production",
    slot: "production",
    branch: "main",
    pullRequest: null,
    commit: { sha: "abc", message: null, dirty: false },
    source: { tree: "a" },
    force: false,
    generation: 1,
    state,
    stateSince: T0,
    deadlineAt: null,
    reason: null,
    hint: null,
    leaseToken: 1,
    leaseOwner: "w",
    leaseUntil: at(10_000),
    wakeAt: null,
    plan: PLAN,
    facts: {},
    services: [aService("app")],
    weight: 0,
    rollbackToId: null,
    rollbackOf: null,
    cleanup: null,
    contractAt: null,
    outcome: null,
    logsComplete: false,
    liveAt: null,
    retiredAt: null,
    actorId: "tok_ann",
    actor: "ann",
    idempotencyKey: null,
    createdAt: T0,
    updatedAt: T0,
    finishedAt: null,
    ...change,
  };
}

export const NO_WORD: GateFacts = { approvals: [], locks: [], freezes: [], breakGlass: null };

export const see = (change: Partial<Observed>): Observed => ({ ...NOTHING_OBSERVED, ...change });

export function answer(status: number, deploymentHeader?: string): ProbeResult {
  return { ok: true, status, latencyMs: 1, ...(deploymentHeader === undefined ? {} : { deploymentHeader }) };
}
