import { expect, test } from "vitest";
import { aDeployment, aService, at, T0 } from "../../test/support/deployment-row.ts";
import { AppError } from "../foundation/errors.ts";
import { setback, settled } from "./setback.ts";

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

test("what the target refuses before anything moved fails, and nothing is taken back over somebody else's head", () => {
  const services = [aService("app", { weight: 0, opened: false })];
  const shifting = { atMs: T0.getTime(), leaseToken: 3 };
  const began = { services, leaseToken: 3, facts: { shifting } };
  const refusal = new AppError("unprocessable", "A rolling release of somebody else is under way.");
  expect(setback(aDeployment("shifting", began), refusal, T0)).toMatchObject({
    to: "failed",
    reason: "A rolling release of somebody else is under way.",
    patch: { cleanup: "retire", outcome: "failure" },
  });
  // Whoever held it before may have asked; an answer was lost; it has visitors; it can be asked for at 0 %.
  const maybe = [
    { ...began, leaseToken: 4 },
    { ...began, facts: { shifting, unsureOfTraffic: true } },
    { ...began, services: [aService("app", { weight: 10 })] },
    { ...began, services: [aService("app", { weight: 0, opened: true })] },
  ];
  for (const row of maybe) {
    expect(setback(aDeployment("shifting", row), refusal, T0)).toMatchObject({ to: "rolling_back" });
  }
  const lost = setback(aDeployment("shifting", began), fault, T0);
  expect(lost).toMatchObject({ do: "wait", patch: { facts: { unsureOfTraffic: true } } });
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

const limited = new AppError("rate_limited", "Slow down.", { details: { retryAfterMs: 40_000 } });
const away = new AppError("unavailable", "The Vercel API gave no answer (ECONNREFUSED).");

test("a rate limit blocks for as long as it asks, and is no failed try however often it comes", () => {
  const step = setback(aDeployment("building", { ...tried, deadlineAt: at(900_000) }), limited, T0);
  if (step.do !== "wait") throw new Error(step.do);
  const waitMs = step.until.getTime() - T0.getTime();
  // Spread by a quarter, so that those who wait do not all come back at once.
  expect(waitMs).toBeGreaterThanOrEqual(40_000);
  expect(waitMs).toBeLessThanOrEqual(50_000);
  expect(step.patch?.facts).toMatchObject({
    blocked: { by: "rate_limit", reason: "Slow down.", leftMs: null },
  });
  // It stays within its deadline.
  expect(step.patch).not.toHaveProperty("deadlineAt");
});

test.each([
  "preparing",
  "building",
  "verifying",
  "releasing",
  "shifting",
  "rolling_back",
] as const)("in %s an outage of the target costs neither tries nor time, for six hours", (state) => {
  const before = aDeployment(state, { ...tried, deadlineAt: at(120_000) });
  const step = setback(before, away, T0, true);
  if (step.do !== "wait") throw new Error(step.do);
  const left = (step.patch?.deadlineAt?.getTime() ?? 0) - step.until.getTime();
  expect(left).toBe(120_000);
  const later = { ...before, ...step.patch, facts: step.patch?.facts ?? {} };
  const again = setback(later, away, at(3_600_000), true);
  expect(again).toMatchObject({ do: "wait", patch: { deadlineAt: at(3_600_000 + 5_000 + 120_000) } });
  const end = setback(later, away, at(7 * 3_600_000), true);
  if (state !== "rolling_back") expect(end).toMatchObject({ do: "move" });
});

test("one request that fails while the target answers others is no outage", () => {
  expect(setback(aDeployment("shifting", tried), away, T0, false)).toMatchObject({ to: "rolling_back" });
});

test("a success ends the block, and the time of it counts for nothing", () => {
  const blocked = { by: "outage", reason: "", sinceMs: T0.getTime(), untilMs: 0, leftMs: 1 } as const;
  const facts = { attempts: { count: 3, error: "" }, blocked, waitedMs: 5 };
  expect(settled(facts, at(60_000))).toEqual({ waitedMs: 60_005, resumedAtMs: at(60_000).getTime() });
  expect(settled({ attempts: facts.attempts, waitedMs: 5 }, at(60_000))).toEqual({ waitedMs: 5 });
});

test("a rate limit that lies far in the future is looked at before, and is a time that a row can keep", () => {
  for (const retryAfterMs of [7 * 86_400_000, 1e18]) {
    const limited = new AppError("rate_limited", "Slow.", { details: { retryAfterMs } });
    const step = setback(aDeployment("building", { deadlineAt: at(900_000) }), limited, T0);
    expect(step.do === "wait" && step.until.getTime() - T0.getTime()).toBe(6 * 3_600_000);
  }
});
