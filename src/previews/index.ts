/**
 * Previews: one deployed copy for each open pull request or branch, for as long as it is open.
 *
 * - **Policy**: what a project wants previews of, for how long, and how many.
 * - **Key**: what a preview goes by: `pr-42`, or `branch-<name>` for plain git. Never a pull request's branch.
 * - **Sweep**: compares what is open with what exists and makes them equal. A webhook only has it run sooner.
 * - **Ours**: made by the sweep, or adopted by it. What people deployed by hand is theirs, and is left alone.
 * - **Closed**: everything of it is taken away. Why is remembered, so that it comes back for a reason only.
 */
export type { PreviewDeps, TriggerPreview } from "./deps.ts";
export { planSweep, type SweepStep } from "./plan-sweep.ts";
export { type PreviewPolicy, pushEnvironment } from "./policy.ts";
export type { ExistingPreview, OpenPreview, PreviewReport, PullRequests } from "./ports.ts";
export { existingPreviews, forgetClosed, readKey, readPolicy } from "./queries.ts";
export { previewRoutes } from "./routes.ts";
export { getPreviewPolicy, setPreviewPolicy } from "./set-policy.ts";
export { sweepPreviews } from "./sweep.ts";
export { type Sweeper, type SweeperOptions, startSweeper } from "./sweeper.ts";
export type { PreviewTables } from "./tables.ts";
