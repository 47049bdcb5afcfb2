import type { Preparation, PrepareInput } from "./plan-source.ts";

export type PhaseOutlook = {
  readonly pending: readonly string[];
  readonly applied: readonly string[];
  /** Why a run would refuse. */
  readonly problems: readonly string[];
};

/** A commit's migrations against the database. Null: there are none, or the database could not be asked. */
export type SchemaOutlook = {
  readonly expand: PhaseOutlook | null;
  readonly contract: PhaseOutlook | null;
  /** What pending statements do to those who use the tables meanwhile, one sentence each. */
  readonly locking: readonly string[];
  readonly warnings: readonly string[];
};

/** Ports: what only a plan asks for. */
export type PlanPorts = {
  /** Changes nothing. Only asked when the commit has migrations. */
  readonly readSchema: (
    input: PrepareInput & { readonly projectId: string },
    preparation: Preparation,
    signal: AbortSignal,
  ) => Promise<SchemaOutlook>;
};

/** Where nobody can be asked, nothing is promised. */
export const NO_PLANNING: PlanPorts = {
  readSchema: async () => ({ expand: null, contract: null, locking: [], warnings: [] }),
};
