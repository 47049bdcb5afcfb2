/**
 * Checks: whether things are well: so far, whether this process is.
 *
 * - **live**: the process answers. Never depends on anything else.
 * - **ready**: it can do its work: the database answers and the target is reachable.
 */

export { CHECK_REQUEST_CHANNEL, CHECK_STATE_CHANNEL, CHECKS_CHANNEL } from "./channels.ts";
export { type LoadDeps, type LoadedCheck, listChecks } from "./load-checks.ts";
export { readUnwell } from "./read-unwell.ts";
export { keepReadiness, type Readiness, type ReadinessCheck } from "./readiness.ts";
export { healthRoutes } from "./routes.ts";
export type { CheckTables } from "./tables.ts";
