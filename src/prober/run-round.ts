import {
  type Answer,
  type Attempt,
  answerOf,
  type Failure,
  nextAttemptAt,
  type Outcome,
  type Policy,
  type Round,
} from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { messageOf } from "../foundation/errors.ts";
import { explainsTimeout, isDistorted, type LoopLag } from "./loop-lag.ts";
import { storable } from "./storable.ts";
import type { Timeline } from "./timeline.ts";

/** One attempt, on a fresh connection. Never throws, by the port's contract; if it does, that is a `fault`. */
export type Look = (timeoutMs: number, signal: AbortSignal) => Promise<Outcome>;

export type RoundDeps = {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly timeline: Pick<Timeline, "now">;
  readonly lag: Pick<LoopLag, "between">;
  /** 0 ≤ x < 1. */
  readonly share: () => number;
  readonly location: string;
};

export type RoundTask = {
  readonly checkId: string;
  readonly scheduledAt: number;
  readonly policy: Policy;
  /** The location says "down": then what is good is confirmed. */
  readonly isDown: boolean;
  readonly look: Look;
  /** The first attempt has its place in the limits already; these are of the others, and of every end. */
  readonly onAttempt: () => void;
  readonly onAttemptEnd: () => void;
  /** Something failed; the round is not over. */
  readonly onDoubt: () => void;
};

/** What one attempt has come to. */
type Running = {
  readonly startedAt: number;
  readonly startedMs: number;
  readonly abort: AbortController;
  attempt: Attempt | null;
  /** It still takes a place in the limits. */
  placed: boolean;
};

/** Of many checks that saw the same thing die, not all should come back in the same millisecond. */
const JITTER_MS = 15;
/** A probe that was told to stop keeps its place in the limits for no longer. */
const LET_GO_MS = 5_000;

/** Runs a round to its end, which is `policy.timeoutMs` after its start at the latest. Null: `signal` ended it. */
export function runRound(deps: RoundDeps, task: RoundTask, signal: AbortSignal): Promise<Round | null> {
  return new Promise((resolve) => new RoundRun(deps, task, signal, resolve).begin());
}

