import { complaint, runSeed } from "../test/scenarios/random-run.ts";
import type { BenchResult } from "./support/result.ts";

const SEEDS = 1_000;
const WARM_UP_SEEDS = 50;
const TARGET_CALLS_PER_SECOND = 20_000;

/**
 * How much of the engine's life a second of one core proves: random runs under faults, each twice, every invariant
 * checked after every call that may change something. CPU time of this process is what counts, since the simulation
 * waits for nothing: on a busy machine the wall clock measures the neighbours.
 */
export async function run(): Promise<BenchResult> {
  for (let seed = 1; seed <= WARM_UP_SEEDS; seed++) await runSeed(SEEDS + seed);
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  const wrong: string[] = [];
  let [calls, virtualMs, differing, violated] = [0, 0, 0, 0];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const result = await runSeed(seed);
    calls += result.calls;
    virtualMs += result.virtualMs;
    if (result.differs) differing += 1;
    if (result.violated !== null) violated += 1;
    const line = complaint(result);
    if (line !== null) wrong.push(line);
  }
  const cpu = process.cpuUsage(cpuBefore);
  const cpuMs = (cpu.user + cpu.system) / 1_000;
  const wallMs = performance.now() - startedAt;
  const perSecond = Math.round((calls / cpuMs) * 1_000);
  return {
    name: "simulation",
    unit: "port calls a second of one core",
    ours: perSecond,
    peers: {},
    ratios: {},
    target:
      `≥ ${TARGET_CALLS_PER_SECOND.toLocaleString("en")} calls a second of CPU time; ` +
      `0 of ${SEEDS.toLocaleString("en")} seeds differ when run again, 0 violate an invariant`,
    pass: perSecond >= TARGET_CALLS_PER_SECOND && differing === 0 && violated === 0,
    perSecondOfWallTime: Math.round((calls / wallMs) * 1_000),
    calls,
    differing,
    violated,
    simulatedHours: Math.round(virtualMs / 3_600_000),
    timesRealTime: Math.round(virtualMs / wallMs),
    wrong: wrong.slice(0, 20),
  };
}
