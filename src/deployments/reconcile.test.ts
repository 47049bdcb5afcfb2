import { describe, expect, test } from "vitest";
import {
  aDeployment,
  answer,
  aService,
  at,
  NO_WORD,
  PLAN,
  see,
  T0,
} from "../../test/support/deployment-row.ts";
import type { FailoverPolicy } from "../failover/index.ts";
import { planRollout } from "../rollouts/index.ts";
import type { TargetDeployment } from "../targets/target.ts";
import type { Plan } from "./plan-source.ts";
import { NOTHING_OBSERVED, reconcile } from "./reconcile.ts";
import type { Deployment } from "./record.ts";

const own = { app: [answer(200)] };
const gate = NO_WORD;

describe("queued", () => {
  test("waits for its turn, and for a lock to be released or to end", () => {
    expect(reconcile(aDeployment("queued"), see({ blockedBy: "dep_1" }), T0)).toEqual({
      do: "wait",
      until: at(30_000),
    });
    expect(reconcile(aDeployment("queued"), see({}), T0)).toMatchObject({ do: "move", to: "preparing" });
    const locked = (until: Date | null) =>
      see({ start: { is: "waits", for: "lock", reason: "Waits.", until } });
    const told = { facts: { waitsFor: "Waits." } };
    expect(reconcile(aDeployment("queued"), locked(at(700_000)), T0)).toEqual({
      do: "wait",
      until: at(700_000),
      patch: told,
    });
    expect(reconcile(aDeployment("queued"), locked(null), T0)).toEqual({
      do: "wait",
      until: at(30_000),
      patch: told,
    });
    const open = see({ start: { is: "open", because: "No lock forbids it." } });
    expect(reconcile(aDeployment("queued"), open, at(5))).toMatchObject({
      to: "preparing",
      patch: { facts: { startedAtMs: at(5).getTime() } },
    });
  });
});

const seen: TargetDeployment = {
  id: "dpl_app_2",
  url: "http://dpl_app_2",
  state: "building",
  error: null,
  reused: false,
  buildStartedAt: null,
  kind: "static",
};
const unbuilt = { targetDeploymentId: null, url: null, kind: null, built: false } as const;
const underWay = { built: false } as const;

describe("building", () => {
  test.each([
    ["not asked for", unbuilt, {}, { do: "build", service: "app" }],
    ["under way", underWay, { app: seen }, { do: "wait", until: at(50) }],
    [
      "ready",
      underWay,
      { app: { ...seen, state: "ready" } },
      { do: "move", to: "verifying", patch: { services: [{ url: "http://dpl_app_2", built: true }] } },
    ],
    ["canceled there", underWay, { app: { ...seen, state: "canceled" } }, { do: "move", to: "canceled" }],
    ["gone", underWay, { app: "gone" }, { do: "move", to: "failed", patch: { outcome: "error" } }],
    [
      "failed",
      underWay,
      { app: { ...seen, state: "error", error: { code: "X", message: "npm ended with 1." } } },
      {
        do: "move",
        to: "failed",
        reason: "The build failed: npm ended with 1.",
        patch: { cleanup: "cancel_build", outcome: "failure" },
      },
    ],
  ] as const)("a build that is %s", (_name, change, builds, step) => {
    const row = aDeployment("building", { services: [aService("app", change)] });
    expect(reconcile(row, see({ builds }), T0)).toMatchObject(step);
  });

  test("of several services each is asked for before any is waited for, and all have to be ready", () => {
    const services = [aService("api", underWay), aService("web", unbuilt)];
    expect(reconcile(aDeployment("building", { services }), NOTHING_OBSERVED, T0)).toEqual({
      do: "build",
      service: "web",
    });
    const asked = aDeployment("building", {
      services: [aService("api", underWay), aService("web", underWay)],
    });
    const half = see({ builds: { api: { ...seen, state: "ready" }, web: seen } });
    expect(reconcile(asked, half, T0)).toMatchObject({
      do: "wait",
      patch: {
        services: [
          { name: "api", built: true },
          { name: "web", built: false },
        ],
      },
    });
    const both = see({ builds: { api: { ...seen, state: "ready" }, web: { ...seen, state: "ready" } } });
    expect(reconcile(asked, both, T0)).toMatchObject({ to: "verifying", reason: "2 services are ready." });
  });

  test("one that fails fails all of them, named, and the others' builds are ended", () => {
    const services = [aService("api", underWay), aService("web", underWay)];
    const builds = {
      api: seen,
      web: { ...seen, state: "error", error: { code: "X", message: "no." } },
    } as const;
    expect(reconcile(aDeployment("building", { services }), see({ builds }), T0)).toMatchObject({
      to: "failed",
      reason: 'The build of "web" failed: no.',
      patch: { cleanup: "cancel_build" },
    });
  });
});

