import { runChaos } from "./support/chaos.ts";
import { withInstance } from "./support/instance.ts";
import type { BenchResult } from "./support/result.ts";

const DEPLOYMENTS = 100;
const KILLS = 100;

/** The chaos of `test/e2e/chaos.test.ts`, longer. Another story by `CHAOS_SEED=…`. */
export async function run(): Promise<BenchResult> {
  const seed = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const say = (line: string) => console.error(line);
  say(`CHAOS_SEED=${seed}`);
  const report = await withInstance((instance) =>
    runChaos(instance, {
      seed,
      deployments: DEPLOYMENTS,
      kills: KILLS,
      untilDone: true,
      requestsBetween: 600,
      visitors: 2,
      say,
    }),
  );
  const { lost, stuck, twoLive, early, wrongTraffic } = report;
  const wrong = lost.length + stuck.length + twoLive.length + early.length + wrongTraffic.length;
  const unexplained = report.failed.unexpected ?? 0;
  return {
    name: "chaos",
    unit: "promises broken",
    ours: wrong + unexplained,
    peers: {},
    ratios: {},
    target: `${DEPLOYMENTS} deployments under ≥ ${KILLS} kill -9: 0 lost, 0 stuck, 0 two live, 0 unexplained failures`,
    pass: wrong + unexplained === 0,
    ...report,
  };
}
