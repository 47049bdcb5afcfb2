import { afterAll, beforeAll, expect, test } from "vitest";
import type { EngineTables } from "../../src/deployments/tables.ts";
import { createDatabase, type Database } from "../../src/foundation/db.ts";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { crashAt, NO_FAULTS, randomFaults } from "./faults.ts";
import { createRandom, type Random } from "./random.ts";
import { type Action, type App, simulate } from "./simulation.ts";

let database: FreshDatabase;
let db: Database<EngineTables>;
beforeAll(async () => {
  database = await freshDatabase({ migrations: ["control"] });
  db = createDatabase<EngineTables>(database.pool);
});
afterAll(() => database[Symbol.asyncDispose]());

const run = (options: Parameters<typeof simulate>[1]) => simulate({ db, pool: database.pool }, options);

const CANARY = {
  kind: "canary",
  steps: [{ weight: 10, bakeMs: 3_000 }],
  maxErrorRate: 0.02,
  minRequests: 20,
} as const;
const good: App = { build: "ready", kind: "server", health: "good", strategy: { kind: "instant" } };
const deploy = (app: App, branch = "main"): Action => ({ do: "deploy", app, branch });
const settle: Action = { do: "work", turns: 2_000 };

/** A first release, a canary that proves itself, one that turns bad under traffic, and a rollback by hand. */
const STORY: readonly Action[] = [
  deploy(good),
  settle,
  deploy({ ...good, strategy: CANARY }),
  settle,
  deploy({ ...good, health: "turns_bad", strategy: CANARY }),
  settle,
  { do: "rollback" },
];

test("the story without faults: live, superseded, taken back, and taken back by hand", async () => {
  const { end } = await run({ seed: 1, actions: STORY, faults: () => NO_FAULTS });
  expect(end.map((line) => line.split(" ")[1])).toEqual(["live", "rolled_back", "rolled_back"]);
});

const CHANGES = /claim|commit|prepare|build|shift|rollback/;

test("a crash before or after any single call of a port changes nothing about how the story ends", async () => {
  const clean = await run({ seed: 1, actions: STORY, faults: () => NO_FAULTS });
  const calls = clean.trace.filter((line) => !line.startsWith("--"));
  // After a call that only looks is the same moment as before the next one.
  const crashes = calls.flatMap((call, at) => [
    { at, call, when: "before" as const },
    ...(CHANGES.test(call) ? [{ at, call, when: "after" as const }] : []),
  ]);
  const failures: string[] = [];
  await inParallel(crashes, async ({ at, call, when }) => {
    try {
      const { end } = await run({ seed: 1, actions: STORY, faults: () => crashAt(at, when) });
      const states = end.map((line) => line.split(" ")[1]);
      expect(states).toEqual(clean.end.map((line) => line.split(" ")[1]));
    } catch (error) {
      failures.push(`crash ${when} call ${at} (${call}): ${error instanceof Error ? error.message : error}`);
    }
  });
  expect(failures).toEqual([]);
  expect(crashes.length).toBeGreaterThan(100);
}, 240_000);

// One seed by hand: SEED=123 npx vitest run test/scenarios/simulation.test.ts; more of them: SEEDS=1000 npx vitest …
const COUNT = Number(process.env.SEEDS ?? 60);
const SEEDS = process.env.SEED
  ? [Number(process.env.SEED)]
  : Array.from({ length: COUNT }, (_, at) => at + 1);

test("whatever goes wrong, and whatever people do meanwhile: the invariants hold, and all comes to rest", async () => {
  const failures: string[] = [];
  await inParallel(SEEDS, async (seed) => {
    try {
      await run(randomRun(seed));
    } catch (error) {
      const what = error instanceof Error ? (process.env.SEED ? error.stack : error.message) : error;
      failures.push(`SEED=${seed} npx vitest run test/scenarios/simulation.test.ts  # ${what}`);
    }
  });
  expect(failures).toEqual([]);
}, 600_000);

test("the same seed gives the same run, call by call", async () => {
  for (const seed of [3, 7, 11]) {
    const [first, second] = [await run(randomRun(seed)), await run(randomRun(seed))];
    expect(second.trace).toEqual(first.trace);
    expect(second.end).toEqual(first.end);
  }
});

function randomRun(seed: number) {
  const random = createRandom(seed * 7_919);
  const actions = Array.from({ length: 3 + random.below(5) }, () => randomAction(random)).flat();
  return { seed, actions, faults: (own: Random) => randomFaults(own, 200) };
}

function randomAction(random: Random): Action[] {
  const app: App = {
    build: random.chance(0.15) ? "error" : "ready",
    kind: random.pick(["static", "server"]),
    health: random.pick(["good", "good", "good", "bad", "slow", "turns_bad"]),
    strategy: random.pick([{ kind: "instant" }, CANARY]),
  };
  const action = random.pick<Action>([
    deploy(app),
    deploy(app),
    deploy(app, "fix"),
    { do: "rollback" },
    { do: "cancel" },
  ]);
  return [action, { do: "work", turns: random.pick([0, 3, 10, 200]) }];
}

/** A few at a time: the runs are independent, and mostly wait for the database. */
async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: 4 }, lane));
}
