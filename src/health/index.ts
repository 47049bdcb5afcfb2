/**
 * Health: the endpoints that load balancers, orchestrators and people ask. Published as `signalbox/health`; it imports
 * nothing but Node, so that any Node app can mount it for its own dependencies.
 *
 * - **check**: looks at one dependency, in a background loop of its own; nobody who asks ever waits for one.
 * - **stale**: a result older than its check's `maxAgeMs`; it counts as down, for nobody knows better.
 * - **live**: this process makes progress. Never depends on anything else.
 * - **ready**: every critical check is up, none is stale, and the process is not ending.
 */
export { type Answer, jsonAnswer, sendAnswer } from "./answer.ts";
export { createHealth } from "./create-health.ts";
export type {
  CheckOptions,
  CheckResult,
  Health,
  HealthBody,
  HealthOptions,
  HealthRequest,
  ServiceBody,
} from "./options.ts";
