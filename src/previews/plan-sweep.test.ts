import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PreviewMemory, planSweep, type SweepInput, type SweepStep } from "./plan-sweep.ts";
import { DEFAULT_POLICY, type PreviewPolicy } from "./policy.ts";
import type { ExistingPreview, OpenPreview } from "./ports.ts";

const DAY_MS = 86_400_000;
const NOW = new Date("2026-03-10T12:00:00Z");
const daysAgo = (days: number) => new Date(NOW.getTime() - days * DAY_MS);

const GITHUB: PreviewPolicy = { ...DEFAULT_POLICY, source: "github", repository: "acme/shop" };

function pull(number: number, commit = "a".repeat(40), changes: Partial<OpenPreview> = {}): OpenPreview {
  return {
    key: `pr-${number}`,
    pullRequest: number,
    branch: `feature-${number}`,
    commit,
    title: "A change",
    author: "octocat",
    url: null,
    baseBranch: "main",
    fork: false,
    cloneUrl: "https://github.com/acme/shop.git",
    ...changes,
  };
}

function branch(name: string, commit = "a".repeat(40)): OpenPreview {
  return { ...pull(0, commit), key: `branch-${name}`, pullRequest: null, branch: name };
}

function preview(of: OpenPreview, changes: Partial<ExistingPreview> = {}): ExistingPreview {
  return {
    key: of.key,
    pullRequest: of.pullRequest,
    branch: of.branch,
    commit: of.commit,
    newestDeploymentId: `dep_${of.key}`,
    state: "live",
    liveAt: daysAgo(1),
    createdAt: daysAgo(1),
    lastActivityAt: daysAgo(1),
    url: "http://preview.localhost",
    ...changes,
  };
}

const ours = (
  of: { key: string },
  closed: PreviewMemory["closed"] = null,
  source = "github",
): PreviewMemory => ({
  key: of.key,
  source,
  closed,
});
const plan = (input: Partial<SweepInput>) =>
  planSweep({ open: [], existing: [], memory: [], policy: GITHUB, now: NOW, ...input });
const shown = (steps: readonly SweepStep[]) => steps.map(({ kind, key, why }) => `${kind} ${key}: ${why}`);

describe("a pull request", () => {
  it("is deployed when it is open, and left alone once its head is", () => {
    expect(plan({ open: [pull(42)] })).toEqual([
      {
        kind: "deploy",
        key: "pr-42",
        pullRequest: 42,
        branch: "feature-42",
        commit: "a".repeat(40),
        why: "It was opened.",
      },
    ]);
    const there = { open: [pull(42)], existing: [preview(pull(42))], memory: [ours(pull(42))] };
    expect(shown(plan(there))).toEqual(["keep pr-42: Pull request #42 is open."]);
  });

  it("is deployed again when its head moved, under the same key although its branch was renamed", () => {
    const renamed = pull(42, "b".repeat(40), { branch: "other-name" });
    const steps = plan({ open: [renamed], existing: [preview(pull(42))], memory: [ours(pull(42))] });
    expect(steps).toMatchObject([
      { kind: "deploy", key: "pr-42", branch: "other-name", commit: "b".repeat(40) },
    ]);
  });

  it("is not deployed again because it failed; the next push is", () => {
    const failed = preview(pull(42), { state: "failed" });
    const kept = plan({ open: [pull(42)], existing: [failed], memory: [ours(pull(42))] });
    expect(shown(kept)[0]).toContain("is failed, and the next push is deployed");
    const pushed = plan({ open: [pull(42, "b")], existing: [failed], memory: [ours(pull(42))] });
    expect(pushed[0]?.kind).toBe("deploy");
  });

  it("loses its preview when it is closed, and has it again when it is reopened", () => {
    const there = { existing: [preview(pull(42))], memory: [ours(pull(42))] };
    expect(shown(plan(there))).toEqual(["close pr-42: pull request closed"]);
    const closed = {
      kind: "gone",
      reason: "pull request closed",
      commit: "a".repeat(40),
      newestDeploymentId: "x",
    };
    const reopened = plan({ open: [pull(42)], memory: [ours(pull(42), closed as PreviewMemory["closed"])] });
    expect(shown(reopened)).toEqual(["deploy pr-42: It is open again."]);
  });

  it("expires after its time, and comes back only when its head moves", () => {
    const old = preview(pull(42), { lastActivityAt: daysAgo(7) });
    const input = { open: [pull(42)], existing: [old], memory: [ours(pull(42))] };
    expect(shown(plan(input))).toEqual(["close pr-42: expired after 7 d"]);
    expect(plan({ ...input, policy: { ...GITHUB, ttlMs: null } })[0]?.kind).toBe("keep");
    const closed = {
      kind: "expired",
      reason: "expired",
      commit: "a".repeat(40),
      newestDeploymentId: "x",
    } as const;
    const memory = [ours(pull(42), closed)];
    expect(plan({ open: [pull(42)], memory })[0]?.kind).toBe("skip");
    expect(plan({ open: [pull(42, "b")], memory })[0]?.kind).toBe("deploy");
  });

  it("of a fork gets none, and is told why, unless the policy allows forks", () => {
    const open = [pull(7, "c", { fork: true, cloneUrl: "https://github.com/eve/shop.git" })];
    expect(shown(plan({ open }))[0]).toContain("would run with this project's variables");
    expect(plan({ open, policy: { ...GITHUB, forks: true } })[0]?.kind).toBe("deploy");
  });

  it("closed by a person stays closed until its head moves", () => {
    const closed = {
      kind: "person",
      reason: "closed by ann",
      commit: "a".repeat(40),
      newestDeploymentId: "x",
    } as const;
    const memory = [ours(pull(42), closed)];
    expect(shown(plan({ open: [pull(42)], memory }))[0]).toContain("closed by ann");
    expect(plan({ open: [pull(42, "b")], memory })[0]?.kind).toBe("deploy");
  });

  it("whose closing was cut short is closed again before anything else happens to it", () => {
    const existing = preview(pull(42));
    const closed = {
      kind: "gone",
      reason: "pull request closed",
      commit: null,
      newestDeploymentId: "dep_pr-42",
    } as const;
    const steps = plan({ open: [pull(42, "b")], existing: [existing], memory: [ours(pull(42), closed)] });
    expect(shown(steps)).toEqual(["close pr-42: pull request closed"]);
  });
});