describe("verifying", () => {
  test("a release is verified only after being healthy for the whole period, and a bad probe starts it again", () => {
    let current = aDeployment("verifying");
    const probe = (ms: number, status: number) => {
      const step = reconcile(current, see({ probes: { app: [answer(status)] }, gate }), at(ms));
      if (step.do === "wait" || step.do === "move") current = { ...current, ...step.patch };
      return step.do === "move" ? step.to : step.do;
    };
    expect(probe(0, 200)).toBe("wait");
    expect(probe(9_999, 200)).toBe("wait");
    expect(probe(10_000, 500)).toBe("wait");
    expect(probe(10_500, 200)).toBe("wait");
    expect(probe(20_499, 200)).toBe("wait");
    expect(probe(20_500, 200)).toBe("releasing");
  });

  test.each([
    ["static", "production", "releasing"],
    ["server", "production", undefined],
    ["server", "staging", undefined],
  ] as const)("one good probe proves a %s release in %s: %s", (kind, environment, to) => {
    const row = aDeployment("verifying", { environment, services: [aService("app", { kind })] });
    const step = reconcile(row, see({ probes: own, gate }), T0);
    expect("to" in step ? step.to : undefined).toBe(to);
  });

  test("a release that never gets healthy fails at its deadline, with the last answer and what to do", () => {
    const step = reconcile(
      aDeployment("verifying"),
      see({ probes: { app: [answer(503)] }, gate }),
      at(60_000),
    );
    expect(step).toMatchObject({
      do: "move",
      to: "failed",
      patch: { cleanup: "retire", outcome: "failure" },
    });
    expect(step).toHaveProperty("reason", expect.stringContaining("status 503, expected 200 to 399"));
    expect(step).toHaveProperty("hint", expect.stringContaining("$PORT"));
  });

  test("several services have to be healthy at the same time, and the one that is not is named", () => {
    const services = [aService("api"), aService("web")];
    const well = { healthySinceMs: T0.getTime(), lastFailure: null };
    const row = aDeployment("verifying", {
      services: services.map((each) => ({ ...each, verification: well })),
    });
    const both = see({ probes: { api: [answer(200)], web: [answer(200)] }, gate });
    expect(reconcile(row, both, at(10_000))).toMatchObject({ to: "releasing" });
    const one = see({ probes: { api: [answer(200)], web: [answer(500)] }, gate });
    expect(reconcile(row, one, at(10_000))).toMatchObject({
      do: "wait",
      patch: { services: [{ verification: well }, { verification: { healthySinceMs: null } }] },
    });
    expect(reconcile(row, one, at(60_000))).toMatchObject({
      to: "failed",
      reason: expect.stringMatching(/^"web": /),
    });
    // One that was not looked at is not taken for healthy.
    expect(reconcile(row, see({ probes: own, gate }), at(10_000)).do).toBe("wait");
  });

  test("one whose services all keep their release has nothing to prove", () => {
    const row = aDeployment("verifying", { services: [aService("app", { unchanged: true })] });
    expect(reconcile(row, see({ gate }), T0)).toMatchObject({ to: "releasing" });
  });
});

const approvals = { required: 1, reviewers: [], selfApproval: false, expiresMs: 60_000 };
const asking = { ...PLAN, gate: { approvals, waitMs: 0 } };
const schema = {
  expand: ["1.sql"],
  contract: ["2.sql"],
  timeoutMs: 60_000,
  hold: { maxMs: 10_000, maxRequests: 100 },
};
const lock = {
  id: "lck_1",
  projectId: null,
  environment: null,
  ownerId: null,
  ownerName: "bob",
  reason: "sale",
  createdAt: T0,
  expiresAt: at(5_000),
};
const locked = { ...NO_WORD, locks: [lock] };

