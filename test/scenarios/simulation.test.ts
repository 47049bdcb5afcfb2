import { expect, test } from "vitest";
import { crashAt, NO_FAULTS } from "./faults.ts";
import { complaint, firstLine, randomRun, runSeed } from "./random-run.ts";
import { simulate } from "./simulation.ts";
import { lockAfter, overtakenBy, STORIES } from "./stories.ts";

const statesOf = (end: readonly string[]) => end.map((line) => line.split(" ")[1]);

test.each(Object.entries(STORIES))("without faults: %s", async (_name, { actions, end }) => {
  const result = await simulate({ seed: 1, actions, faults: () => NO_FAULTS });
  expect(statesOf(result.end), result.end.join("\n")).toEqual(end);
});

test.each(Object.entries(STORIES))(
  "a crash before or after any single call of a port changes nothing about how it ends: %s",
  async (name, { actions }) => {
    const clean = await simulate({ seed: 1, actions, faults: () => NO_FAULTS });
    const failures: string[] = [];
    for (let at = 0; at < clean.calls; at++) {
      for (const when of ["before", "after"] as const) {
        try {
          const { end } = await simulate({ seed: 1, actions, faults: () => crashAt(at, when) });
          expect(statesOf(end)).toEqual(statesOf(clean.end));
        } catch (error) {
          failures.push(`crash ${when} call ${at} of "${name}": ${firstLine(error)}`);
        }
      }
    }
    expect(failures).toEqual([]);
    expect(clean.calls).toBeGreaterThan(50);
  },
  120_000,
);

test.each([
  "rollback",
  "cancel",
] as const)("a traffic change under way at a %s may land late, and is made good", async (person) => {
  const actions = overtakenBy(person);
  const clean = await simulate({ seed: 1, actions, faults: () => NO_FAULTS });
  const calls = clean.trace.filter((line) => !line.startsWith("--"));
  const changes = [...calls.keys()].filter((at) => /target\.(shift|rollback)/.test(calls[at] ?? ""));
  for (const at of changes) {
    const faults = () => (index: number) => (index === at ? ("overtaken" as const) : ("none" as const));
    await simulate({ seed: 1, actions, faults });
  }
  expect(changes.length).toBeGreaterThan(2);
});

test("a lock that comes at any moment before traffic holds it until it is over", async () => {
  for (let turns = 1; turns <= 40; turns++) {
    const { end } = await simulate({ seed: 1, actions: lockAfter(turns), faults: () => NO_FAULTS });
    expect(statesOf(end), `lock after ${turns} turns`).toEqual(["live"]);
  }
});

// One by hand: `npm run simulate -- --seed 123`; for longer: `npm run simulate -- --seconds 600`.
const SEEDS = Array.from({ length: 1_000 }, (_, index) => index + 1);
const SEEDS_RUN_TWICE = 100;

test("whatever goes wrong, and whatever people do meanwhile: the invariants hold, and all comes to rest", async () => {
  const failures: string[] = [];
  for (const seed of SEEDS.slice(SEEDS_RUN_TWICE)) {
    try {
      await simulate(randomRun(seed));
    } catch (error) {
      failures.push(`npm run simulate -- --seed ${seed}  # ${firstLine(error)}`);
    }
  }
  expect(failures).toEqual([]);
}, 240_000);

test("the same seed gives the same run, call by call", async () => {
  const failures: string[] = [];
  for (const seed of SEEDS.slice(0, SEEDS_RUN_TWICE)) {
    const wrong = complaint(await runSeed(seed));
    if (wrong !== null) failures.push(wrong);
  }
  expect(failures).toEqual([]);
}, 120_000);
