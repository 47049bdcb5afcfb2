/**
 * Checks: whether things are well: the services of every environment, and this process itself.
 *
 * - **live**: the process answers. Never depends on anything else.
 * - **ready**: it can do its own work: the database answers and the target is reachable. What users run is not asked: a
 *   broken web app must not take the control plane out of its load balancer.
 * - **check**: one thing that is asked again and again; **round**: one time that it is, with the attempts that confirm.
 * - **fold**: from rounds to what one location says. **judge**: from locations to what is shown.
 * - **service**: a line of `GET /api/health`: one of Signalbox's own, or a check of an environment.
 */

export { type AgentCheck, AT_HOME } from "./agents/agent-work.ts";
export { agentRoutes, proberRoutes } from "./agents/routes.ts";
export type { AgentTables } from "./agents/tables.ts";
export { type Answer, answerOf } from "./answer.ts";
export { CHECK_REQUEST_CHANNEL, CHECK_STATE_CHANNEL, CHECKS_CHANNEL, SHARDS } from "./channels.ts";
export type { CheckDeps } from "./check-deps.ts";
export { checkRoutes } from "./check-routes.ts";
export { type CheckRules, isLocal, NO_RULES, settingNames, settingsIssues } from "./check-rules.ts";
export { nextAttemptAt, type RoundUnderWay } from "./confirm.ts";
export { createMaintenance, LONGEST_MAINTENANCE_MS } from "./create-maintenance.ts";
export { endMaintenance } from "./end-maintenance.ts";
export { fold } from "./fold.ts";
export {
  beatRoutes,
  type HeartbeatDeps,
  type HeartbeatTables,
  heartbeatRoutes,
  keepListening,
  placeHeartbeat,
  sweepHeartbeats,
} from "./heartbeats/index.ts";
export { bucketOf, type Histogram, quantile } from "./histogram.ts";
export { judgeDue } from "./judge-due.ts";
export { listMaintenance } from "./list-maintenance.ts";
export { type LoadDeps, type LoadedCheck, listChecks } from "./load-checks.ts";
export type { MaintenanceDeps, MaintenanceWindow } from "./maintenance.ts";
export { maintenanceRoutes } from "./maintenance-routes.ts";
export {
  type Attempt,
  type Check,
  DEFAULT_POLICY,
  type Failure,
  type FailureClass,
  LOCAL,
  type LocationState,
  NO_VERDICT,
  type Outcome,
  type Policy,
  PROBE_TYPES,
  type ProbeType,
  type Round,
} from "./model.ts";
export { DEFAULT_RETENTION, keepPartitions, type Retention } from "./partitions.ts";
export { completePolicy, timeoutProblem } from "./policy.ts";
export type { NetworkPolicy, ProbeContext, ProbeKind } from "./probe-kind.ts";
export { judgeSoon } from "./queries.ts";
export { type CheckEvent, readEvents, readStates, type ShownCheck } from "./read-states.ts";
export { readUnwell } from "./read-unwell.ts";
export { type DayBar, type Latency, readDays, readUptime, sumOfDays, type Uptime } from "./read-uptime.ts";
export { type Fence, type FoldedRound, type Recorded, recordRounds } from "./record-rounds.ts";
export { isVariableReference } from "./references.ts";
export { rollUp } from "./roll-up.ts";
export { healthRoutes } from "./routes.ts";
export { type ChecksPlan, type ConfiguredCheck, SEED_NAMES } from "./seeds.ts";
export { type RunningHealth, startHealth } from "./start-health.ts";
export { type RunningSync, startCheckSync } from "./start-sync.ts";
export type { ReadChecks } from "./sync-checks.ts";
export type { CheckTables, ProberReport } from "./tables.ts";