describe("the gate", () => {
  test("a proven release waits for approval, remembers since when, and says for what", () => {
    const row = aDeployment("verifying", { plan: asking, services: [aService("app", { kind: "static" })] });
    expect(reconcile(row, see({ probes: own, gate }), at(7))).toMatchObject({
      to: "awaiting_approval",
      reason: expect.stringContaining("1 approval"),
      patch: { facts: { askedAtMs: at(7).getTime() } },
    });
  });

  test("it looks again when the gate may open by itself, at the latest every 30 s", () => {
    const waiting = aDeployment("awaiting_approval");
    expect(reconcile(waiting, see({ gate: locked }), T0)).toEqual({ do: "wait", until: at(5_000) });
    expect(reconcile({ ...waiting, plan: asking }, see({ gate }), T0)).toEqual({
      do: "wait",
      until: at(30_000),
    });
  });

  test("the time that it waited is no part of its progress", () => {
    const row = aDeployment("awaiting_approval", { facts: { waitedMs: 5, startedAtMs: 0 } });
    expect(reconcile(row, see({ gate }), at(2_000))).toMatchObject({
      to: "releasing",
      patch: { facts: { waitedMs: 2_005 } },
    });
  });

  test("too few approvals in time reject it, and its releases are let go", () => {
    const row = aDeployment("awaiting_approval", { plan: asking, facts: { askedAtMs: T0.getTime() } });
    expect(reconcile(row, see({ gate }), at(60_000))).toMatchObject({
      to: "rejected",
      hint: expect.any(String),
      patch: { cleanup: "retire" },
    });
  });

  test.each([
    "migrating",
    "releasing",
  ] as const)("it is asked again in %s, and a closed one holds it again", (state) => {
    const row = aDeployment(state, { plan: { ...PLAN, schema } });
    expect(reconcile(row, see({ traffic: { app: {} }, gate: locked }), T0)).toMatchObject({
      to: "awaiting_approval",
      reason: expect.stringContaining("sale"),
    });
    // Unread is not open.
    expect(reconcile(row, see({ traffic: { app: {} } }), T0).do).toBe("wait");
  });
});

describe("migrating", () => {
  const row = (facts: Deployment["facts"], plan: Plan = { ...PLAN, schema }) =>
    aDeployment("migrating", { plan, facts });
  const version = { expand: null, contract: null };
  const look = see({ gate });

  test("requests are held, the schema is expanded, and requests are let go before traffic moves", () => {
    const before = { held: true, expanded: false, version };
    // On record before it is done: whoever ends it meanwhile has to know that requests may be held.
    expect(reconcile(row({}), look, T0)).toMatchObject({ do: "wait", patch: { facts: { schema: before } } });
    expect(reconcile(row({ schema: before }), look, T0)).toEqual({ do: "hold" });
    expect(reconcile(row({ schema: { ...before, holding: true } }), look, T0)).toEqual({
      do: "migrate",
      phase: "expand",
    });
    expect(reconcile(row({ schema: { held: true, expanded: true, version } }), look, T0)).toEqual({
      do: "unhold",
    });
    expect(reconcile(row({ schema: { held: false, expanded: true, version } }), look, T0)).toMatchObject({
      to: "releasing",
    });
  });

  test("without a hold it migrates beside the traffic; with nothing to expand it is passed by", () => {
    expect(reconcile(row({}, { ...PLAN, schema: { ...schema, hold: null } }), look, T0)).toEqual({
      do: "migrate",
      phase: "expand",
    });
    const verified = { services: [aService("app", { kind: "static" })] };
    const proven = (change: Partial<Deployment>) => aDeployment("verifying", { ...verified, ...change });
    const probed = see({ probes: own, gate });
    expect(reconcile(proven({ plan: { ...PLAN, schema } }), probed, T0)).toMatchObject({ to: "migrating" });
    expect(
      reconcile(proven({ plan: { ...PLAN, schema: { ...schema, expand: [] } } }), probed, T0),
    ).toMatchObject({ to: "releasing" });
  });

  test("a gate that closes while requests are held lets them go before it waits", () => {
    const held = row({ schema: { held: true, expanded: false, version } });
    expect(reconcile(held, see({ gate: locked }), T0)).toEqual({ do: "unhold" });
  });
});

