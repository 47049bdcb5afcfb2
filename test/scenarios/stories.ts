import type { AnalysisPolicy, Strategy } from "../../src/rollouts/index.ts";
import type { Random } from "./random.ts";
import type { Action } from "./simulation.ts";
import type { App, SimulatedService } from "./world.ts";

export const ANALYSIS: AnalysisPolicy = {
  intervalMs: 1_000,
  maxErrorRate: 0.02,
  maxLatencyMs: null,
  compare: false,
  confidence: 0.95,
  tolerance: 0.25,
  effectSize: 1,
  minRequests: 10,
  failureLimit: 1,
  queries: [],
};

export const CANARY: Strategy = {
  kind: "canary",
  steps: [
    { weight: 0, bakeMs: 2_000 },
    { weight: 10, bakeMs: 5_000 },
  ],
  analysis: ANALYSIS,
};
export const BLUE_GREEN: Strategy = { kind: "blue_green", watchMs: 6_000, analysis: ANALYSIS };
const INSTANT: Strategy = { kind: "instant" };

const web: SimulatedService = { name: "web", build: "ready", kind: "server", health: "good", inputs: "w1" };
const api: SimulatedService = { ...web, name: "api", inputs: "a1" };
export const ONE: App = { services: [web], strategy: INSTANT };
const TWO: App = { services: [api, web], strategy: INSTANT };
const APPROVED: NonNullable<App["gate"]> = {
  approvals: { required: 2, reviewers: [], selfApproval: false, expiresMs: 1_800_000 },
  waitMs: 0,
};

const deploy = (app: App, more: Partial<Action & { do: "deploy" }> = {}): Action => ({
  do: "deploy",
  app,
  ...more,
});
const settle: Action = { do: "work", turns: 5_000 };
const some = (turns: number): Action => ({ do: "work", turns });

/** The main ways of the engine, each as a user would tell it. Swept by a crash at every call. */
export const STORIES: Readonly<Record<string, { actions: readonly Action[]; end: readonly string[] }>> = {
  "a canary proves itself, the next turns bad and is taken back, and a person goes back once more": {
    actions: [
      deploy(ONE),
      settle,
      deploy({ ...ONE, strategy: CANARY }),
      settle,
      deploy({ services: [{ ...web, health: "turns_bad" }], strategy: CANARY }),
      settle,
      { do: "rollback" },
      settle,
    ],
    end: ["live", "rolled_back", "rolled_back"],
  },
  "two services shift in order, one keeps its release, and a bad one takes both back": {
    actions: [
      deploy(TWO),
      settle,
      deploy({ services: [api, { ...web, inputs: "w2" }], strategy: BLUE_GREEN }),
      settle,
      deploy({
        services: [
          { ...api, inputs: "a2" },
          { ...web, inputs: "w3", health: "faulty" },
        ],
        strategy: CANARY,
      }),
      settle,
    ],
    end: ["superseded", "live", "rolled_back"],
  },
  "an approved deployment expands, goes live, and contracts when its window is closed": {
    actions: [
      deploy(ONE),
      settle,
      deploy({ ...ONE, gate: APPROVED, expand: ["1.sql", "2.sql"], contract: ["3.sql"], hold: true }),
      some(60),
      { do: "approve", by: "ann" },
      { do: "approve", by: "bob" },
      settle,
      { do: "rollback" },
    ],
    end: ["superseded", "live"],
  },
  "approvals of something else do not count, and nobody's word is no approval": {
    actions: [
      deploy(ONE),
      settle,
      deploy({ ...ONE, gate: APPROVED }),
      some(60),
      { do: "approve", by: "ann", stale: true },
      { do: "approve", by: "bob", stale: true },
      settle,
    ],
    end: ["live", "rejected"],
  },
  "a preview is closed, and nothing of it is left": {
    actions: [
      deploy(ONE, { pullRequest: 7 }),
      settle,
      deploy(ONE, { pullRequest: 7, key: "delivery-1" }),
      { do: "redeliver" },
      settle,
      { do: "close_preview", pullRequest: 7 },
      settle,
    ],
    end: ["superseded", "superseded"],
  },
  "a release goes back by steps": {
    actions: [
      deploy(ONE),
      settle,
      deploy({ ...ONE, strategy: CANARY, stepped: true }),
      settle,
      { do: "rollback" },
      settle,
    ],
    end: ["live", "rolled_back"],
  },
};

/** One deployment with a migration, locked for a while after so many turns. */
export function lockAfter(turns: number): Action[] {
  const app = { ...ONE, expand: MIGRATIONS.slice(0, 1), hold: true };
  return [deploy(app), some(turns), { do: "lock", forMs: 60_000 }, settle];
}

/** A run of anything, out of a seed. */
export function randomActions(random: Random): Action[] {
  return Array.from({ length: 3 + random.below(6) }, () => randomStep(random)).flat();
}

function randomStep(random: Random): Action[] {
  const action = random.pick<() => Action>([
    () => deploy(randomApp(random)),
    () => deploy(randomApp(random)),
    () => deploy(randomApp(random), { key: `delivery-${random.below(3)}` }),
    () => deploy(randomApp(random), { branch: "fix" }),
    () => deploy(randomApp(random), { pullRequest: 1 + random.below(2) }),
    () => ({ do: "close_preview", pullRequest: 1 + random.below(2) }),
    () => ({ do: "redeliver" }),
    () => ({ do: "rollback", stepped: random.chance(0.3) }),
    () => ({ do: "cancel" }),
    () => ({ do: "signal", kind: random.pick(["pause", "resume", "advance", "promote", "abort"] as const) }),
    () => ({ do: "approve", by: random.pick(["ann", "bob", "cy"]), stale: random.chance(0.2) }),
    () => ({ do: "reject", by: "ann" }),
    () => ({ do: "break_glass" }),
    () => ({ do: "lock", forMs: random.pick([5_000, 600_000]) }),
  ])();
  return [action, some(random.pick([0, 3, 10, 40, 200, 1_500]))];
}

function randomApp(random: Random): App {
  const service = (name: string): SimulatedService => ({
    name,
    build: random.chance(0.1) ? "error" : "ready",
    kind: random.pick(["static", "server"]),
    health: random.pick(["good", "good", "good", "good", "bad", "slow", "turns_bad", "faulty"]),
    inputs: random.pick(["1", "2"]),
  });
  const files = random.below(4);
  return {
    services: random.chance(0.4) ? [service("api"), service("web")] : [service("web")],
    strategy: random.pick([INSTANT, CANARY, BLUE_GREEN, MANUAL]),
    ...(random.chance(0.2) ? { gate: { ...APPROVED, waitMs: random.pick([0, 30_000]) } } : {}),
    ...(random.chance(0.3) ? { expand: MIGRATIONS.slice(0, files), hold: random.chance(0.5) } : {}),
    ...(random.chance(0.2) ? { contract: CONTRACTS.slice(0, files) } : {}),
    stepped: random.chance(0.2),
  };
}

const MANUAL: Strategy = { ...CANARY, steps: [{ weight: 20, bakeMs: null }] };
const MIGRATIONS = ["1.sql", "2.sql", "3.sql"];
const CONTRACTS = ["8.sql", "9.sql"];

/** A canary, and a person who takes it over: afterwards, or with the fault `overtaken` in the middle of a call. */
export function overtakenBy(person: "rollback" | "cancel"): readonly Action[] {
  return [deploy(ONE), settle, deploy({ ...ONE, strategy: CANARY }), settle, { do: person }, settle];
}
