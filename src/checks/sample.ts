import { answerOf } from "./answer.ts";
import type { Attempt, FailureClass, Phases, Round, State } from "./model.ts";

/** A round as it was found, whatever is made of it. */
export type Sample = {
  readonly status: State;
  readonly latencyMs: number | null;
  /** Whether the latency tells of the service: it answered well, and we were not held up ourselves. */
  readonly isMeasured: boolean;
  readonly failureClass: FailureClass | null;
  /** Null: nothing to say. */
  readonly details: SampleDetails | null;
};

export type SampleDetails = {
  readonly message?: string;
  readonly phases?: Phases;
  readonly observed?: NonNullable<Attempt["observed"]>;
  /** Where there was more than one. */
  readonly attempts?: readonly Attempt[];
};

/** While it was down, one failed attempt decides; otherwise a good one does. The attempt that decides is the sample. */
export function sampleOf({ attempts, untrusted }: Round, wasDown: boolean): Sample {
  const decisive =
    attempts.findLast((one) => answerOf(one) === (wasDown ? "failed" : "good")) ?? attempts.at(-1);
  if (decisive === undefined) {
    return { status: "unknown", latencyMs: null, isMeasured: false, failureClass: null, details: null };
  }
  const { failure, phases, observed } = decisive;
  const isKnown = untrusted === null && answerOf(decisive) !== "nothing";
  const details: SampleDetails = {
    ...(failure ? { message: failure.message } : {}),
    ...(phases ? { phases } : {}),
    ...(observed ? { observed } : {}),
    ...(attempts.length > 1 ? { attempts } : {}),
  };
  return {
    status: isKnown ? decisive.status : "unknown",
    latencyMs: decisive.latencyMs,
    isMeasured: isKnown && answerOf(decisive) === "good" && !decisive.distorted,
    failureClass: failure?.class ?? null,
    details: Object.keys(details).length > 0 ? details : null,
  };
}
