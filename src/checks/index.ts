/**
 * Checks: whether things are well: so far, whether this process is.
 *
 * - **live**: the process answers. Never depends on anything else.
 * - **ready**: it can do its work: the database answers and the target is reachable.
 */

export { CHECK_STATE_CHANNEL } from "./channels.ts";
export { createMaintenance, LONGEST_MAINTENANCE_MS } from "./create-maintenance.ts";
export { endMaintenance } from "./end-maintenance.ts";
export { listMaintenance } from "./list-maintenance.ts";
export type { MaintenanceDeps, MaintenanceWindow } from "./maintenance.ts";
export { maintenanceRoutes } from "./maintenance-routes.ts";
export { DEFAULT_RETENTION, keepPartitions, type Retention } from "./partitions.ts";
export { readUnwell } from "./read-unwell.ts";
export { type DayBar, type Latency, readDays, readUptime, sumOfDays, type Uptime } from "./read-uptime.ts";
export { keepReadiness, type Readiness, type ReadinessCheck } from "./readiness.ts";
export { rollUp } from "./roll-up.ts";
export { healthRoutes } from "./routes.ts";
export type { CheckTables } from "./tables.ts";