describe("releasing", () => {
  test("who had the traffic is taken from what the target reports, with its address when it is known", () => {
    const observed = see({
      gate,
      traffic: { app: { dpl_7: 90, dpl_8: 10 } },
      previousUrls: { dpl_7: "http://7" },
    });
    expect(reconcile(aDeployment("releasing"), observed, T0)).toMatchObject({
      do: "move",
      to: "shifting",
      patch: { services: [{ previousTargetId: "dpl_7", previousUrl: "http://7" }] },
    });
  });

  test("a service that was to keep its release and has lost its traffic is shifted like the others", () => {
    const services = [aService("api", { unchanged: true }), aService("web", { unchanged: true })];
    const traffic = { api: { dpl_api_2: 100 }, web: { dpl_other: 100 } };
    expect(reconcile(aDeployment("releasing", { services }), see({ gate, traffic }), T0)).toMatchObject({
      to: "shifting",
      patch: {
        services: [
          { unchanged: true, previousTargetId: null },
          { unchanged: false, previousTargetId: "dpl_other" },
        ],
      },
    });
  });
});

const instant = planRollout({ kind: "instant" }, "dpl_app_1");

describe("shifting", () => {
  const row = aDeployment("shifting", { facts: { rollout: instant } });

  test("live means observed: the target reports all traffic and the public host answers from it", () => {
    const all = { probes: own, traffic: { app: { dpl_app_2: 100 } } };
    expect(reconcile(row, see({ probes: own, traffic: { app: { dpl_app_1: 100 } } }), T0)).toMatchObject({
      do: "shift",
      service: "app",
      weight: 100,
    });
    expect(reconcile(row, see(all), T0).do).toBe("wait");
    const publicly = (app: ReturnType<typeof answer>) =>
      reconcile(row, see({ ...all, publicProbes: { app } }), T0);
    expect(publicly(answer(200, "dpl_app_1")).do).toBe("wait");
    expect(publicly(answer(200, "dpl_app_2"))).toMatchObject({ to: "live" });
    expect(publicly(answer(200))).toMatchObject({ to: "live" });
  });

  test("a hostname that failover has moved to its standby is answered by that, and says nothing of the release", () => {
    const at = (hostname: string) => {
      const failover = { hostname } as unknown as FailoverPolicy;
      const services = [aService("app", { urls: ["https://www.example.com"] })];
      const moved = aDeployment("shifting", {
        services,
        plan: { ...PLAN, failover },
        facts: { rollout: instant },
      });
      const traffic = { app: { dpl_app_2: 100 } };
      return reconcile(
        moved,
        see({ probes: own, traffic, publicProbes: { app: answer(200, "dpl_dock_1") } }),
        T0,
      );
    };
    expect(at("www.example.com")).toMatchObject({ to: "live" });
    expect(at("other.example.com")).toMatchObject({ do: "wait" });
  });

  test("services take traffic in their order, one step each, and are live together or not at all", () => {
    const services = [aService("api"), aService("web")];
    const both = aDeployment("shifting", { services, facts: { rollout: instant } });
    const probes = { api: [answer(200)], web: [answer(200)] };
    const before = { api: { dpl_api_1: 100 }, web: { dpl_web_1: 100 } };
    expect(reconcile(both, see({ probes, traffic: before }), T0)).toMatchObject({
      do: "shift",
      service: "api",
    });
    const half = { ...before, api: { dpl_api_2: 100 } };
    expect(reconcile(both, see({ probes, traffic: half }), T0)).toMatchObject({
      do: "shift",
      service: "web",
    });
    const after = { api: { dpl_api_2: 100 }, web: { dpl_web_2: 100 } };
    const half_ = { api: answer(200, "dpl_api_2"), web: answer(200, "dpl_web_1") };
    expect(reconcile(both, see({ probes, traffic: after, publicProbes: half_ }), T0).do).toBe("wait");
    const all = { api: answer(200, "dpl_api_2"), web: answer(200, "dpl_web_2") };
    expect(reconcile(both, see({ probes, traffic: after, publicProbes: all }), T0)).toMatchObject({
      to: "live",
    });
  });

  test("a bad release goes back to the one before it; a first one has none and fails", () => {
    const facts = { rollout: { ...instant, failures: 2 } };
    const app = answer(500);
    const observed = see({
      probes: { app: [app] },
      traffic: { app: { dpl_app_2: 100 } },
      publicProbes: { app },
    });
    expect(reconcile(aDeployment("shifting", { facts }), observed, T0)).toMatchObject({
      to: "rolling_back",
      hint: expect.any(String),
      patch: {
        outcome: "failure",
        services: [{ rollbackToTargetId: "dpl_app_1", rollbackToUrl: "http://dpl_app_1.localhost" }],
      },
    });
    const services = [aService("app", { previousTargetId: null, previousUrl: null })];
    expect(reconcile(aDeployment("shifting", { facts, services }), observed, T0)).toMatchObject({
      to: "failed",
      reason: expect.stringContaining("no release before it"),
      hint: expect.any(String),
    });
  });

  test("one bad service takes all of them back that have somewhere to go back to", () => {
    const facts = { rollout: { ...instant, failures: 2 } };
    const services = [
      aService("api"),
      aService("new", { previousTargetId: null }),
      aService("web"),
      aService("same", { unchanged: true, previousTargetId: null }),
    ];
    const probes = { api: [answer(200)], new: [answer(200)], web: [answer(500)] };
    const traffic = { api: { dpl_api_2: 100 }, new: { dpl_new_2: 100 }, web: { dpl_web_2: 100 } };
    const step = reconcile(aDeployment("shifting", { facts, services }), see({ probes, traffic }), T0);
    expect(step).toMatchObject({ to: "rolling_back", reason: expect.stringContaining("web") });
    expect("patch" in step && step.patch?.services?.map((each) => each.rollbackToTargetId)).toEqual([
      "dpl_api_1",
      null,
      "dpl_web_1",
      null,
    ]);
  });
});