describe("the limit", () => {
  const open = [1, 2, 3].map((number) => pull(number));

  it("gives free places to the newest pull requests, and says so to the others", () => {
    const steps = shown(plan({ open, policy: { ...GITHUB, limit: 2 } }));
    expect(steps.map((line) => line.slice(0, 11))).toEqual(["deploy pr-3", "deploy pr-2", "skip pr-1: "]);
  });

  it("lets those that have a preview keep it", () => {
    const there = { existing: [preview(pull(1))], memory: [ours(pull(1))], policy: { ...GITHUB, limit: 1 } };
    expect(plan({ open, ...there }).map(({ kind, key }) => `${kind} ${key}`)).toEqual([
      "keep pr-1",
      "skip pr-3",
      "skip pr-2",
    ]);
  });

  it("lowered, takes those that were longest without a push", () => {
    const existing = open.map((each, at) => preview(each, { lastActivityAt: daysAgo(at + 1) }));
    const steps = plan({
      open,
      existing,
      memory: open.map((each) => ours(each)),
      policy: { ...GITHUB, limit: 1 },
    });
    expect(shown(steps.filter(({ kind }) => kind === "close"))).toEqual([
      "close pr-2: over the limit of 1",
      "close pr-3: over the limit of 1",
    ]);
  });
});

describe("what is not the sweep's", () => {
  it("stays, whatever the policy: a branch that was deployed by hand", () => {
    const byHand = [preview(branch("wip"))];
    for (const policy of [GITHUB, DEFAULT_POLICY]) {
      expect(shown(plan({ existing: byHand, policy }))[0]).toContain("made by hand");
    }
  });

  it("goes when the policy ends: what the sweep made", () => {
    const there = { existing: [preview(pull(1))], memory: [ours(pull(1))] };
    expect(shown(plan({ ...there, policy: DEFAULT_POLICY }))).toEqual(["close pr-1: policy none"]);
  });

  it("is never the default branch, nor one with an environment of its own", () => {
    const policy = { ...GITHUB, source: "branches" as const, deployOnPush: { next: "staging" as const } };
    const open = ["main", "next", "pr-9", "fix/login", "docs/x"].map((name) => branch(name));
    const steps = plan({ open, policy: { ...policy, exclude: ["docs/**"] } });
    expect(steps.filter(({ kind }) => kind === "deploy").map(({ key }) => key)).toEqual([
      "branch-fix/login",
      "branch-pr-9",
    ]);
  });
});

type World = { open: OpenPreview[]; existing: ExistingPreview[]; memory: PreviewMemory[] };

/** What the shell does with the steps, as a model. */
function apply(world: World, steps: readonly SweepStep[], policy: PreviewPolicy, round: number): World {
  const existing = new Map(world.existing.map((each) => [each.key, each]));
  const memory = new Map(world.memory.map((each) => [each.key, each]));
  for (const step of steps) {
    const at = existing.get(step.key);
    const open = world.open.find(({ key }) => key === step.key);
    if (step.kind === "deploy" && open) {
      const newestDeploymentId = `dep_${step.key}_${round}`;
      existing.set(step.key, preview(open, { newestDeploymentId, state: "queued", lastActivityAt: NOW }));
    }
    if (step.kind === "deploy" || (step.kind === "keep" && step.ours)) {
      memory.set(step.key, ours(step, null, policy.source));
    }
    if (step.kind === "close" && at) {
      existing.delete(step.key);
      const commit = open?.commit ?? at.commit;
      const closed = { kind: step.as, reason: step.why, commit, newestDeploymentId: at.newestDeploymentId };
      memory.set(step.key, ours(step, closed, policy.source));
    }
  }
  return { open: world.open, existing: [...existing.values()], memory: [...memory.values()] };
}

