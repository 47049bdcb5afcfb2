import { describe, expect, test } from "vitest";
import { aDeployment, answer, aService, at, HEALTH, PLAN, T0 } from "../../test/support/deployment-row.ts";
import { planRollout } from "../rollouts/index.ts";
import { deadlineOf, isPastProgress } from "./deadlines.ts";
import { outcomeOf } from "./outcome.ts";
import type { Plan } from "./plan-source.ts";
import { chooseRollback } from "./rollback-choice.ts";
import { STATES } from "./state.ts";
import { judge, minHealthyMs, probeFailure } from "./verify.ts";

describe("how it ended", () => {
  test.each([
    ["shifting", null, "live", null, "success"],
    ["queued", null, "superseded", null, "skip"],
    ["live", "success", "superseded", null, "success"],
    ["building", null, "canceled", "failure", "cancellation"],
    ["awaiting_approval", null, "rejected", null, "cancellation"],
    ["rolling_back", "timeout", "rolled_back", null, "timeout"],
    ["rolling_back", "cancellation", "rolled_back", "failure", "failure"],
    ["rolling_back", null, "rolled_back", null, "failure"],
    ["building", null, "failed", "timeout", "timeout"],
    ["building", null, "failed", null, "error"],
  ] as const)("%s (%s) to %s, said to be %s, is %s", (state, outcome, to, said, is) => {
    expect(outcomeOf({ state, outcome }, to, said)).toBe(is);
  });
});

describe("deadlines", () => {
  const of = (state: Parameters<typeof deadlineOf>[1], change = {}) =>
    deadlineOf(aDeployment(state, change), state, T0);

  test("every state that ends by itself has one, and no other", () => {
    const open = ["live", "superseded", "rolled_back", "failed", "canceled", "rejected"];
    expect(STATES.filter((state) => of(state) === null)).toEqual(open);
  });

  test("verifying has the time of its slowest service that changes, and slack", () => {
    const slow = { ...HEALTH, graceMs: 1_000, deadlineMs: 200_000, minHealthyMs: 3_000 };
    const services = [
      aService("a"),
      aService("b", { health: slow }),
      aService("c", { unchanged: true, health: { ...slow, deadlineMs: 9e6 } }),
    ];
    expect(of("verifying", { services })).toEqual(at(204_000 + 300_000));
  });

  test("shifting has its stages' bake times, a migration twice its own, a rollback its steps", () => {
    const strategy = { kind: "instant" } as const;
    const rollout = {
      ...planRollout(strategy, "x"),
      stages: [
        { weight: 10, bakeMs: 60_000 },
        { weight: 20, bakeMs: null },
      ],
    };
    expect(of("shifting", { facts: { rollout } })).toEqual(at(360_000));
    const schema = { expand: ["1"], contract: [], timeoutMs: 60_000, hold: null };
    expect(of("migrating", { plan: { ...PLAN, schema } })).toEqual(at(420_000));
    const rollback = {
      askedAtMs: 0,
      ready: false,
      steps: [{ weight: 50, bakeMs: 60_000 }],
      index: 0,
      reachedAtMs: null,
    };
    expect(of("rolling_back", { facts: { rollback } })).toEqual(at(960_000));
  });

  test("the progress deadline counts from its start, less what people were waited for", () => {
    const plan = { ...PLAN, progressDeadlineMs: 10_000 };
    const past = (facts: object, ms: number, of: Plan = plan) =>
      isPastProgress(aDeployment("building", { plan: of, facts }), at(ms));
    expect([past({ startedAtMs: T0.getTime() }, 9_999), past({ startedAtMs: T0.getTime() }, 10_000)]).toEqual(
      [false, true],
    );
    expect(past({ startedAtMs: T0.getTime(), waitedMs: 5_000 }, 14_999)).toBe(false);
    expect([past({}, 99_999), past({ startedAtMs: 0 }, 99_999, PLAN)]).toEqual([false, false]);
  });
});

