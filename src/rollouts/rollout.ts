import type { Stage } from "./strategy.ts";
import type { Counters, ServiceWindow } from "./windows.ts";

/** A person's signal. Folded by ascending id, each once. */
export type Signal = {
  readonly id: number;
  readonly kind: "pause" | "resume" | "advance" | "promote" | "abort";
  readonly by: string;
  readonly reason: string | null;
};

/** What one judgement said of one thing. */
export type Verdict = {
  readonly atMs: number;
  /** Observed when it was judged. */
  readonly weight: number;
  /** `errors`, `latency` (limits), `error-share`, `latency-average` (comparison), `query:<name>`, `probe`, `check`. */
  readonly name: string;
  readonly is: "pass" | "fail" | "inconclusive";
  /** The numbers and their limits, in plain words. */
  readonly reason: string;
};

/** Held until a person says more. `person`: they paused it. `inconclusive`: a bake ended and too little is known. */
export type Pause = {
  readonly sinceMs: number;
  readonly kind: "person" | "inconclusive";
  /** Who; `analysis` when it is inconclusive. */
  readonly by: string;
  readonly reason: string | null;
};

/** All that a rollout remembers between two looks: JSON, bounded, kept in the deployment's row. Times in epoch ms. */
export type Rollout = {
  readonly stages: readonly Stage[];
  readonly index: number;
  /** A weight of 0 cannot be told from nothing by looking; whether it was asked for. */
  readonly opened: boolean;
  /** Since when the stage's weight has been observed at the target; null: not yet. */
  readonly reachedAtMs: number | null;
  /** Time in this stage that a person's pause took; it is no bake time. */
  readonly heldMs: number;
  /** The stage's bake is over whatever the clock says: a person ended it, or it was found well. */
  readonly bakeOver: boolean;
  readonly paused: Pause | null;
  /** When the next judgement is due; null: nothing is judged now. */
  readonly nextAnalysisAtMs: number | null;
  /** Names of what passed in this stage. */
  readonly passed: readonly string[];
  /** Failed judgements in a row. */
  readonly failedInRow: number;
  /** What was counted since the stage was reached, by service. */
  readonly windows: readonly ServiceWindow[];
  /** The newest last. */
  readonly verdicts: readonly Verdict[];
  /** Failed probes in a row. */
  readonly failures: number;
  readonly lastFailure: string | null;
  /** Failed probes in a row of the release before it, while this one answered. */
  readonly baselineFailures: number;
  /** Id of the newest signal that was folded. */
  readonly lastSignal: number;
  /** What a reader of the result should know: "10 %: 3 requests, none were asked for". */
  readonly notes: readonly string[];
  /** Why it was aborted, which is final. */
  readonly aborted: string | null;
};

export type Answer = { readonly ok: boolean; readonly detail: string };

export type QueryResult = {
  readonly name: string;
  readonly value: number | null;
  readonly error: string | null;
};

/** The counters now of one service's canary and of its baseline. */
export type ServiceCounters = {
  readonly service: string;
  /** Null: the gateway has counted nothing for it. */
  readonly canary: Counters | null;
  /** Null: there is no release before it (one that merely had no request has zeros). */
  readonly baseline: Counters | null;
};

export type RolloutInput = {
  readonly rollout: Rollout;
  /** Share of the traffic that the target reports now, in percent; the lowest of the services that change. */
  readonly weight: number;
  /** A probe of the release taken just now; null: none was due. */
  readonly probe: Answer | null;
  /** A probe of the release before it; null: there is none, or nobody looked. */
  readonly baselineProbe: Answer | null;
  /** Whether the main public host answered from this release; only looked at under full weight. */
  readonly publicAnswer: Answer | null;
  /** By service; null: the gateway could not be read. */
  readonly counters: readonly ServiceCounters[] | null;
  /** Answers to the policy's queries; null: they were not asked (see `analysisDue`). */
  readonly queries: readonly QueryResult[] | null;
  readonly signals: readonly Signal[];
  /** The prober's word against it, as a sentence; null: there is none. */
  readonly unwell: string | null;
  readonly now: Date;
};

export type RolloutStep =
  | { readonly do: "shift"; readonly weight: number; readonly rollout: Rollout }
  /** Look again at `until`, or sooner when a probe is due. Not after `now`: at the next probe. */
  | { readonly do: "bake"; readonly until: Date; readonly rollout: Rollout }
  /** Wait for a person. Probes and the limit of errors still count. */
  | { readonly do: "paused"; readonly rollout: Rollout }
  | { readonly do: "finish"; readonly rollout: Rollout }
  | { readonly do: "abort"; readonly reason: string; readonly rollout: Rollout };

const VERDICTS_KEPT = 50;
const NOTES_KEPT = 20;

/** What is forgotten when a stage begins, or begins anew. */
const FRESH_STAGE = {
  opened: false,
  reachedAtMs: null,
  heldMs: 0,
  bakeOver: false,
  nextAnalysisAtMs: null,
  passed: [],
  failedInRow: 0,
  windows: [],
} as const satisfies Partial<Rollout>;

export function startRollout(stages: readonly Stage[]): Rollout {
  return {
    ...FRESH_STAGE,
    stages,
    index: 0,
    paused: null,
    verdicts: [],
    failures: 0,
    lastFailure: null,
    baselineFailures: 0,
    lastSignal: 0,
    notes: [],
    aborted: null,
  };
}

/** At the beginning of the stage `index`: not reached, nothing known. */
export function enterStage(rollout: Rollout, index: number): Rollout {
  return { ...rollout, ...FRESH_STAGE, index };
}

/** The stage that it is in; past the last one it stays there. */
export function stageOf(rollout: Rollout): Stage {
  return rollout.stages[rollout.index] ?? { weight: 100, bakeMs: 0 };
}

export function isLastStage(rollout: Rollout): boolean {
  return rollout.index >= rollout.stages.length - 1;
}

/** Everything, and nothing to watch: the stage ends as soon as the public host was seen to answer from it. */
export function isEnd(rollout: Rollout): boolean {
  const { weight, bakeMs } = stageOf(rollout);
  return isLastStage(rollout) && weight === 100 && (bakeMs === 0 || rollout.bakeOver);
}

/** When the stage's bake ends; null: not reached yet, or only a person ends it. */
export function bakedAtMs(rollout: Rollout): number | null {
  const { bakeMs } = stageOf(rollout);
  if (rollout.reachedAtMs === null || bakeMs === null) return null;
  return rollout.reachedAtMs + rollout.heldMs + bakeMs;
}

/** True while only a person moves it on: it is paused, or its stage has no end. Deadlines should not run meanwhile. */
export function waitsForPerson(rollout: Rollout): boolean {
  if (rollout.aborted !== null) return false;
  return rollout.paused !== null || (rollout.reachedAtMs !== null && stageOf(rollout).bakeMs === null);
}

export function withVerdicts(rollout: Rollout, verdicts: readonly Verdict[]): Rollout {
  if (verdicts.length === 0) return rollout;
  return { ...rollout, verdicts: [...rollout.verdicts, ...verdicts].slice(-VERDICTS_KEPT) };
}

export function withNote(rollout: Rollout, note: string): Rollout {
  if (rollout.notes.includes(note)) return rollout;
  return { ...rollout, notes: [...rollout.notes, note].slice(-NOTES_KEPT) };
}
