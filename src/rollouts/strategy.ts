/** How traffic moves to a new release, as written in `signalbox.yaml`. */
export type Strategy =
  | { readonly kind: "instant" }
  | {
      readonly kind: "canary";
      /** Ascending weights below 100, each held for `bakeMs`; after the last one comes 100. */
      readonly steps: readonly { readonly weight: number; readonly bakeMs: number }[];
      /** Share of 5xx answers of the canary above which it is taken back, 0 to 1. */
      readonly maxErrorRate: number;
      /** With fewer requests than this in the bake window the error share decides nothing. */
      readonly minRequests: number;
    };

/** One stage of a rollout: hold `weight` percent for `bakeMs`. The last stage has 100 and 0. */
export type Stage = { readonly weight: number; readonly bakeMs: number };

export type Counters = { readonly requests: number; readonly errors5xx: number };

/** What a rollout remembers between two looks. Kept in the deployment's row. Times in epoch ms. */
export type Rollout = {
  readonly stages: readonly Stage[];
  readonly index: number;
  /** Since when the stage's weight has been observed at the target; null: not yet. */
  readonly reachedAtMs: number | null;
  /** The release's counters when the stage was reached; null: the gateway could not be read. */
  readonly baseline: Counters | null;
  /** Failed probes in a row. */
  readonly failures: number;
  readonly lastFailure: string | null;
  /** What a reader of the result should know: "10 %: only 3 requests, too few to judge". */
  readonly notes: readonly string[];
};

export type RolloutInput = {
  readonly rollout: Rollout;
  /** Share of the traffic that the target reports for this release now, in percent. */
  readonly weight: number;
  /** A probe of the release taken just now; null: none was due. */
  readonly probe: { readonly ok: boolean; readonly detail: string } | null;
  /** Whether the main public host answered from this release; only looked at under full weight. */
  readonly publicAnswer: { readonly ok: boolean; readonly detail: string } | null;
  /** The release's counters now; null: unknown. */
  readonly counters: Counters | null;
  readonly now: Date;
};

export type RolloutStep =
  | { readonly do: "shift"; readonly weight: number; readonly rollout: Rollout }
  /** Look again at `until`, or sooner when a probe is due. */
  | { readonly do: "bake"; readonly until: Date; readonly rollout: Rollout }
  | { readonly do: "finish"; readonly rollout: Rollout }
  | { readonly do: "abort"; readonly reason: string; readonly rollout: Rollout };

/** Failed probes in a row that take a release back. One is noise; three at the probe's interval are a trend. */
export const FAILURES_TO_ABORT = 3;

export function startRollout(stages: readonly Stage[]): Rollout {
  return { stages, index: 0, reachedAtMs: null, baseline: null, failures: 0, lastFailure: null, notes: [] };
}
