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
  const { schedule, timeline, writer } = deps;
  const checks = new Map<string, LiveCheck>();
  let timer: NodeJS.Timeout | undefined;
  let soon: NodeJS.Immediate | undefined;
  let stopped = false;

  const follow = setInterval(() => {
    const way = timeline.follow();
    if (way === null) return;
    deps.log.warn({ way }, "the clock was set; the prober follows it");
    if (way === "back") schedule.replan(timeline.now());
    pump();
  }, FOLLOW_MS);

  function pump(): void {
    if (soon !== undefined || stopped) return;
    soon = setImmediate(turn);
  }

  function turn(): void {
    soon = undefined;
    clearTimeout(timer);
    if (stopped) return;
    const now = timeline.now();
    const { start, skipped, next } = schedule.turn(now);
    for (const one of skipped) skip(one, now);
    for (const tick of start) begin(tick);
    if (next === null) return;
    if (next <= now) pump();
    else timer = setTimeout(turn, Math.min(TIMER_MAX_MS, Math.max(1, Math.ceil(next - timeline.now()))));
  }

  function begin(tick: Tick): void {
    const live = checks.get(tick.id);
    if (!live) return;
    live.running = run(live, tick).finally(() => {
      live.running = null;
      if (checks.get(tick.id) !== live) return;
      schedule.ended(tick.id);
      if (schedule.isWaiting) pump();
    });
  }

  async function run(live: LiveCheck, { id, scheduledAt }: Tick): Promise<void> {
    const { check, look, host } = live;
    const { limits } = schedule;
    deps.reporter.started(Math.max(0, timeline.now() - scheduledAt));
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
    if (!live.abort.signal.aborted) keep(live, trusted);
  }

  function keep(live: LiveCheck, round: Round): void {
    const { check, state: before } = live;
    const after = fold(before, round, check.policy);
    live.state = after;
    writer.add({ round, check, before, after }, changed(before, after));
    deps.onRound(check.id, round);
    if (before?.state !== after.state || after.state === "down") replan(live);
  }

  /** A tick that did not run is a round too: of nothing, and saying why. */
  function skip({ id, scheduledAt, why }: Skipped, now: number): void {
    deps.reporter.skipped(why);
    const live = checks.get(id);
    if (!live) return;
    const at = Math.max(scheduledAt, Math.floor(now));
    const { location } = deps;
    keep(live, {
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

  function replan(live: LiveCheck): void {
    if (checks.get(live.check.id) === live) schedule.set(scheduledOf(live, timeline.now()), timeline.now());
  }

  return {
    add(live) {
      const { id } = live.check;
      const now = timeline.now();
      const known = checks.get(id);
      checks.set(id, live);
      if (known) {
        known.abort.abort();
        schedule.ended(id);
      }
      schedule.set(scheduledOf(live, now), now, known ? null : firstTick(live, now));
      pump();
    },
    get: (id) => checks.get(id),
    all: () => checks.values(),
    async remove(id, how) {
      const live = checks.get(id);
      if (!live) return;
      schedule.delete(id);
      if (how === "now") live.abort.abort();
      await live.running;
      if (checks.get(id) === live) checks.delete(id);
    },
    pump,
    async stop() {
      stopped = true;
      clearInterval(follow);
      clearTimeout(timer);
      if (soon) clearImmediate(soon);
      const running = [...checks.values()].map((live) => live.running);
      for (const live of checks.values()) live.abort.abort();
      await Promise.all(running);
    },
  };
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
