/**
 * The gateway: serves every deployment's traffic.
 *
 * - **snapshot**: everything it serves, whole and numbered by *generation*; pushed by the dock, kept on disk.
 * - **host**: a name that visitors use; its **targets** are the releases that share its requests, by weight.
 * - **release**: one deployment's files and process (`dpl_…`).
 * - **rollout**: one split of a host's traffic; a visitor stays with their release by a signed **sticky cookie**.
 * - **primary** and **workers**: the primary holds the admin socket and the state file, the workers serve.
 * - **hold**: a host's requests wait, for a bounded time.
 * - **drain**: a release or a worker that gets nothing new finishes what it has.
 */
export {
  type GatewayCounters,
  pushSnapshot,
  readCounters,
  readGeneration,
  reloadGateway,
} from "./admin-client.ts";
export * from "./snapshot.ts";
export { type GatewayOptions, type RunningGateway, startGateway } from "./start.ts";
export { snapshotProblems } from "./validate.ts";
