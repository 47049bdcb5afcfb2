/**
 * Checks: whether things are well: what is looked after, and this process itself.
 *
 * - **live**: the process answers. Never depends on anything else.
 * - **ready**: it can do its work: the database answers and the target is reachable.
 * - **check**: one thing that is asked again and again; **round**: one time that it is, with the attempts that confirm.
 * - **fold**: from rounds to what one location says. **judge**: from locations to what is shown.
 */

export { type Answer, answerOf } from "./answer.ts";
export { CHECK_STATE_CHANNEL } from "./channels.ts";
export { nextAttemptAt, type RoundUnderWay } from "./confirm.ts";
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
export { judgeDue } from "./judge-due.ts";
export { judgeSoon } from "./queries.ts";
export { type CheckEvent, readEvents, readStates, type ShownCheck } from "./read-states.ts";
export { readUnwell } from "./read-unwell.ts";
export { keepReadiness, type Readiness, type ReadinessCheck } from "./readiness.ts";
export { type Fence, type FoldedRound, type Recorded, recordRounds } from "./record-rounds.ts";
export { healthRoutes } from "./routes.ts";
export type { CheckTables } from "./tables.ts";
