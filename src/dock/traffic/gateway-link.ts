import {
  pushSnapshot,
  type ReleaseCounters,
  readCounters,
  readGeneration,
  type Snapshot,
} from "../../gateway/index.ts";

/** What the dock asks of a gateway, over its unix socket. */
export type GatewayLink = {
  /** Resolves once every worker serves it. @throws AppError `conflict` when the gateway has this one or a newer one. */
  push(snapshot: Snapshot): Promise<void>;
  /** 0 when it has none yet. @throws when it cannot be reached. */
  generation(): Promise<number>;
  counters(): Promise<Readonly<Record<string, ReleaseCounters>>>;
};

/** A push must reach every worker; one that takes longer than this is tried again. */
const PUSH_TIMEOUT_MS = 10_000;

export function gatewayLink(adminSocket: string): GatewayLink {
  return {
    async push(snapshot) {
      await pushSnapshot(adminSocket, snapshot, AbortSignal.timeout(PUSH_TIMEOUT_MS));
    },
    generation: () => readGeneration(adminSocket),
    counters: async () => (await readCounters(adminSocket)).releases,
  };
}
