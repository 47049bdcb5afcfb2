/**
 * Gates: what holds a deployment at red, and who may turn it green.
 *
 * - **Gate**: what a deployment must pass before it takes traffic. `judgeGate` decides; the engine obeys.
 * - **Approval**: a reviewer's word on exactly what would take traffic; its **digest** names that. When anything of it
 *   changes, the approval stays on record and counts no more.
 * - **Lock**: somebody's "nothing begins here", with a reason and an end.
 * - **Freeze**: a window of the calendar, once or weekly, in which nothing takes traffic.
 * - **Break-glass**: an owner's "let it through", which is never silent.
 * - **Subject**: a deployment as its gate sees it; the engine tells it (`GateDeps.readSubject`).
 */
export { approveDeployment } from "./approve.ts";
export { breakGlass } from "./break-glass.ts";
export { createFreeze } from "./create-freeze.ts";
export { createLock } from "./create-lock.ts";
export { deleteFreeze } from "./delete-freeze.ts";
export { gateDigest } from "./digest.ts";
export type { Approval, BreakGlass, GateFacts, GatePolicy, Lock, Requester } from "./facts.ts";
export { type Freeze, type FreezeWindow, isFrozen, type Weekday } from "./freeze.ts";
export { type GateInput, type GateVerdict, judgeGate, judgeStart } from "./judge.ts";
export { type GateView, listApprovals } from "./list-approvals.ts";
export { listFreezes, listLocks, readGateFacts, type Scope } from "./queries.ts";
export { rejectDeployment } from "./reject.ts";
export { releaseLock } from "./release-lock.ts";
export { gateRoutes } from "./routes.ts";
export type { GateDeps, GateSubject } from "./subject.ts";
export type { GateTables } from "./tables.ts";
