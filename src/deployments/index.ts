/**
 * Deployments: the engine that takes one commit to an environment.
 *
 * - **Deployment**: one commit on its way to one environment, or there. Its `state` moves only as `state.ts` allows.
 * - **Place** (column `slot`): what deployments compete for: the environment of a project, and for previews the
 *   pull request or the branch.
 * - **Service**: one of the things that are deployed together; each has a release of its own.
 * - **Release**: what the target made of a deployment; it can serve again without a build.
 * - **Lease**: the right to work on a deployment, for a while. Its fencing token makes a stale owner's writes fail.
 * - **Step**: what `reconcile` decides from the row and from what was observed; `advance` does one at a time.
 */
export { WAKE_CHANNEL } from "./channels.ts";
export { closePlace } from "./close-place.ts";
export { type Engine, type EngineDeps, type EngineOptions, startEngine } from "./engine.ts";
export { readGateSubject, wakeWaiting } from "./gate-subject.ts";
export { request as probeRequest } from "./observe.ts";
export type { PhaseOutlook, PlanPorts, SchemaOutlook } from "./plan-deployment-ports.ts";
export type {
  Commit,
  HealthCheck,
  HealthPolicy,
  MigrateSchema,
  Phase,
  Plan,
  Preparation,
  Prepare,
  PrepareInput,
  SchemaChange,
  ServicePreparation,
  Source,
} from "./plan-source.ts";
export type { CountersOf, Metrics, Probe, ProbeRequest, ProbeResult, ReadUnwell, Unwell } from "./ports.ts";
export { type Deployment, effectKey, type ServiceRelease, slotOf } from "./record.ts";
export { deploymentRoutes } from "./routes.ts";
export { STATES, type State } from "./state.ts";
export type { EngineTables } from "./tables.ts";
export { type Triggered, type TriggerInput, triggerDeployment } from "./trigger.ts";
export { probeFailure } from "./verify.ts";
export type { DeploymentView } from "./view.ts";
