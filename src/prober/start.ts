import {
  CHECK_REQUEST_CHANNEL,
  CHECKS_CHANNEL,
  type CheckTables,
  type Fence,
  type FoldedRound,
  type ProberReport,
} from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import type { Log } from "../foundation/log.ts";
import type { Notifier } from "../foundation/notify.ts";
import { type Chores, startChores } from "./chores.ts";
import { type Canary, watchConnectivity } from "./connectivity.ts";
import { type HeldShards, holdShards } from "./hold-shards.ts";
import { DEFAULT_LIMITS, type LimitOptions } from "./limits.ts";
import { watchLoopLag } from "./loop-lag.ts";
import { createMassRule } from "./mass-rule.ts";
import type { LoadChecks, LoadProbe } from "./ports.ts";
import {
  answerRequests as answerRows,
  beat,
  forgetLost,
  forgetProber,
  openRequests,
  readFolds,
} from "./queries.ts";
import { createReporter } from "./report.ts";
import { answerRequests } from "./requests.ts";
import { keepRoster, type Roster } from "./roster.ts";
import { createRunner } from "./runner.ts";
import { Schedule } from "./schedule.ts";
import { createTimeline, type Timeline } from "./timeline.ts";
import { createTrust } from "./trust.ts";
import { createWriter, type Writer } from "./write-behind.ts";

export type ProberOptions = {
  readonly db: Database<CheckTables>;
  /** Listens on CHECKS_CHANNEL and CHECK_REQUEST_CHANNEL. */
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 ≤ x < 1. */
  readonly share: () => number;
  readonly id: string;
  readonly location: string;
  readonly canaries: readonly Canary[];
  readonly limits?: LimitOptions;
  readonly loadChecks: LoadChecks;
  readonly loadProbe: LoadProbe;
  readonly chores: Chores;
  /** Writes rounds, as far as the fence allows. */
  record(batch: readonly FoldedRound[], fence: Fence): Promise<{ readonly refused: readonly string[] }>;
};

export type RunningProber = { report(): ProberReport; close(): Promise<void> };

/** A prober's row goes when it was not seen for so long. */
const LOST_MS = 60_000;

/** Runs the checks of a location, beside the other probers of it. Resolves when the first rounds may begin. */
export async function startProber(options: ProberOptions): Promise<RunningProber> {
  const { db, clock, log, location, id, notifier } = options;
  const lag = watchLoopLag(clock);
  const connectivity = watchConnectivity({ clock }, options.canaries);
  const schedule = new Schedule(options.limits ?? DEFAULT_LIMITS);
  const reporter = createReporter(clock);
  const timeline = createTimeline(clock);
  const trust = createTrust({ clock, connectivity, mass: createMassRule() });

  const writer = createWriter({
    clock,
    log,
    record: (batch) => options.record(batch, { location, owner: id, tokens: shards.tokens() }),
    // Taken over by another prober, or retired. Which of the two, the tables say.
    onRefused: (ids) => {
      log.info({ checks: ids.length }, "rounds of checks that are not ours any more were not written");
      lookAgain();
    },
  });
  const requests = takeRequests(options, timeline, (checkId) => {
    const asked = schedule.ask(checkId);
    if (asked) runner.pump();
    return asked;
  });
  const running = { ...options, lag, schedule, timeline, trust, writer, reporter };
  const runner = createRunner({ ...running, onRound: requests.onRound });

  const report = () => reportOf({ log, reporter, writer, schedule, lag, connectivity });
  const identity = { id, location, startedAt: clock.now() };
  const chores = await startChores({ ...options, held: () => [...shards.tokens().keys()] });
  await forgetLost(db, location, new Date(clock.now().getTime() - LOST_MS));
  const sayWell = async () => {
    // What was said while nobody listened is found here.
    requests.look();
    await beat(db, identity, report(), clock.now());
  };
  const shards = holdOurs(options, { beat: sayWell, roster: () => roster, writer });
  const roster = keepRoster({
    ...options,
    runner,
    readFolds: (ids) => readFolds(db, location, ids),
    held: () => new Set(shards.tokens().keys()),
  });
  const lookAgain = () => {
    roster.reload();
    shards.wake();
  };
  const unlisten = [
    notifier.listen(CHECKS_CHANNEL, lookAgain, lookAgain),
    notifier.listen(CHECK_REQUEST_CHANNEL, requests.look, requests.look),
  ];
  return {
    report,
    async close() {
      for (const end of unlisten) end();
      // In this order: what runs ends and is written while the shares are still ours.
      for (const close of [
        chores.close,
        roster.close,
        () => runner.stop(),
        () => writer.close(),
        shards.close,
      ])
        await close();
      await forgetProber(db, id).catch(() => {});
      lag.close();
      connectivity.close();
    },
  };
}

function holdOurs(
  options: ProberOptions,
  parts: { beat(): Promise<void>; roster(): Roster; readonly writer: Writer },
): HeldShards {
  return holdShards({
    ...options,
    owner: options.id,
    beat: parts.beat,
    onClaimed: (claimed) => parts.roster().reload(claimed),
    onLost: (lost) => void parts.roster().drop(lost, "now"),
    drain: async (going) => {
      await parts.roster().drop(going, "drain");
      await parts.writer.flush();
    },
  });
}

type Reporting = {
  readonly log: Log;
  readonly reporter: ReturnType<typeof createReporter>;
  readonly writer: Writer;
  readonly schedule: Schedule;
  readonly lag: ReturnType<typeof watchLoopLag>;
  readonly connectivity: ReturnType<typeof watchConnectivity>;
};

function reportOf({ log, reporter, writer, schedule, lag, connectivity }: Reporting): ProberReport {
  const { unwritten, lagMs, dropped } = writer.report();
  if (dropped > 0) log.warn({ dropped }, "rounds were dropped: the database is away for too long");
  return reporter.report({
    checks: schedule.size,
    unwritten,
    writeLagMs: Math.round(lagMs),
    eventLoopLagP99Ms: lag.p99Ms(),
    connected: connectivity.last(),
  });
}

function takeRequests(
  { db, clock, log }: ProberOptions,
  timeline: Timeline,
  ask: (checkId: string) => boolean,
) {
  return answerRequests({
    clock,
    log,
    timeline,
    read: (since) => openRequests(db, since),
    answer: (ids, round) => answerRows(db, ids, round, clock.now()),
    ask,
  });
}