describe("health", () => {
  const policy = { ...HEALTH, graceMs: 10_000, deadlineMs: 20_000 };
  const look = (ms: number, status: number, healthySinceMs: number | null = null) =>
    judge({ healthySinceMs, lastFailure: null }, [answer(status)], policy, {
      now: at(ms),
      since: T0,
      minHealthyMs: 2_000,
    });

  test("in the grace period a failed probe says nothing, and a good one counts", () => {
    expect(look(9_999, 500)).toMatchObject({ is: "waiting", verification: { lastFailure: null } });
    expect(look(10_000, 500)).toMatchObject({
      is: "waiting",
      verification: { lastFailure: expect.stringContaining("500") },
    });
    expect(look(2_000, 200, T0.getTime())).toMatchObject({ is: "healthy" });
  });

  test("the deadline comes after the grace period; a healthy period that is under way then may still end", () => {
    expect(look(29_999, 500).is).toBe("waiting");
    expect(look(30_000, 500)).toMatchObject({ is: "failed", reason: expect.stringContaining("within 30 s") });
    expect(look(31_000, 200, at(29_500).getTime()).is).toBe("waiting");
    expect(look(31_500, 200, at(29_500).getTime()).is).toBe("healthy");
  });

  test("all checks have to be good; the first that is not is named", () => {
    const checks = [
      { type: "http", path: "/up", expectStatus: [200, 204], contains: null },
      { type: "tcp" },
      { type: "websocket", path: "/ws" },
    ] as const;
    const open = { ok: true, status: null, latencyMs: 1 };
    const shut = { ok: false, status: null, latencyMs: 1, error: "refused" };
    expect(probeFailure([answer(204), open, open], { checks })).toBeNull();
    expect(probeFailure([answer(204), open], { checks })).toBeNull();
    expect(probeFailure([answer(301), shut, open], { checks })).toBe("/up: status 301, expected 200 to 204");
    expect(probeFailure([answer(200), shut, shut], { checks })).toBe("tcp: refused");
    expect(probeFailure([answer(200), open, shut], { checks })).toBe("websocket /ws: refused");
    expect(probeFailure([open], { checks })).toBe("/up: no answer");
    const one = [{ ...checks[0], expectStatus: [200, 200] }] as const;
    expect(probeFailure([answer(500)], { checks: one })).toBe("/up: status 500, expected 200");
    expect(probeFailure([{ ...answer(200), ok: false, error: "lacks" }], { checks })).toBe("/up: lacks");
  });

  test("its own period wins; static files need none, production ten seconds, others one", () => {
    const of = (environment: "production" | "staging", change: Parameters<typeof aService>[1]) =>
      minHealthyMs({ environment }, aService("a", change));
    expect(of("production", { health: { ...HEALTH, minHealthyMs: 7 }, kind: "static" })).toBe(7);
    expect([
      of("production", { kind: "static" }),
      of("production", {}),
      of("staging", { kind: null }),
    ]).toEqual([0, 10_000, 1_000]);
  });
});

describe("what a rollback goes back to", () => {
  const one = (
    seq: number,
    state: "live" | "superseded" | "rolled_back" | "building" | "shifting" | "rolling_back" | "queued",
    change = {},
  ) =>
    aDeployment(state, {
      id: `d${seq}`,
      seq,
      liveAt: ["live", "superseded", "rolled_back"].includes(state) ? at(seq) : null,
      services: [aService("app", { targetDeploymentId: `dpl_${seq}` })],
      ...change,
    });
  const choose = (
    ...[place, named = null]: Parameters<typeof chooseRollback> | [ReturnType<typeof one>[]]
  ) => {
    const { from, to, stop } = chooseRollback([...place].reverse(), named);
    return [from?.id ?? null, to.id, stop.map(({ id }) => id)];
  };

  test("the newest older one that served and was not rolled back", () => {
    expect(
      choose([one(1, "superseded"), one(2, "superseded"), one(3, "rolled_back"), one(4, "live")]),
    ).toEqual(["d4", "d2", []]);
    expect(choose([one(1, "superseded"), one(2, "live"), one(3, "superseded")])).toEqual(["d2", "d1", []]);
  });

  test("not one that is the same releases, is no longer kept, or is about to be let go", () => {
    const same = one(2, "superseded", { services: [aService("app", { targetDeploymentId: "dpl_3" })] });
    const gone = one(2, "superseded", { retiredAt: T0 });
    const going = one(2, "superseded", { cleanup: "retire" });
    for (const each of [same, gone, going]) {
      expect(choose([one(1, "superseded"), each, one(3, "live")])).toEqual(["d3", "d1", []]);
    }
  });

  test("one that takes traffic gives it back to the live one; what is earlier is stopped", () => {
    expect(choose([one(1, "live"), one(2, "shifting"), one(3, "queued")])).toEqual(["d2", "d1", ["d3"]]);
    expect(choose([one(1, "live"), one(2, "building"), one(3, "queued")])).toEqual([
      null,
      "d1",
      ["d2", "d3"],
    ]);
  });

  test("refused with what to do: nothing before, already going back, one that serves, never served, or is gone", () => {
    const refused = (message: RegExp, ...args: Parameters<typeof choose>) =>
      expect(() => choose(...args)).toThrow(
        expect.objectContaining({
          code: "conflict",
          message: expect.stringMatching(message),
          hint: expect.any(String),
        }),
      );
    refused(/no good release before d1/, [one(1, "live")]);
    refused(/nothing is live/, []);
    refused(/no release serves here yet/, [one(1, "building")]);
    refused(/rolled back already/, [one(1, "live"), one(2, "rolling_back")]);
    refused(/serves now/, [one(1, "live")], one(1, "live"));
    refused(/never was live/, [one(1, "live")], one(2, "queued"));
    refused(/no longer kept/, [one(2, "live")], one(1, "superseded", { retiredAt: T0 }));
  });
});
