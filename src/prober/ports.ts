import type { Check, Failure, NetworkPolicy, ProbeKind, ProbeType } from "../checks/index.ts";

/** A check with all that running it needs. `settings` are as they were written, secrets filled in, not yet parsed. */
export type LoadedCheck = Check & {
  readonly shard: number;
  readonly network: NetworkPolicy | null;
  /** It cannot be run, and why: each of its rounds is this. */
  readonly problem: Failure | null;
};

/** Port: the checks of these shards. */
export type LoadChecks = (shards: readonly number[]) => Promise<readonly LoadedCheck[]>;

/** Port: a kind of probe, loaded when it is first asked for. */
export type LoadProbe = (type: ProbeType) => Promise<ProbeKind>;
