/**
 * Checks: whether things are well: so far, whether this process is.
 *
 * - **live**: the process answers. Never depends on anything else.
 * - **ready**: it can do its work: the database answers and the target is reachable.
 */

export { CHECK_REQUEST_CHANNEL, CHECK_STATE_CHANNEL, CHECKS_CHANNEL } from "./channels.ts";
export type { CheckDeps } from "./check-deps.ts";
export { checkRoutes } from "./check-routes.ts";
export { type CheckRules, isLocal, NO_RULES, settingNames, settingsIssues } from "./check-rules.ts";
export { type LoadDeps, type LoadedCheck, listChecks } from "./load-checks.ts";
export { PROBE_TYPES, type ProbeType } from "./model.ts";
export { completePolicy, timeoutProblem } from "./policy.ts";
export { readUnwell } from "./read-unwell.ts";
export { keepReadiness, type Readiness, type ReadinessCheck } from "./readiness.ts";
export { isVariableReference } from "./references.ts";
export { healthRoutes } from "./routes.ts";
export { type ChecksPlan, type ConfiguredCheck, SEED_NAMES } from "./seeds.ts";
export { type RunningSync, startCheckSync } from "./start-sync.ts";
export type { ReadChecks } from "./sync-checks.ts";
export type { CheckTables } from "./tables.ts";
