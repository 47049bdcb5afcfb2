import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Look, looks, looksAt } from "../../test/support/any-look.ts";
import { AppError } from "../foundation/errors.ts";
import { judgeGate } from "../gates/index.ts";
import { approvalDigest } from "./decide-gate.ts";
import { reconcile, type Step } from "./reconcile.ts";
import type { ServiceRelease } from "./record.ts";
import { movingServices } from "./services.ts";
import { setback } from "./setback.ts";
import { isSettled, mayMove, STATES, type State } from "./state.ts";
import { minHealthyMs } from "./verify.ts";

const RUNS = { numRuns: 1_000 } as const;

function always(arbitrary: fc.Arbitrary<Look>, rule: (look: Look, step: Step) => void): void {
  fc.assert(
    fc.property(arbitrary, (look) => void rule(look, reconcile(look.row, look.observed, look.now))),
    RUNS,
  );
}

const isOverdue = ({ row, now }: Look) => row.deadlineAt !== null && now >= row.deadlineAt;

function isOpen({ row, observed, now }: Look): boolean {
  if (!row.plan || !observed.gate) return false;
  const asked = row.state === "awaiting_approval" ? row.stateSince : now;
  const verdict = judgeGate({
    policy: row.plan.gate,
    digest: approvalDigest(row),
    requestedBy: { id: row.actorId, name: row.actor },
    askedAt: row.facts.askedAtMs === undefined ? asked : new Date(row.facts.askedAtMs),
    facts: observed.gate,
    now,
  });
  return verdict.is === "open";
}

describe("for every row, whatever is observed and whenever", () => {
  test("each step belongs to its state: no traffic moves and nothing is built, migrated or held in any other", () => {
    const where: Partial<Record<Step["do"], readonly State[]>> = {
      prepare: ["preparing"],
      hold: ["migrating"],
      unhold: ["migrating", "rolling_back"],
      shift: ["shifting"],
      restore_traffic: ["rolling_back"],
      return_traffic: ["rolling_back"],
      rest: STATES.filter(isSettled),
      retire: STATES.filter(isSettled),
      vacate: STATES.filter(isSettled),
      cancel_build: STATES.filter(isSettled),
    };
    always(looks, ({ row }, step) => {
      const allowed = where[step.do];
      if (allowed) expect(allowed).toContain(row.state);
      if (step.do === "build" && row.state !== "building") expect(row.cleanup).toBe("cancel_build");
    });
  });

  test("a move is one that the table of transitions has, and it says why", () => {
    always(looks, ({ row }, step) => {
      if (step.do !== "move") return;
      expect(mayMove(row.state, step.to), `${row.state} to ${step.to}`).toBe(true);
      expect(step.reason.length).toBeGreaterThan(0);
    });
  });

  test("it is pure: the same again for the same input, which is left as it was", () => {
    always(looks, (look, step) => {
      const frozen = deepFreeze(structuredClone(look));
      expect(reconcile(frozen.row, frozen.observed, frozen.now)).toEqual(step);
    });
  });

  test("a wait ends after now, or what it writes leads to another step within a few looks: no busy loop", () => {
    always(looks, (look, first) => {
      let { row } = look;
      let step = first;
      for (let turn = 0; step.do === "wait" && step.until <= look.now; turn++) {
        expect(turn, "waits for nothing, again and again").toBeLessThan(8);
        const next = { ...row, ...step.patch };
        expect(JSON.stringify(next), "a wait until now that changes nothing").not.toBe(JSON.stringify(row));
        row = next;
        step = reconcile(row, look.observed, look.now);
      }
    });
  });

  test("what owes nothing rests; a contract runs only on a live one, due, whose predecessor is drained", () => {
    always(looksAt(...STATES.filter(isSettled)), ({ row, observed, now }, step) => {
      if (row.cleanup !== null) return expect(step.do).not.toBe("rest");
      if (row.contractAt === null) return expect(step).toEqual({ do: "rest" });
      expect(step.do).toMatch(/wait|migrate/);
      if (step.do !== "migrate") return;
      expect([row.state, step.phase, now >= row.contractAt]).toEqual(["live", "contract", true]);
      expect(
        observed.inFlightBefore !== 3 || row.services.every((each) => each.previousTargetId === null),
      ).toBe(true);
    });
    always(looks, ({ row }, step) => {
      if (step.do === "migrate") expect(step.phase).toBe(row.state === "live" ? "contract" : "expand");
    });
  });

  test("an unchanged service is neither built nor shifted nor taken back", () => {
    always(looks, ({ row }, step) => {
      if (!("service" in step) || row.state === "rolling_back") return;
      expect(row.services.find((each) => each.name === step.service)?.unchanged).toBe(false);
    });
    always(looksAt("shifting"), ({ row }, step) => {
      if (step.do !== "move" || step.to !== "rolling_back") return;
      for (const each of step.patch?.services ?? []) {
        const before = row.services.find(({ name }) => name === each.name);
        expect(each.rollbackToTargetId).toBe(before?.unchanged ? null : before?.previousTargetId);
      }
    });
  });
});

