import { fold, type LocationState, type Round } from "../checks/index.ts";
import type { Log } from "../foundation/log.ts";
import { paceOf } from "./back-off.ts";
import type { LiveCheck } from "./live-check.ts";
import { phaseOf } from "./phase.ts";
import type { Reporter } from "./report.ts";
import { type RoundDeps, runRound } from "./run-round.ts";
import type { Schedule, Scheduled, Skipped, Tick } from "./schedule.ts";
import type { Timeline } from "./timeline.ts";
import type { Trust } from "./trust.ts";
import type { Writer } from "./write-behind.ts";

export type RunnerDeps = RoundDeps & {
  readonly timeline: Timeline;
  readonly log: Log;
  readonly schedule: Schedule;
  readonly trust: Trust;
  readonly writer: Writer;
  readonly reporter: Reporter;
  /** A round has ended and is on its way into the database. */
  onRound(checkId: string, round: Round): void;
};

export type Runner = {
  add(live: LiveCheck): void;
  get(checkId: string): LiveCheck | undefined;
  all(): Iterable<LiveCheck>;
  readonly size: number;
  /** Not begun again. Resolves when its round has ended; `now`: the round is cut off. */
  remove(checkId: string, how: "drain" | "now"): Promise<void>;
  /** Looks at what is due: after something was added, asked for, or has ended. */
  pump(): void;
  stop(): Promise<void>;
};

const FOLLOW_MS = 1_000;
const TIMER_MAX_MS = 60_000;
/** What was never asked, or not for long, is asked within so long of our taking it. */
const FIRST_WITHIN_MS = 2_000;

/** Turns ticks into rounds, and rounds into what is written: one timer for all checks. */
export function createRunner(deps: RunnerDeps): Runner {
  return new ScheduleRunner(deps);
}

class ScheduleRunner implements Runner {
  readonly #deps: RunnerDeps;
  readonly #checks = new Map<string, LiveCheck>();
  readonly #follow: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  #stopped = false;

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
    const { schedule, timeline } = deps;
    this.#follow = setInterval(() => {
      const way = timeline.follow();
      if (way === null) return;
      deps.log.warn({ way }, "the clock was set; the prober follows it");
      if (way === "back") schedule.replan(timeline.now());
      this.pump();
    }, FOLLOW_MS);
  }

  add(live: LiveCheck): void {
    const { schedule, timeline } = this.#deps;
    const { id } = live.check;
    const now = timeline.now();
    const known = this.#checks.get(id);
    this.#checks.set(id, live);
    if (known) {
      known.abort.abort();
      schedule.ended(id);
    }
    schedule.set(scheduledOf(live, now), now, known ? null : firstTick(live, now));
    this.pump();
  }

  get(id: string): LiveCheck | undefined {
    return this.#checks.get(id);
  }

  get size(): number {
    return this.#checks.size;
  }

  all(): Iterable<LiveCheck> {
    return this.#checks.values();
  }

  async remove(id: string, how: "now" | "drain"): Promise<void> {
    const live = this.#checks.get(id);
    if (!live) return;
    this.#deps.schedule.delete(id);
    if (how === "now") {
      // Gone at once: it may come back, with what others have said of it, before its round has let go.
      live.abort.abort();
      this.#checks.delete(id);
    }
    await live.running;
    if (this.#checks.get(id) === live) this.#checks.delete(id);
  }

  pump(): void {
    if (this.#soon !== undefined || this.#stopped) return;
    this.#soon = setImmediate(this.#turn);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#follow);
    clearTimeout(this.#timer);
    if (this.#soon) clearImmediate(this.#soon);
    const running = [...this.#checks.values()].map((live) => live.running);
    for (const live of this.#checks.values()) live.abort.abort();
    await Promise.all(running);
  }

  #turn = (): void => {
    this.#soon = undefined;
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const { schedule, timeline } = this.#deps;
    const now = timeline.now();
    const { start, skipped, next } = schedule.turn(now);
    for (const one of skipped) this.#skip(one, now);
    for (const tick of start) this.#begin(tick);
    if (next === null) return;
    if (next <= now) this.pump();
    else this.#sleep(Math.ceil(next - timeline.now()));
  };

  #sleep(ms: number): void {
    this.#timer = setTimeout(this.#turn, Math.min(TIMER_MAX_MS, Math.max(1, ms)));
  }

  #begin(tick: Tick): void {
    const { schedule } = this.#deps;
    const live = this.#checks.get(tick.id);
    if (!live) return;
    live.running = this.#run(live, tick).finally(() => {
      live.running = null;
      if (this.#checks.get(tick.id) !== live) return;
      schedule.ended(tick.id);
      if (schedule.isWaiting) this.pump();
    });
  }

  async #run(live: LiveCheck, { id, scheduledAt }: Tick): Promise<void> {
    const deps = this.#deps;
    const { check, look, host } = live;
    const { limits } = deps.schedule;
    deps.reporter.started(Math.max(0, deps.timeline.now() - scheduledAt));
    const wasDown = live.state?.state === "down";
    const task = {
      checkId: id,
      scheduledAt,
      policy: check.policy,
      isDown: wasDown,
      look,
      onAttempt: () => limits.take(host),
      onAttemptEnd: () => limits.give(host),
      onDoubt: () => deps.trust.doubt(host),
    };
    const round = await runRound(deps, task, live.abort.signal);
    if (!round) return;
    const weighed = deps.trust.weigh(round, { host, wasDown, intervalMs: check.policy.intervalMs });
    const trusted = weighed instanceof Promise ? await weighed : weighed;
    if (!live.abort.signal.aborted) this.#keep(live, trusted);
  }

  #keep(live: LiveCheck, round: Round): void {
    const { check, state: before } = live;
    const after = fold(before, round, check.policy);
    live.state = after;
    this.#deps.writer.add({ round, check, before, after }, changed(before, after));
    this.#deps.onRound(check.id, round);
    if (before?.state !== after.state || after.state === "down") this.#replan(live);
  }

  /** A tick that did not run is a round too: of nothing, and saying why. */
  #skip({ id, scheduledAt, why }: Skipped, now: number): void {
    const { location, reporter } = this.#deps;
    reporter.skipped(why);
    const live = this.#checks.get(id);
    if (!live) return;
    const at = Math.max(scheduledAt, Math.floor(now));
    this.#keep(live, {
      checkId: id,
      location,
      scheduledAt,
      startedAt: at,
      lateMs: at - scheduledAt,
      endedAt: at,
      attempts: [],
      untrusted: why,
    });
  }

  #replan(live: LiveCheck): void {
    const { schedule, timeline } = this.#deps;
    const isKnown = this.#checks.get(live.check.id) === live;
    if (isKnown) schedule.set(scheduledOf(live, timeline.now()), timeline.now());
  }
}

function scheduledOf({ check, host, state }: LiveCheck, now: number): Scheduled {
  const { intervalMs, priority } = check.policy;
  const pace = paceOf(state, check.policy, now);
  return { id: check.id, intervalMs, phase: phaseOf(check.id, intervalMs), host, priority, pace };
}

/** Null: its phase is soon enough. */
function firstTick({ check: { id, policy }, state }: LiveCheck, now: number): number | null {
  const heardMs = state?.lastAt == null ? Number.POSITIVE_INFINITY : now - state.lastAt;
  if (heardMs < policy.intervalMs) return null;
  return Math.ceil(now) + phaseOf(id, Math.ceil(Math.min(FIRST_WITHIN_MS, policy.intervalMs / 2)));
}

function changed(before: LocationState | null, after: LocationState): boolean {
  return before?.state !== after.state;
}
