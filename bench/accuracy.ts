import { runVirtualDays, ZONES } from "./support/accuracy-days.ts";
import { shown } from "./support/accuracy-score.ts";
import type { BenchResult } from "./support/result.ts";

const DAYS = 90;
const LEAST = 0.999;

/**
 * Whether what is reported is true: 90 days of scripted trouble of every kind in virtual time, through the code that
 * confirms, folds and judges, and the arithmetic of uptime.
 */
export async function run(): Promise<BenchResult> {
  const { scores, wrongDays, withinBound } = runVirtualDays(DAYS, 1);
  const total = (read: (of: (typeof scores)[number]) => number) =>
    scores.reduce((sum, of) => sum + read(of), 0);
  const worst = Math.min(...scores.map(({ accuracy }) => accuracy));
  const [falseAlarms, missed] = [total((of) => of.falseAlarms), total((of) => of.missed)];
  return {
    name: "accuracy",
    unit: "% of true downtime reported, worst kind of fault",
    ours: Math.round(worst * 1e6) / 1e4,
    peers: {},
    ratios: {},
    target:
      "≥ 99.9 %; 0 false alarms, 0 missed outages; detection ≤ interval + timeout + 50 ms; " +
      `every day as long as it is in ${ZONES.join(", ")}`,
    pass: worst >= LEAST && falseAlarms === 0 && missed === 0 && withinBound && wrongDays.length === 0,
    falseAlarms,
    missed,
    wrongDays: wrongDays.slice(0, 20),
    withinBound,
    virtualDays: DAYS,
    rounds: total((of) => of.rounds),
    byFault: Object.fromEntries(scores.map((of) => [of.fault, shown(of)])),
  };
}
