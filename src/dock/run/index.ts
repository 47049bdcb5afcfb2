/** Runs server releases as processes that outlive the dock: start, watch, restart, adopt, stop. */
export type { AppSpec, AppState, Runner } from "./run.ts";
export { createRunner, type RunnerOptions } from "./runner.ts";
