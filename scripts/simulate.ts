/**
 * `npm run simulate [-- --seconds 60] [--seed 1]`: random runs of the deployment engine in a simulated world, from the
 * seed on, until the time is over. `--seed` alone: that one, with its whole trace. Each seed is run twice, and both
 * must be the same. A line for each failure says how to see it again; the exit code is then 1.
 */
import { parseArgs } from "node:util";
import { complaint, runSeed, type SeedResult } from "../test/scenarios/random-run.ts";

const DEFAULT_SECONDS = 60;
const USAGE = "Usage: npm run simulate [-- --seconds N] [--seed S], both whole numbers above 0.";

const { seconds, seed } = readArguments();
process.exit(seed !== null && seconds === null ? await showOne(seed) : await runMany(seed ?? 1, seconds));

function readArguments(): { seconds: number | null; seed: number | null } {
  try {
    const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
    return { seconds: whole(values.seconds), seed: whole(values.seed) };
  } catch {
    console.error(USAGE);
    process.exit(2);
  }
}

function whole(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(USAGE);
  return Number(text);
}

async function showOne(seed: number): Promise<number> {
  const result = await runSeed(seed);
  console.log(result.trace.join("\n"));
  const wrong = complaint(result);
  console.log(wrong ?? `Seed ${seed}: ${result.calls} calls in two equal runs, every invariant held.`);
  return wrong === null ? 0 : 1;
}

async function runMany(first: number, seconds: number | null): Promise<number> {
  const limitMs = (seconds ?? DEFAULT_SECONDS) * 1_000;
  const startedAt = performance.now();
  const sum = { seeds: 0, calls: 0, virtualMs: 0, failed: 0 };
  for (let seed = first; performance.now() - startedAt < limitMs; seed++) {
    const result = await runSeed(seed);
    add(sum, result);
    const wrong = complaint(result);
    if (wrong !== null) console.log(wrong);
  }
  const elapsedMs = performance.now() - startedAt;
  console.log(
    `${count(sum.seeds)} seeds from ${first} on, each run twice; ${sum.failed} failed. ` +
      `${count(sum.calls)} port calls, ${count((sum.calls / elapsedMs) * 1_000)} a second; ` +
      `${count(sum.virtualMs / 3_600_000)} simulated hours, ${count(sum.virtualMs / elapsedMs)} × real time.`,
  );
  return sum.failed > 0 ? 1 : 0;
}

function add(
  sum: { seeds: number; calls: number; virtualMs: number; failed: number },
  result: SeedResult,
): void {
  sum.seeds += 1;
  sum.calls += result.calls;
  sum.virtualMs += result.virtualMs;
  if (complaint(result) !== null) sum.failed += 1;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}
