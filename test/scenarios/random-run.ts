import { messageOf } from "../../src/foundation/errors.ts";
import { randomFaults } from "./faults.ts";
import { createRandom, type Random } from "./random.ts";
import { Broken, simulate } from "./simulation.ts";
import { randomActions } from "./stories.ts";

const MOST_CALLS_WITH_FAULTS = 300;

/** What happens in the run of a seed: what people do, and what goes wrong. */
export function randomRun(seed: number) {
  const random = createRandom(seed * 7_919);
  return {
    seed,
    actions: randomActions(random),
    faults: (own: Random) => randomFaults(own, MOST_CALLS_WITH_FAULTS),
  };
}

export type SeedResult = {
  readonly seed: number;
  /** Calls of ports and simulated time of both runs together. */
  readonly calls: number;
  readonly virtualMs: number;
  /** One line; null: every invariant held. */
  readonly violated: string | null;
  /** The two runs were not the same, call by call. */
  readonly differs: boolean;
  readonly trace: readonly string[];
};

type Once = Pick<SeedResult, "calls" | "virtualMs" | "violated" | "trace"> & { readonly end: string };

/** Runs a seed twice, because a run that cannot be repeated proves nothing and helps nobody. */
export async function runSeed(seed: number): Promise<SeedResult> {
  const [first, second] = [await runOnce(seed), await runOnce(seed)];
  const same = (run: Once) => JSON.stringify([run.trace, run.end, run.violated]);
  return {
    ...first,
    seed,
    calls: first.calls + second.calls,
    virtualMs: first.virtualMs + second.virtualMs,
    differs: same(first) !== same(second),
  };
}

async function runOnce(seed: number): Promise<Once> {
  try {
    const { calls, virtualMs, trace, end } = await simulate(randomRun(seed));
    return { calls, virtualMs, trace, end: end.join("\n"), violated: null };
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    const { calls, virtualMs, trace } = error;
    return { calls, virtualMs, trace, end: "", violated: firstLine(error) };
  }
}

/** What is wrong with a seed, and the command that shows it. Null: nothing. */
export function complaint({ seed, violated, differs }: SeedResult): string | null {
  if (violated === null && !differs) return null;
  return `npm run simulate -- --seed ${seed}  # ${violated ?? "two runs of it differ"}`;
}

export function firstLine(error: unknown): string {
  return messageOf(error).split("\n")[0] ?? "";
}
