/**
 * Rollouts: how traffic moves to a new release, and what stops it. Pure.
 *
 * - **Strategy**: what the configuration asks for: all at once, a flip that is watched, or a canary.
 * - **Stage**: a weight that is held for its bake time.
 * - **Rollout**: where a deployment is on its way through the stages; data in its row.
 * - **Analysis**: one **judgement** an interval, each of several **verdicts**: pass, fail or inconclusive. A stage is
 *   left only when each thing that it judges has passed; what is inconclusive waits for a person.
 * - **Baseline**: the release before it, which the canary is compared with.
 * - **Signal**: what a person says meanwhile: pause, resume, advance, promote, abort.
 */
export { analysisDue } from "./analysis.ts";
export { describeStrategy } from "./describe.ts";
export { INSTANT_STAGES } from "./instant.ts";
export { LATENCY_BOUNDS_MS } from "./latency.ts";
export {
  type Answer,
  type Pause,
  type QueryResult,
  type Rollout,
  type RolloutInput,
  type RolloutStep,
  type ServiceCounters,
  type Signal,
  startRollout,
  type Verdict,
  waitsForPerson,
} from "./rollout.ts";
export { nextRolloutStep } from "./rollout-step.ts";
export { planRollout, stagesOf } from "./stages.ts";
export {
  type AnalysisPolicy,
  type AnalysisQuery,
  analysisOf,
  FAILURES_TO_ABORT,
  type Stage,
  type Strategy,
} from "./strategy.ts";
export type { Counters } from "./windows.ts";
