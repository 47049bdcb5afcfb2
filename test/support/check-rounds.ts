import { fold } from "../../src/checks/fold.ts";
import {
  type Attempt,
  DEFAULT_POLICY,
  type Failure,
  type LocationState,
  type Policy,
  type Round,
} from "../../src/checks/model.ts";
import type { FoldedRound } from "../../src/checks/record-rounds.ts";

export const REFUSED: Failure = { class: "refused", message: "Nobody listens at port 80." };

export const aPolicy = (change: Partial<Policy> = {}): Policy => ({
  ...DEFAULT_POLICY,
  intervalMs: 10_000,
  timeoutMs: 1_000,
  ...change,
});

export const good = (startedAt: number, change: Partial<Attempt> = {}): Attempt => ({
  status: "up",
  startedAt,
  latencyMs: 20,
  ...change,
});

export const bad = (startedAt: number, failure: Failure = REFUSED): Attempt => ({
  status: "down",
  startedAt,
  latencyMs: 5,
  failure,
});

export function aRound(startedAt: number, attempts: readonly Attempt[], change: Partial<Round> = {}): Round {
  const ends = attempts.map((one) => one.startedAt + one.latencyMs);
  return {
    checkId: "chk_1",
    location: "local",
    scheduledAt: startedAt,
    startedAt,
    lateMs: 0,
    endedAt: Math.max(startedAt, ...ends),
    attempts,
    untrusted: null,
    ...change,
  };
}

/** As a prober makes them: three attempts where it fails, confirmed where it is well again. */
export function roundOf(
  isUp: boolean,
  startedAt: number,
  before: LocationState | null,
  change: Partial<Round> = {},
): Round {
  const isChange = isUp === (before?.state === "down");
  const pauses = !isChange ? [0] : isUp ? [0, 100] : [0, 100, 300];
  const attempts = pauses.map((pause) => (isUp ? good(startedAt + pause) : bad(startedAt + pause)));
  return aRound(startedAt, attempts, change);
}

/** Rounds of one check at one location, each folded on the one before. */
export function foldAll(
  before: LocationState | null,
  ticks: readonly (readonly [startedAt: number, isUp: boolean])[],
  policy: Policy = aPolicy(),
  change: Partial<Round> = {},
): FoldedRound[] {
  let state = before;
  return ticks.map(([startedAt, isUp]) => {
    const round = roundOf(isUp, startedAt, state, change);
    const folded = {
      round,
      check: { id: round.checkId, policy },
      before: state,
      after: fold(state, round, policy),
    };
    state = folded.after;
    return folded;
  });
}
