import { expect, test } from "vitest";
import { AppError } from "../foundation/errors.ts";
import { planRollout } from "../rollouts/index.ts";
import { NOTHING_OBSERVED, type Observed, reconcile } from "./reconcile.ts";
import type { Deployment } from "./record.ts";
import { setback } from "./setback.ts";
import type { State } from "./state.ts";

const T0 = new Date("2026-01-01T00:00:00Z");
const at = (ms: number) => new Date(T0.getTime() + ms);
const health = {
  path: "/",
  timeoutMs: 1_000,
  intervalMs: 500,
  minHealthyMs: null,
  deadlineMs: 60_000,
  expectStatus: [200, 399],
} as const;

function deployment(state: State, change: Partial<Deployment> = {}): Deployment {
  return {
    id: "dep_2",
    seq: 2,
    projectId: "p",
    project: "shop",
    environment: "production",
    slot: "production",
    branch: "main",
    commit: { sha: null, message: null, dirty: false },
    source: { tree: "a" },
    force: false,
    generation: 1,
    state,
    stateSince: T0,
    deadlineAt: at(600_000),
    reason: null,
    hint: null,
    leaseToken: 1,
    leaseUntil: at(10_000),
    wakeAt: null,
    plan: { strategy: { kind: "instant" }, health, targetProjectId: "prj" },
    facts: {},
    targetDeploymentId: "dpl_2",
    url: "http://dpl_2.localhost",
    urls: ["http://shop.localhost"],
    kind: "server",
    reused: false,
    buildStartedAt: null,
    weight: 0,
    previousTargetId: "dpl_1",
    rollbackToId: null,
    rollbackToTargetId: null,
    rollbackOf: null,
    cleanup: null,
    logsComplete: false,
    liveAt: null,
    retiredAt: null,
    actor: "ann",
    createdAt: T0,
    updatedAt: T0,
    finishedAt: null,
    ...change,
  };
}

const see = (change: Partial<Observed>): Observed => ({ ...NOTHING_OBSERVED, ...change });
const answer = (status: number, deploymentHeader?: string) => ({
  ok: true,
  status,
  latencyMs: 1,
  ...(deploymentHeader === undefined ? {} : { deploymentHeader }),
});
const rollout = planRollout({ kind: "instant" }, "dpl_1");

test("a queued deployment waits for its turn", () => {
  expect(reconcile(deployment("queued"), see({ blockedBy: "dep_1" }), T0).do).toBe("wait");
  expect(reconcile(deployment("queued"), see({}), T0)).toMatchObject({ do: "move", to: "preparing" });
});

const build = {
  id: "dpl_2",
  url: "http://dpl_2",
  error: null,
  reused: false,
  buildStartedAt: null,
  kind: "static",
} as const;

test.each([
  ["not asked for", { targetDeploymentId: null }, null, { do: "build" }],
  ["under way", {}, { ...build, state: "building" }, { do: "wait", until: at(50) }],
  [
    "ready",
    {},
    { ...build, state: "ready" },
    { do: "move", to: "verifying", patch: { url: "http://dpl_2" } },
  ],
  ["canceled there", {}, { ...build, state: "canceled" }, { do: "move", to: "canceled" }],
  ["gone", {}, "gone", { do: "move", to: "failed" }],
  [
    "failed",
    {},
    { ...build, state: "error", error: { code: "X", message: "npm ended with 1." } },
    { do: "move", to: "failed", reason: "The build failed: npm ended with 1.", patch: { cleanup: "retire" } },
  ],
] as const)("a build that is %s", (_name, change, seen, step) => {
  expect(reconcile(deployment("building", change), see({ build: seen }), T0)).toMatchObject(step);
});

