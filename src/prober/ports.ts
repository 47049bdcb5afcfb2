import type { LoadedCheck, ProbeKind, ProbeType } from "../checks/index.ts";

export type { LoadedCheck };

/** Port: the checks of these shards. */
export type LoadChecks = (shards: readonly number[]) => Promise<readonly LoadedCheck[]>;

/** Port: a kind of probe, loaded when it is first asked for. */
export type LoadProbe = (type: ProbeType) => Promise<ProbeKind>;
