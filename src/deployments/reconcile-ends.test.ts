import { describe, expect, test } from "vitest";
import { aDeployment, answer, aService, at, see, T0 } from "../../test/support/deployment-row.ts";
import { NOTHING_OBSERVED, reconcile } from "./reconcile.ts";
import type { Deployment } from "./record.ts";
import type { State } from "./state.ts";

const unbuilt = { targetDeploymentId: null, url: null, kind: null, built: false } as const;
const underWay = { built: false } as const;

describe("rolling back", () => {
  const to = (name: string, url: string | null = null) =>
    aService(name, { rollbackToTargetId: `dpl_${name}_1`, rollbackToUrl: url });
  const back = (change: Partial<Deployment> = {}) =>
    aDeployment("rolling_back", { services: [to("app")], reason: "bad", outcome: "failure", ...change });
  const ready = { askedAtMs: T0.getTime(), ready: true, steps: [], index: 0, reachedAtMs: null };
  const away = { app: { dpl_app_1: 90, dpl_app_2: 10 } };

  test("ends when the traffic is seen to be back, and not while an earlier owner's change may come", () => {
    expect(reconcile(back({ facts: { rollback: ready } }), see({ traffic: away }), T0)).toEqual({
      do: "restore_traffic",
      service: "app",
      to: "dpl_app_1",
    });
    const there = see({ traffic: { app: { dpl_app_1: 100 } } });
    expect(reconcile(back(), there, T0)).toMatchObject({
      to: "rolled_back",
      reason: "bad",
      patch: { outcome: "failure" },
    });
    const unsettled = back({ facts: { settleAtMs: at(4_000).getTime() } });
    expect(reconcile(unsettled, there, T0).do).toBe("wait");
    expect(reconcile(unsettled, there, at(4_000))).toMatchObject({ to: "rolled_back" });
  });

  test("a release that does not answer is waited for, for 30 s; what was found is written before traffic moves", () => {
    const row = back({ services: [to("app", "http://dpl_app_1.localhost")] });
    const silent = see({ traffic: away, baseline: { app: [answer(503)] } });
    const first = reconcile(row, silent, T0);
    expect(first).toMatchObject({
      do: "wait",
      until: at(500),
      patch: { facts: { rollback: { ready: false } } },
    });
    const waiting = { ...row, ...("patch" in first ? first.patch : {}) };
    expect(reconcile(waiting, silent, at(29_999))).toMatchObject({
      patch: { facts: { rollback: { ready: false } } },
    });
    const up = see({ traffic: away, baseline: { app: [answer(200)] } });
    for (const [observed, ms] of [
      [up, 500],
      [silent, 30_000],
    ] as const) {
      expect(reconcile(waiting, observed, at(ms))).toMatchObject({
        do: "wait",
        until: at(ms),
        patch: { facts: { rollback: { ready: true } } },
      });
    }
  });

  test("what came last is undone first, and it is over only when all of them are back", () => {
    const row = back({ services: [to("api"), to("web")], facts: { rollback: ready } });
    const traffic = { api: { dpl_api_2: 100 }, web: { dpl_web_2: 100 } };
    expect(reconcile(row, see({ traffic }), T0)).toMatchObject({ do: "restore_traffic", service: "web" });
    const half = { ...traffic, web: { dpl_web_1: 100 } };
    expect(reconcile(row, see({ traffic: half }), T0)).toMatchObject({
      do: "restore_traffic",
      service: "api",
    });
  });

  test("by steps: each weight is given, seen, and held for its time", () => {
    const steps = [
      { weight: 50, bakeMs: 10_000 },
      { weight: 100, bakeMs: 0 },
    ];
    const row = back({ facts: { rollback: { ...ready, steps } } });
    expect(reconcile(row, see({ traffic: { app: { dpl_app_2: 100 } } }), T0)).toEqual({
      do: "return_traffic",
      service: "app",
      to: "dpl_app_1",
      weight: 50,
    });
    const half = see({ traffic: { app: { dpl_app_1: 50, dpl_app_2: 50 } } });
    expect(reconcile(row, half, T0)).toMatchObject({
      do: "wait",
      patch: { facts: { rollback: { index: 0, reachedAtMs: T0.getTime() } } },
    });
    const baked = back({ facts: { rollback: { ...ready, steps, reachedAtMs: T0.getTime() } } });
    expect(reconcile(baked, half, at(10_000))).toMatchObject({
      do: "wait",
      patch: { facts: { rollback: { index: 1, reachedAtMs: null } } },
    });
    const last = back({ facts: { rollback: { ...ready, steps, index: 1 } } });
    expect(reconcile(last, half, at(10_000))).toMatchObject({ do: "return_traffic", weight: 100 });
  });

  test("with nowhere to go back to it fails, and says so", () => {
    const row = back({ services: [aService("app")] });
    expect(reconcile(row, NOTHING_OBSERVED, T0)).toMatchObject({
      to: "failed",
      hint: expect.any(String),
      patch: { outcome: "error" },
    });
  });
});

