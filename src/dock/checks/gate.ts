import type { CheckBlocks, CheckStatus } from "../resource-rows.ts";

export type GateRun = {
  readonly id: string;
  readonly serial: number;
  /** Null for a check that stands alone (version 1). */
  readonly check_id: string | null;
  readonly name: string;
  readonly blocks: CheckBlocks;
  readonly status: CheckStatus;
  readonly conclusion: string | null;
};

export type Gate =
  /** Nothing blocks. */
  | { readonly state: "none" }
  | { readonly state: "pending" }
  | { readonly state: "succeeded" }
  | { readonly state: "failed"; readonly names: readonly string[] };

const PASSED = new Set(["succeeded", "neutral", "skipped"]);

/** What the runs of a deployment say to those who may block `what`. Of a check's runs the newest counts. Pure. */
export function gateOf(runs: readonly GateRun[], what: readonly CheckBlocks[]): Gate {
  const newest = new Map<string, GateRun>();
  for (const run of runs) {
    const key = run.check_id ?? run.id;
    if ((newest.get(key)?.serial ?? -1) < run.serial) newest.set(key, run);
  }
  const blocking = [...newest.values()].filter((run) => what.includes(run.blocks));
  if (blocking.length === 0) return { state: "none" };
  const failed = blocking.filter((run) => run.status === "completed" && !PASSED.has(run.conclusion ?? ""));
  if (failed.length > 0) return { state: "failed", names: failed.map((run) => run.name) };
  return { state: blocking.every((run) => run.status === "completed") ? "succeeded" : "pending" };
}

/** What keeps automatic aliases back: to be aliased to production by itself is to be promoted. */
export const HOLDS_ALIAS: readonly CheckBlocks[] = ["deployment-alias", "deployment-promotion"];
/** What refuses a promotion that somebody asks for. */
export const HOLDS_PROMOTION: readonly CheckBlocks[] = ["deployment-promotion"];
