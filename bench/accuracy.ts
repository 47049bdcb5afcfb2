import { runVirtualDays, ZONES } from "./support/accuracy-days.ts";
import { runLive } from "./support/accuracy-live.ts";
import { shown, sumOf } from "./support/accuracy-score.ts";
import { runStress } from "./support/accuracy-stress.ts";
import type { BenchResult } from "./support/result.ts";

const DAYS = 90;
const LIVE_S = 300;
const PROBES = 100_000;
const LEAST = 0.999;

/**
 * Whether what is reported is true. 90 days of scripted trouble of every kind in virtual time, through the code that
 * confirms, folds and judges, and the arithmetic of uptime; five minutes of the same for real, with targets that break
 * and the prober's own loop; and 100,000 looks at a healthy target while every core is wanted by others.
 */
export async function run(): Promise<BenchResult> {
  const virtual = runVirtualDays(DAYS, 1);
  const { scores, wrongDays } = virtual;
  const live = await runLive(LIVE_S, 1);
  const stress = await runStress(PROBES);
  const worst = Math.min(...scores.map(({ accuracy }) => accuracy));
  const all = [...scores, ...live.scores];
  const [falseAlarms, missed] = [sumOf(all, (of) => of.falseAlarms), sumOf(all, (of) => of.missed)];
  const isTrue = worst >= LEAST && live.accuracy >= LEAST && falseAlarms === 0 && missed === 0;
  const isQuick = virtual.withinBound && live.withinBound;
  return {
    name: "accuracy",
    unit: "% of true downtime reported, worst kind of fault",
    ours: Math.round(worst * 1e6) / 1e4,
    peers: {},
    ratios: {},
    target:
      "≥ 99.9 %; 0 false alarms, 0 missed outages; detection ≤ interval + timeout + 50 ms; " +
      `every day as long as it is in ${ZONES.join(", ")}; 0 false DOWN under stress`,
    pass: isTrue && isQuick && wrongDays.length === 0 && stress.falseDown === 0 && stress.probes >= PROBES,
    virtual: {
      days: DAYS,
      rounds: sumOf(scores, (of) => of.rounds),
      wrongDays: wrongDays.slice(0, 20),
      withinBound: virtual.withinBound,
      byFault: Object.fromEntries(scores.map((of) => [of.fault, shown([of])])),
    },
    live: {
      seconds: LIVE_S,
      accuracyPercent: Math.round(live.accuracy * 1e6) / 1e4,
      withinBound: live.withinBound,
      missedTicks: live.missedTicks,
      latenessP99Ms: live.latenessP99Ms,
      byFault: live.byFault,
    },
    stress,
  };
}
