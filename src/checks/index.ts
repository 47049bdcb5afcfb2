/**
 * Checks: whether things are well. So far of this process alone; the prober brings the services.
 *
 * - **live**: the process answers. Never depends on anything else.
 * - **ready**: it can do its work: the database answers and the target is reachable.
 */
export { keepReadiness, type Readiness, type ReadinessCheck } from "./readiness.ts";
export { healthRoutes } from "./routes.ts";