describe("before traffic", () => {
  test("what was not healthy for its whole period, all services at this very look, goes no further", () => {
    always(looksAt("verifying"), (look, step) => {
      if (step.do !== "move" || step.to === "failed") return;
      for (const each of movingServices(look.row)) {
        expect(look.observed.probes[each.name]?.[0]).toMatchObject({ ok: true, status: 200 });
        const since = each.verification?.healthySinceMs ?? look.now.getTime();
        expect(look.now.getTime() - since).toBeGreaterThanOrEqual(minHealthyMs(look.row, each));
      }
    });
  });

  test("traffic begins, and a migration begins, only through a gate that is open at that moment", () => {
    const states = ["verifying", "awaiting_approval", "migrating", "releasing"] as const;
    always(looksAt(...states), (look, step) => {
      const passes = step.do === "move" && ["shifting", "migrating", "releasing"].includes(step.to);
      const fromSchema = look.row.state === "migrating" && step.do === "move";
      if (passes && !fromSchema) expect(isOpen(look)).toBe(true);
      if (step.do === "migrate" || step.do === "hold") expect(isOpen(look)).toBe(true);
    });
  });

  test("the schema is expanded before traffic, by the commit that asks for it", () => {
    always(looksAt("verifying", "awaiting_approval", "migrating"), ({ row }, step) => {
      if (step.do !== "move" || step.to !== "releasing") return;
      const asks = (row.plan?.schema?.expand.length ?? 0) > 0;
      if (asks || row.state === "migrating") expect(row.facts.schema?.expanded).toBe(true);
    });
  });

  test("requests that are held are let go on every way out: before it moves on, or by the clean-up", () => {
    const held = looksAt("migrating").filter(({ row }) => row.facts.schema?.held === true);
    always(held, ({ row, now }, step) => {
      for (const each of [step, setback(row, new AppError("unprocessable", "no"), now)]) {
        if (each.do !== "move") continue;
        expect([each.to, each.patch?.cleanup]).toEqual(["failed", "retire"]);
      }
    });
  });

  test("it ends with a reason, a hint, whose fault it was, and what is owed for everything that was asked for", () => {
    const states = [
      "queued",
      "preparing",
      "building",
      "verifying",
      "awaiting_approval",
      "migrating",
      "releasing",
    ] as const;
    const fault = fc.constantFrom(
      new AppError("unprocessable", "The user's."),
      new AppError("upstream", "The vendor's."),
    );
    fc.assert(
      fc.property(looksAt(...states), fault, ({ row, observed, now }, error) => {
        for (const step of [reconcile(row, observed, now), setback(row, error, now)]) {
          if (step.do !== "move" || !isSettled(step.to)) continue;
          expect(step.reason).not.toBe("");
          if (step.to === "failed") expect(step.patch?.outcome).toMatch(/failure|error|timeout/);
          if (step.to !== "canceled") expect(step.hint).toMatch(/./);
          const owes = row.services.length > 0;
          expect(step.patch?.cleanup ?? null).toBe(
            owes ? (row.state === "building" ? "cancel_build" : "retire") : null,
          );
        }
      }),
      RUNS,
    );
  });

  test("one that is late ends at once, whatever is observed", () => {
    always(looks, (look, step) => {
      if (isOverdue(look)) expect(step).toMatchObject({ do: "move" });
    });
  });
});