describe("waiting for people does not make a rollout late", () => {
  const strategy = {
    kind: "canary",
    steps: [{ weight: 20, bakeMs: null }],
    analysis: {
      intervalMs: 10_000,
      maxErrorRate: 0.02,
      maxLatencyMs: null,
      compare: false,
      confidence: 0.95,
      tolerance: 0.25,
      effectSize: 1,
      minRequests: 0,
      failureLimit: 1,
      queries: [],
    },
  } as const;
  const plan: Plan = { ...PLAN, strategy, progressDeadlineMs: 60_000 };
  const traffic = { app: { dpl_app_1: 80, dpl_app_2: 20 } };
  const reachedAtMs = T0.getTime();
  const manual = { ...planRollout(strategy, "dpl_app_1"), reachedAtMs };

  test("at a stage that a person ends, the deadline moves along", () => {
    const row = aDeployment("shifting", {
      plan,
      deadlineAt: at(600_000),
      facts: { rollout: manual, startedAtMs: reachedAtMs },
    });
    const early = reconcile(row, see({ probes: own, traffic }), T0);
    expect(early).toMatchObject({ do: "wait", patch: { facts: { pausedAtMs: reachedAtMs } } });
    expect("patch" in early && early.patch?.deadlineAt).toBeUndefined();
    const waiting = { ...row, facts: { ...row.facts, pausedAtMs: reachedAtMs } };
    expect(reconcile(waiting, see({ probes: own, traffic }), at(599_000))).toMatchObject({
      do: "wait",
      patch: { deadlineAt: at(599_000 + 3_600_000) },
    });
  });

  test("nobody who decides for seven days decides for the release before it", () => {
    const paused = { sinceMs: reachedAtMs, kind: "person", by: "ann", reason: null } as const;
    const row = aDeployment("shifting", {
      plan,
      facts: { rollout: { ...manual, paused }, pausedAtMs: reachedAtMs },
    });
    const week = 7 * 24 * 3_600_000;
    expect(reconcile(row, see({ probes: own, traffic }), at(week)).do).toBe("wait");
    expect(reconcile(row, see({ probes: own, traffic }), at(week + 1))).toMatchObject({
      to: "rolling_back",
      patch: { outcome: "timeout" },
    });
  });
});
