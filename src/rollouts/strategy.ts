/** How traffic moves to a new release, as written in `signalbox.yaml`. */
export type Strategy =
  | { readonly kind: "instant" }
  | {
      readonly kind: "blue_green";
      /** How long the release is watched under all traffic before it counts as live; 0: not at all. */
      readonly watchMs: number;
      readonly analysis: AnalysisPolicy;
    }
  | {
      readonly kind: "canary";
      /** Ascending weights below 100, the first may be 0; after the last one comes 100. */
      readonly steps: readonly Stage[];
      readonly analysis: AnalysisPolicy;
    };

/** One stage of a rollout. A weight of 0 is reachable by header or cookie only. */
export type Stage = {
  /** Whole percent, 0 to 100. */
  readonly weight: number;
  /** How long it is held once it was observed; null: until a person advances it. */
  readonly bakeMs: number | null;
};

/** What takes a release back while it has a part of the traffic, and what has to be known before it gets more. */
export type AnalysisPolicy = {
  /** One judgement each; a bake that is compared is judged six times at least, however short it is. */
  readonly intervalMs: number;
  /** Share of the canary's answers that may be 5xx, 0 to 1; null: not judged. */
  readonly maxErrorRate: number | null;
  /** Highest 95th percentile of the canary's time to first byte; null: not judged. */
  readonly maxLatencyMs: number | null;
  /** Whether it is compared with the release before it, in the same intervals: error share and latency. */
  readonly compare: boolean;
  /** Of the comparison, 0 to 1. */
  readonly confidence: number;
  /** Part of the estimated difference that the lower end of its confidence interval has to exceed. */
  readonly tolerance: number;
  /** Ratio of the means from which a difference counts. Kayenta's `allowedIncrease`. */
  readonly effectSize: number;
  /** With fewer requests of a service in the stage nothing is known of it; 0: traffic is not asked for. */
  readonly minRequests: number;
  /** Failed judgements in a row that take it back. */
  readonly failureLimit: number;
  /** Questions to Prometheus. */
  readonly queries: readonly AnalysisQuery[];
};

/** One number from Prometheus and where it has to lie, ends included; null: no limit. */
export type AnalysisQuery = {
  readonly name: string;
  readonly endpoint: string;
  readonly query: string;
  readonly max: number | null;
  readonly min: number | null;
};

/** Failed probes in a row that take a release back. One is noise; three at the probe's interval are a trend. */
export const FAILURES_TO_ABORT = 3;

/** What is judged under this strategy; null: probes only. */
export function analysisOf(strategy: Strategy): AnalysisPolicy | null {
  return strategy.kind === "instant" ? null : strategy.analysis;
}