describe("with traffic", () => {
  test("weights only rise: a shift is of a service that has less than it is to get", () => {
    always(looksAt("shifting"), ({ row, observed }, step) => {
      if (step.do !== "shift") return;
      const service = row.services.find((each) => each.name === step.service);
      const weight = observed.traffic?.[step.service]?.[service?.targetDeploymentId ?? ""] ?? 0;
      if (step.weight === 0) expect([weight, service?.opened]).toEqual([0, false]);
      else expect(step.weight).toBeGreaterThan(weight);
      expect(row.facts.rollout?.stages.map((stage) => stage.weight).concat(100)).toContain(step.weight);
    });
  });

  test("a weight of 0 is opened for a service that has nothing yet, and never takes anything from it", () => {
    always(looksAt("shifting"), ({ observed }, step) => {
      if (step.do === "shift" && step.weight === 0) expect(observed.traffic).not.toBeNull();
    });
  });

  test("it is live only when every service that moves has all its traffic and all public hosts answer from it", () => {
    always(looksAt("shifting"), ({ row, observed }, step) => {
      if (step.do !== "move" || step.to !== "live") return;
      for (const each of row.services) {
        const publicly = observed.publicProbes?.[each.name];
        expect(publicly?.deploymentHeader ?? each.targetDeploymentId).toBe(each.targetDeploymentId);
        if (each.unchanged) continue;
        expect(publicly?.status).toBe(200);
        expect(observed.traffic?.[each.name]?.[each.targetDeploymentId ?? ""]).toBe(100);
      }
    });
  });

  test("it is never simply failed while there was something to go back to; then all of it goes back, together", () => {
    always(looksAt("shifting"), ({ row, now }, step) => {
      for (const each of [step, setback(row, new AppError("forbidden", "no"), now)]) {
        if (each.do !== "move" || each.to === "live") continue;
        const before = row.services.filter((one) => one.previousTargetId !== null);
        expect(each.to).toBe(before.length > 0 ? "rolling_back" : "failed");
        expect([each.hint, each.patch?.outcome]).toEqual([expect.any(String), expect.any(String)]);
        if (each.to === "failed") continue;
        for (const { name, previousTargetId, previousUrl } of before) {
          const after = each.patch?.services?.find((one) => one.name === name);
          expect(after).toMatchObject({ rollbackToTargetId: previousTargetId, rollbackToUrl: previousUrl });
        }
      }
    });
  });

  test("a rollback gives traffic only to the release that it names, and is over when that has all of it", () => {
    always(looksAt("rolling_back"), (look, step) => {
      const { row, observed } = look;
      const share = (each: ServiceRelease) =>
        observed.traffic?.[each.name]?.[each.rollbackToTargetId ?? ""] ?? 0;
      if (step.do === "restore_traffic" || step.do === "return_traffic") {
        const service = row.services.find((each) => each.name === step.service);
        expect(step.to).toBe(service?.rollbackToTargetId);
        if (service && step.do === "return_traffic") expect(step.weight).toBeGreaterThan(share(service));
        expect(row.facts.rollback?.ready).toBe(true);
      }
      if (step.do === "move" && step.to === "rolled_back") {
        for (const each of row.services) if (each.rollbackToTargetId !== null) expect(share(each)).toBe(100);
        expect(look.now.getTime()).toBeGreaterThanOrEqual(row.facts.settleAtMs ?? 0);
      }
      expect(step.do).not.toBe("rest");
    });
  });
});

test("the rows and the looks of these tests come to every kind of step, and to most moves", () => {
  const steps = new Set<string>();
  const add = (step: Step) => steps.add(step.do === "move" ? `to ${step.to}` : step.do);
  for (const { row, observed, now } of fc.sample(looks, { numRuns: 8_000, seed: 1 }))
    add(reconcile(row, observed, now));
  const kinds = [
    "wait",
    "rest",
    "prepare",
    "hold",
    "unhold",
    "cancel_build",
    "retire",
    "vacate",
    "build",
    "migrate",
    "shift",
  ];
  const moves = STATES.filter((state) => !["queued", "building", "superseded"].includes(state)).map(
    (state) => `to ${state}`,
  );
  expect([...steps].sort()).toEqual([...kinds, "restore_traffic", "return_traffic", ...moves].sort());
});

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  for (const each of Object.values(value)) deepFreeze(each);
  return Object.freeze(value);
}