const changes = (steps: readonly SweepStep[]) =>
  steps.filter(({ kind }) => kind === "deploy" || kind === "close");

const commits = fc.constantFrom("a".repeat(40), "b".repeat(40), null);
const openOnes = fc.uniqueArray(
  fc.record({
    number: fc.integer({ min: 1, max: 12 }),
    commit: commits,
    fork: fc.boolean(),
    plain: fc.boolean(),
  }),
  { selector: ({ number, plain }) => `${number}${plain}`, maxLength: 14 },
);
const existingOnes = fc.uniqueArray(
  fc.record({
    number: fc.integer({ min: 1, max: 12 }),
    plain: fc.boolean(),
    commit: commits,
    age: fc.integer({ min: 0, max: 14 }),
    state: fc.constantFrom("live", "failed", "queued", "building", "superseded"),
    known: fc.constantFrom("ours", "by hand", "other source", "closing", "closed before"),
  }),
  { selector: ({ number, plain }) => `${number}${plain}`, maxLength: 14 },
);
const policies = fc.record({
  source: fc.constantFrom("github", "branches", "none"),
  limit: fc.integer({ min: 0, max: 10 }),
  forks: fc.boolean(),
  ttlMs: fc.constantFrom(null, DAY_MS, 7 * DAY_MS),
  exclude: fc.constantFrom([], ["feature-1*"]),
});

const worlds = fc.record({ openOnes, existingOnes, policies }).map(({ openOnes, existingOnes, policies }) => {
  const policy = { ...GITHUB, ...policies } as PreviewPolicy;
  const of = (number: number, plain: boolean, commit: string | null) =>
    plain ? { ...branch(`b${number}`), commit } : { ...pull(number), commit };
  const open = openOnes.map(({ number, plain, commit, fork }) => ({ ...of(number, plain, commit), fork }));
  const existing = existingOnes.map(({ number, plain, commit, age, state }) =>
    preview(of(number, plain, commit), { state: state as "live", lastActivityAt: daysAgo(age) }),
  );
  const memory = existingOnes.flatMap(({ number, plain, known }): PreviewMemory[] => {
    const { key } = of(number, plain, null);
    const closed = { kind: "person", reason: "closed by ann", commit: null } as const;
    if (known === "by hand") return [];
    if (known === "other source") return [ours({ key }, null, "other")];
    if (known === "closing") return [ours({ key }, { ...closed, newestDeploymentId: `dep_${key}` })];
    if (known === "closed before") return [ours({ key }, { ...closed, newestDeploymentId: "dep_old" })];
    return [ours({ key }, null, policy.source)];
  });
  return { policy, world: { open, existing, memory } };
});

describe("whatever is open and exists", () => {
  const ofWorlds = (check: (policy: PreviewPolicy, world: World) => void) =>
    fc.assert(
      fc.property(worlds, ({ policy, world }) => check(policy, world)),
      { numRuns: 2_000 },
    );
  const planOf = (policy: PreviewPolicy, world: World) => planSweep({ ...world, policy, now: NOW });

  it("converges: once the steps are done, and what was closed may be made again, there are none", () => {
    ofWorlds((policy, before) => {
      let world = before;
      for (let round = 0; round < 3; round++) world = apply(world, planOf(policy, world), policy, round);
      expect(changes(planOf(policy, world))).toEqual([]);
    });
  });

  it("never closes what is ours, open, allowed and fresh while there is room", () => {
    ofWorlds((policy, world) => {
      const roomy = { ...policy, limit: 1_000 };
      const skipped = new Set(
        planOf(roomy, { ...world, existing: [], memory: [] }).flatMap(({ kind, key }) =>
          kind === "skip" ? [key] : [],
        ),
      );
      for (const step of planOf(roomy, world).filter(({ kind }) => kind === "close")) {
        const existing = world.existing.find(({ key }) => key === step.key);
        const memory = world.memory.find(({ key }) => key === step.key);
        const open = world.open.some(({ key }) => key === step.key) && !skipped.has(step.key);
        const fresh = policy.ttlMs === null || Number(existing?.lastActivityAt) + policy.ttlMs > Number(NOW);
        const isOurs = memory?.closed === null && memory.source === policy.source;
        expect(open && fresh && isOurs && policy.source !== "none").toBe(false);
      }
    });
  });

  it("never has more than the limit of what is the sweep's", () => {
    ofWorlds((policy, world) => {
      const after = apply(world, planOf(policy, world), policy, 0);
      const mine = after.existing.filter(({ key }) =>
        after.memory.some((each) => each.key === key && each.closed === null),
      );
      expect(mine.length).toBeLessThanOrEqual(policy.limit);
    });
  });

  it("does not depend on the order that it is told in, and says one thing of each key", () => {
    ofWorlds((policy, world) => {
      const steps = planOf(policy, world);
      const turned = {
        open: world.open.toReversed(),
        existing: world.existing.toReversed(),
        memory: world.memory.toReversed(),
      };
      expect(planOf(policy, turned)).toEqual(steps);
      expect(new Set(steps.map(({ key }) => key)).size).toBe(steps.length);
    });
  });
});