describe("overdue", () => {
  const cases: [State, State, string | undefined][] = [
    ["queued", "failed", undefined],
    ["preparing", "failed", undefined],
    ["building", "failed", "cancel_build"],
    ["verifying", "failed", "retire"],
    ["awaiting_approval", "failed", "retire"],
    ["migrating", "failed", "retire"],
    ["releasing", "failed", "retire"],
    ["shifting", "rolling_back", undefined],
    ["rolling_back", "failed", undefined],
  ];
  test.each(
    cases,
  )("in %s it becomes %s, with a reason, a hint, and what is owed: %s", (state, to, cleanup) => {
    const step = reconcile(aDeployment(state, { deadlineAt: at(600_000) }), NOTHING_OBSERVED, at(600_000));
    expect(step).toMatchObject({ do: "move", to, reason: expect.any(String), hint: expect.any(String) });
    const patch = "patch" in step ? step.patch : undefined;
    expect([patch?.cleanup, patch?.outcome]).toEqual([
      cleanup,
      state === "rolling_back" ? "error" : "timeout",
    ]);
  });
});

describe("after the end", () => {
  const ended = (change: Partial<Deployment>) =>
    reconcile(aDeployment("canceled", change), NOTHING_OBSERVED, T0);

  test("what is owed to the target is paid, then nothing more is done", () => {
    expect(ended({ cleanup: "cancel_build" })).toEqual({ do: "cancel_build" });
    expect(ended({ cleanup: "retire" })).toEqual({ do: "retire" });
    expect(ended({ cleanup: "vacate" })).toEqual({ do: "vacate" });
    expect(ended({})).toEqual({ do: "rest" });
  });

  test("the build that may have been asked for is asked for once more, to be ended; those after it never were", () => {
    const services = [aService("api", underWay), aService("web", unbuilt), aService("ui", unbuilt)];
    expect(ended({ cleanup: "cancel_build", services })).toEqual({ do: "build", service: "web" });
    expect(ended({ cleanup: "cancel_build", services, facts: { cleanupAsked: true } })).toEqual({
      do: "cancel_build",
    });
  });

  test("a live one contracts the schema when its window is over and the one before answers nobody", () => {
    const live = (contractAt: Date | null, inFlightBefore: number | null, now = T0) =>
      reconcile(aDeployment("live", { contractAt, liveAt: T0 }), see({ inFlightBefore }), now);
    expect(live(null, 0)).toEqual({ do: "rest" });
    expect(live(at(1), 0)).toEqual({ do: "wait", until: at(1) });
    expect(live(T0, 0)).toEqual({ do: "migrate", phase: "contract" });
    expect(live(T0, 3)).toMatchObject({ do: "wait" });
    // Where nobody can tell, it is given time from when it went live, and no more.
    const unseen = live(T0, null);
    expect(unseen.do).toBe("wait");
    if (unseen.do === "wait")
      expect(live(T0, null, unseen.until)).toEqual({ do: "migrate", phase: "contract" });
    const first = [aService("app", { previousTargetId: null, previousUrl: null })];
    const row = aDeployment("live", { contractAt: T0, liveAt: T0, services: first });
    expect(reconcile(row, see({ inFlightBefore: null }), T0)).toEqual({ do: "migrate", phase: "contract" });
  });
});
