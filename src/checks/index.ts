/**
 * Checks: whether things are well: the services of every environment, and this process itself.
 *
 * - **live**: the process answers. Never depends on anything else.
 * - **ready**: it can do its own work: the database answers and the target is reachable. What users run is not asked: a
 *   broken web app must not take the control plane out of its load balancer.
 * - **service**: a line of `GET /api/health`: one of Signalbox's own, or a check of an environment.
 */

export { CHECK_STATE_CHANNEL } from "./channels.ts";
export { readUnwell } from "./read-unwell.ts";
export { healthRoutes } from "./routes.ts";
export { type RunningHealth, startHealth } from "./start-health.ts";
export type { CheckTables } from "./tables.ts";