test("a release is verified only after being healthy for the whole period, and a failed probe starts it again", () => {
  let current = deployment("verifying");
  const probe = (ms: number, status: number) => {
    const step = reconcile(current, see({ probe: answer(status) }), at(ms));
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
  const step = reconcile(deployment("verifying", { kind, environment }), see({ probe: answer(200) }), T0);
  expect("to" in step ? step.to : undefined).toBe(to);
});

test("a release that never gets healthy fails at its deadline, with the last answer and what to do", () => {
  const step = reconcile(deployment("verifying"), see({ probe: answer(503) }), at(60_000));
  expect(step).toMatchObject({ do: "move", to: "failed", patch: { cleanup: "retire" } });
  expect(step).toHaveProperty("reason", expect.stringContaining("status 503, expected 200 to 399"));
  expect(step).toHaveProperty("hint", expect.stringContaining("$PORT"));
});

test("who had the traffic is taken from what the target reports", () => {
  const step = reconcile(deployment("releasing"), see({ traffic: { dpl_7: 90, dpl_8: 10 } }), T0);
  expect(step).toMatchObject({ do: "move", to: "shifting", patch: { previousTargetId: "dpl_7" } });
});

test("live means observed: the target reports all traffic and the public host answers from it", () => {
  const shifting = deployment("shifting", { facts: { rollout } });
  const all = { probe: answer(200), traffic: { dpl_2: 100 } };
  expect(reconcile(shifting, see({ probe: answer(200), traffic: { dpl_1: 100 } }), T0)).toMatchObject({
    do: "shift",
    weight: 100,
  });
  expect(reconcile(shifting, see(all), T0).do).toBe("wait");
  expect(reconcile(shifting, see({ ...all, publicProbe: answer(200, "dpl_1") }), T0).do).toBe("wait");
  expect(reconcile(shifting, see({ ...all, publicProbe: answer(200, "dpl_2") }), T0)).toMatchObject({
    to: "live",
  });
  expect(reconcile(shifting, see({ ...all, publicProbe: answer(200) }), T0)).toMatchObject({ to: "live" });
});

test("a bad release goes back to the one before it; a first one has none and fails", () => {
  const failing = { ...rollout, failures: 2 };
  const observed = see({ probe: answer(500), traffic: { dpl_2: 100 }, publicProbe: answer(500) });
  expect(reconcile(deployment("shifting", { facts: { rollout: failing } }), observed, T0)).toMatchObject({
    to: "rolling_back",
    patch: { rollbackToTargetId: "dpl_1" },
  });
  const first = deployment("shifting", { facts: { rollout: failing }, previousTargetId: null });
  expect(reconcile(first, observed, T0)).toMatchObject({ to: "failed" });
});

test("rolling back ends when the traffic is seen to be back, and not while an earlier owner's change may come", () => {
  const back = deployment("rolling_back", { rollbackToTargetId: "dpl_1", reason: "bad" });
  expect(reconcile(back, see({ traffic: { dpl_1: 90, dpl_2: 10 } }), T0)).toEqual({
    do: "restore_traffic",
    to: "dpl_1",
  });
  expect(reconcile(back, see({ traffic: { dpl_1: 100 } }), T0)).toMatchObject({
    to: "rolled_back",
    reason: "bad",
  });
  const unsettled = { ...back, facts: { settleAtMs: at(4_000).getTime() } };
  expect(reconcile(unsettled, see({ traffic: { dpl_1: 100 } }), T0).do).toBe("wait");
  expect(reconcile(unsettled, see({ traffic: { dpl_1: 100 } }), at(4_000))).toMatchObject({
    to: "rolled_back",
  });
});

test.each([
  ["queued", "failed"],
  ["preparing", "failed"],
  ["building", "failed"],
  ["verifying", "failed"],
  ["releasing", "failed"],
  ["shifting", "rolling_back"],
  ["rolling_back", "failed"],
] as const)("overdue in %s becomes %s with a reason and a hint", (state, to) => {
  const step = reconcile(deployment(state), NOTHING_OBSERVED, at(600_000));
  expect(step).toMatchObject({ do: "move", to, reason: expect.any(String), hint: expect.any(String) });
});

test("the vendor's fault is retried ever more slowly and given up after ten tries; the user's fault is final", () => {
  const fault = new AppError("upstream", "503 from the vendor");
  const waits = [0, 1, 8].map((count) => {
    const step = setback(deployment("preparing", { facts: { attempts: { count, error: "" } } }), fault, T0);
    return step.do === "wait" ? step.until.getTime() - T0.getTime() : step;
  });
  expect(waits).toEqual([250, 500, 10_000]);
  const tried = { facts: { attempts: { count: 9, error: "" } } };
  expect(setback(deployment("preparing", tried), fault, T0)).toMatchObject({ to: "failed" });
  expect(setback(deployment("shifting", tried), fault, T0)).toMatchObject({ to: "rolling_back" });
  expect(setback(deployment("rolling_back", tried), fault, T0)).toMatchObject({ do: "wait" });
  const mistake = new AppError("not_found", 'There is no ref "mian".', { hint: "Check the branch." });
  expect(setback(deployment("preparing"), mistake, T0)).toMatchObject({
    to: "failed",
    reason: 'There is no ref "mian".',
    hint: "Check the branch.",
  });
});

test("what is owed to the target after the end is paid, then nothing more is done", () => {
  expect(
    reconcile(deployment("canceled", { deadlineAt: null, cleanup: "cancel_build" }), NOTHING_OBSERVED, T0).do,
  ).toBe("cancel_build");
  const unknown = deployment("canceled", {
    deadlineAt: null,
    cleanup: "cancel_build",
    targetDeploymentId: null,
  });
  expect(reconcile(unknown, NOTHING_OBSERVED, T0).do).toBe("build");
  expect(reconcile(deployment("failed", { deadlineAt: null }), NOTHING_OBSERVED, T0).do).toBe("rest");
});
