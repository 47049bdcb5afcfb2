import type { ProberReport, Round } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { type Canary, watchConnectivity } from "./connectivity.ts";
import { DEFAULT_LIMITS, type LimitOptions } from "./limits.ts";
import { watchLoopLag } from "./loop-lag.ts";
import { createMassRule } from "./mass-rule.ts";
import type { LoadChecks, LoadProbe } from "./ports.ts";
import { createReporter } from "./report.ts";
import { keepRoster } from "./roster.ts";
import { createRunner } from "./runner.ts";
import { Schedule } from "./schedule.ts";
import { createTimeline } from "./timeline.ts";
import { createTrust } from "./trust.ts";
import { createWriter } from "./write-behind.ts";

export type AgentOptions = {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 ≤ x < 1. */
  readonly share: () => number;
  /** What its token is for. */
  readonly location: string;
  readonly canaries: readonly Canary[];
  readonly limits?: LimitOptions;
  /** The checks of this place, all of them; their shard is 0. */
  readonly loadChecks: LoadChecks;
  readonly loadProbe: LoadProbe;
  /** Hands over what was found, oldest first. Rejects when nobody took it: it is offered again. */
  push(rounds: readonly Round[], report: ProberReport): Promise<void>;
};

/** With nothing to push: so that the other side knows that we are there, and has its list looked at. */
const SIGN_MS = 5_000;
const ONLY_SHARD: ReadonlySet<number> = new Set([0]);

/** Runs the checks of a place without a database: what is found is pushed, and kept for a while where it cannot be. */
export function startAgent(options: AgentOptions): { close(): Promise<void> } {
  const { clock, log } = options;
  const lag = watchLoopLag(clock);
  const connectivity = watchConnectivity({ clock }, options.canaries);
  const schedule = new Schedule(options.limits ?? DEFAULT_LIMITS);
  const reporter = createReporter(clock);
  const timeline = createTimeline(clock);
  const trust = createTrust({ clock, connectivity, mass: createMassRule() });
  const report = (): ProberReport => {
    const { unwritten, lagMs, dropped } = writer.report();
    if (dropped > 0) log.warn({ dropped }, "rounds were dropped: the control plane is away for too long");
    const writeLagMs = Math.round(lagMs);
    const own = { eventLoopLagP99Ms: lag.p99Ms(), connected: connectivity.last() };
    return reporter.report({ checks: schedule.size, unwritten, writeLagMs, ...own });
  };
  const writer = createWriter({
    clock,
    log,
    record: async (batch) => {
      await options.push(
        batch.map(({ round }) => round),
        report(),
      );
      return { refused: [] };
    },
    onRefused: () => {},
  });
  const parts = { ...options, lag, schedule, timeline, trust, writer, reporter };
  const runner = createRunner({ ...parts, onRound: () => {} });
  const roster = keepRoster({
    ...options,
    runner,
    readFolds: async () => new Map(),
    held: () => ONLY_SHARD,
  });
  const sign = setInterval(() => {
    roster.reload();
    if (writer.report().unwritten > 0) return;
    options.push([], report()).catch((error) => log.warn({ reason: messageOf(error) }, "nobody hears us"));
  }, SIGN_MS);
  return {
    async close() {
      clearInterval(sign);
      await roster.close();
      await runner.stop();
      await writer.close();
      lag.close();
      connectivity.close();
    },
  };
}