class RoundRun {
  readonly #deps: RoundDeps;
  readonly #task: RoundTask;
  readonly #signal: AbortSignal;
  readonly #resolve: (round: Round | null) => void;
  readonly #startedMs: number;
  readonly #startedAt: number;
  readonly #runs: Running[] = [];
  readonly #answers: Answer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(deps: RoundDeps, task: RoundTask, signal: AbortSignal, resolve: (round: Round | null) => void) {
    this.#deps = deps;
    this.#task = task;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#startedMs = deps.clock.monotonicMs();
    this.#startedAt = deps.timeline.now();
  }

  begin(): void {
    this.#signal.addEventListener("abort", this.#giveUp);
    if (this.#signal.aborted) this.#giveUp();
    else this.#decide();
  }

  /** Begins what is to be begun, and arranges for the next time that there is something to decide. */
  #decide(): void {
    const { clock } = this.#deps;
    const { policy, isDown } = this.#task;
    while (!this.#over) {
      const now = clock.monotonicMs();
      const running = this.#runs.length - this.#answers.length;
      const state = { startedAt: this.#startedMs, answers: this.#answers, running, isDown };
      const next = nextAttemptAt(state, policy, now);
      if (next === "done") {
        this.#finish();
      } else if (next !== null && next <= now) {
        this.#attempt(now);
      } else {
        this.#wakeAt(next, now);
        return;
      }
    }
  }

  #wakeAt(next: number | null, now: number): void {
    const end = this.#startedMs + this.#task.policy.timeoutMs;
    // A first confirmation that is not the start of an attempt beside a running one may be spread a little.
    const spread = next !== null && this.#answers.length === this.#runs.length ? this.#jitter() : 0;
    const at = next === null ? end : Math.min(next + spread, end);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onTimer, Math.max(1, Math.ceil(at - now)));
  }

  /** After a stall of our own timers come before what lies in the sockets; that is an answer in time, too. */
  #onTimer = (): void => {
    const late = this.#deps.clock.monotonicMs() >= this.#startedMs + this.#task.policy.timeoutMs;
    if (late) setImmediate(() => this.#decide());
    else this.#decide();
  };

  #jitter(): number {
    return this.#deps.share() * Math.min(JITTER_MS, this.#task.policy.timeoutMs / 20);
  }

  #attempt(now: number): void {
    const task = this.#task;
    if (this.#runs.length > 0) task.onAttempt();
    const run: Running = {
      startedMs: now,
      startedAt: this.#startedAt + (now - this.#startedMs),
      abort: new AbortController(),
      attempt: null,
      placed: true,
    };
    this.#runs.push(run);
    const timeoutMs = Math.max(1, this.#startedMs + task.policy.timeoutMs - now);
    let outcome: Promise<Outcome>;
    try {
      outcome = task.look(timeoutMs, run.abort.signal);
    } catch (error) {
      outcome = Promise.reject(error);
    }
    outcome.then(
      (found) => this.#onAnswer(run, found),
      (error) => this.#onAnswer(run, { status: "down", failure: faultOf(error) }),
    );
  }

  #onAnswer(run: Running, outcome: Outcome): void {
    this.#letGo(run);
    if (this.#over) return;
    run.attempt = this.#attemptOf(run, outcome);
    const answer = answerOf(outcome);
    this.#answers.push(answer);
    if (answer === "failed") this.#task.onDoubt();
    this.#decide();
  }

  #attemptOf(run: Running, outcome: Outcome): Attempt {
    const now = this.#deps.clock.monotonicMs();
    const latencyMs = now - run.startedMs;
    const distorted = isDistorted(this.#deps.lag.between(run.startedMs, now), latencyMs);
    return {
      ...storable(outcome),
      startedAt: Math.floor(run.startedAt),
      latencyMs,
      ...(distorted && { distorted }),
    };
  }

  #finish(): void {
    const { checkId, scheduledAt, policy } = this.#task;
    const now = this.#deps.clock.monotonicMs();
    this.#end();
    const attempts = this.#attempts(now);
    const stalledMs = this.#deps.lag.between(this.#startedMs, now);
    const explained = attempts.some(isTimeout) && explainsTimeout(stalledMs, policy.timeoutMs);
    this.#resolve({
      checkId,
      location: this.#deps.location,
      scheduledAt,
      startedAt: Math.floor(this.#startedAt),
      lateMs: Math.max(0, this.#startedAt - scheduledAt),
      endedAt: Math.ceil(this.#startedAt + (now - this.#startedMs)),
      attempts,
      untrusted: explained && !attempts.some((attempt) => attempt.status !== "down") ? "lag" : null,
    });
  }

  /** In the order of their starts. One that was cut off by the answer to an earlier one had no time to say anything. */
  #attempts(now: number): Attempt[] {
    const atEnd = now >= this.#startedMs + this.#task.policy.timeoutMs;
    const answered = this.#runs.findLastIndex(({ attempt }) => attempt !== null);
    const counted = atEnd ? this.#runs : this.#runs.slice(0, answered + 1);
    return counted.map((run) => run.attempt ?? this.#attemptOf(run, timedOut(now - run.startedMs, atEnd)));
  }

  #giveUp = (): void => {
    if (this.#over) return;
    this.#end();
    this.#resolve(null);
  };

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#giveUp);
    const left = this.#runs.filter(({ attempt }) => attempt === null);
    if (left.length === 0) return;
    for (const run of left) run.abort.abort();
    setTimeout(() => left.forEach(this.#letGo), LET_GO_MS).unref();
  }

  #letGo = (run: Running): void => {
    if (run.placed) this.#task.onAttemptEnd();
    run.placed = false;
  };
}

function isTimeout({ failure }: Attempt): boolean {
  return failure?.class === "timeout";
}

function timedOut(waitedMs: number, atEnd: boolean): Outcome {
  const waited = `${Math.round(waitedMs)} ms`;
  const message = atEnd
    ? `No whole answer within ${waited}.`
    : `No whole answer within ${waited}, while a second connection was answered.`;
  return { status: "down", failure: { class: "timeout", message } };
}

function faultOf(error: unknown): Failure {
  return { class: "fault", message: `The probe failed: ${messageOf(error)}.` };
}
