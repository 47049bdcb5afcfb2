import { expect, test } from "vitest";
import { aDeployment, aService, at, T0 } from "../../test/support/deployment-row.ts";
import { AppError } from "../foundation/errors.ts";
import { setback } from "./setback.ts";

const fault = new AppError("upstream", "503 from the vendor");
const mistake = new AppError("not_found", 'There is no ref "mian".', { hint: "Check the branch." });
const tried = { facts: { attempts: { count: 9, error: "" } } };

test("the vendor's fault is retried ever more slowly and given up after ten tries; the user's fault is final", () => {
  const waits = [0, 1, 8].map((count) => {
    const step = setback(aDeployment("preparing", { facts: { attempts: { count, error: "" } } }), fault, T0);
    return step.do === "wait" ? step.until.getTime() - T0.getTime() : step;
  });
  expect(waits).toEqual([250, 500, 10_000]);
  expect(setback(aDeployment("preparing", tried), fault, T0)).toMatchObject({
    to: "failed",
    patch: { outcome: "error" },
  });
  expect(setback(aDeployment("preparing"), mistake, T0)).toMatchObject({
    to: "failed",
    reason: 'There is no ref "mian".',
    hint: "Check the branch.",
    patch: { outcome: "failure" },
  });
});

test.each([
  ["building", "cancel_build"],
  ["verifying", "retire"],
  ["awaiting_approval", "retire"],
  ["migrating", "retire"],
  ["releasing", "retire"],
] as const)("given up in %s it fails and owes %s", (state, cleanup) => {
  expect(setback(aDeployment(state, tried), fault, T0)).toMatchObject({
    to: "failed",
    hint: expect.any(String),
    patch: { cleanup },
  });
});

test("one with traffic goes back to the release before it, and fails only where there was none", () => {
  expect(setback(aDeployment("shifting", tried), fault, T0)).toMatchObject({
    to: "rolling_back",
    patch: { services: [{ rollbackToTargetId: "dpl_app_1" }], outcome: "error" },
  });
  const services = [aService("app", { previousTargetId: null, previousUrl: null })];
  expect(setback(aDeployment("shifting", { ...tried, services }), fault, T0)).toMatchObject({ to: "failed" });
});

test("traffic is brought back, and a turn is waited for, however often it fails", () => {
  const often = { facts: { attempts: { count: 1_000, error: "" } } };
  for (const state of ["rolling_back", "queued"] as const) {
    expect(setback(aDeployment(state, often), mistake, T0)).toMatchObject({ do: "wait", until: at(10_000) });
  }
});

test("contract migrations that are given up leave the release live, and say so", () => {
  const step = setback(aDeployment("live", { contractAt: T0 }), mistake, T0);
  expect(step).toMatchObject({
    do: "wait",
    patch: { contractAt: null, facts: { problem: expect.stringContaining("contract") } },
  });
});

test("a clean-up that is given up owes nothing any more", () => {
  expect(setback(aDeployment("failed", { cleanup: "retire" }), mistake, T0)).toMatchObject({
    do: "wait",
    patch: { cleanup: null },
  });
  const live = setback(aDeployment("live", { cleanup: "retire", contractAt: T0 }), mistake, T0);
  expect("patch" in live && live.patch).not.toHaveProperty("contractAt");
});
