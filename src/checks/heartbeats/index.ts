/**
 * Heartbeats: checks that are not asked. A job calls a secret address when it has done its work; silence is what is
 * found.
 *
 * - **beat**: one call of the address: a success, a start, or a failure.
 * - **deadline** (`alert_after`): when silence is the failure; the time that a beat is due, and the grace.
 * - **listening**: the times in which beats can be heard. A deadline that passed outside them says nothing of the job.
 */
export type { HeartbeatDeps } from "./deps.ts";
export { keepListening } from "./listening.ts";
export { placeHeartbeat } from "./place.ts";
export { beatRoutes, heartbeatRoutes } from "./routes.ts";
export { checkCron, type HeartbeatSchedule } from "./schedule.ts";
export { sweepHeartbeats } from "./sweep.ts";
export type { HeartbeatTables } from "./tables.ts";
