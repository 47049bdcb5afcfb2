import { expect, test } from "vitest";
import { type Cause, type DoraEvent, type Ending, outcomeOfCause, readOutcome } from "./dora-outcome.ts";
import type { DeploymentOutcome } from "./record.ts";
import { STATES, type State } from "./state.ts";

const ending = (state: State, change: Partial<Ending> = {}): Ending => ({
  state,
  outcome: null,
  rolledBackByHand: false,
  attempts: 0,
  ...change,
});
const at = new Date("2026-01-01T00:00:00Z");
const move = (from: State, to: State, reason: string | null = null): DoraEvent => ({ at, from, to, reason });

test.each<[string, Ending, DoraEvent[], DeploymentOutcome | null]>([
  ["one that serves", ending("live"), [move("shifting", "live")], "success"],
  ["one that served until the next", ending("superseded"), [move("shifting", "live")], "success"],
  ["one that gave way in the queue", ending("superseded"), [move("queued", "superseded")], "skip"],
  ["one that a person stopped", ending("canceled"), [move("building", "canceled")], "cancellation"],
  ["one that was not approved", ending("rejected"), [move("awaiting_approval", "rejected")], "cancellation"],
  [
    "a build that failed",
    ending("failed"),
    [move("building", "failed", "The build failed: exit 1")],
    "failure",
  ],
  [
    "a build that the dock could not finish",
    ending("failed"),
    [
      move(
        "building",
        "failed",
        "The build failed: The dock ended 2 times while it built this. Deploy again.",
      ),
    ],
    "error",
  ],
  [
    "a build that reached its time limit",
    ending("failed"),
    [move("building", "failed", "The build failed: The build did not end within 6 s: still running.")],
    "timeout",
  ],
  [
    "a build without an end",
    ending("failed"),
    [move("building", "failed", 'It did not get through "building" in time.')],
    "timeout",
  ],
  [
    "an app that never became healthy",
    ending("failed"),
    [move("verifying", "failed", "It did not stay")],
    "failure",
  ],
  [
    "a mistake in the configuration",
    ending("failed", { attempts: 1 }),
    [move("preparing", "failed")],
    "failure",
  ],
  [
    "a target that did not answer",
    ending("failed", { attempts: 10 }),
    [move("preparing", "failed")],
    "error",
  ],
  ["traffic that could not be taken back", ending("failed"), [move("rolling_back", "failed")], "error"],
  ["a first release that went bad", ending("failed"), [move("shifting", "failed", "3 probes")], "failure"],
  [
    "a canary that was taken back",
    ending("rolled_back"),
    [move("shifting", "rolling_back", "9 of 50 answers were 5xx"), move("rolling_back", "rolled_back")],
    "failure",
  ],
  [
    "a canary that a person canceled",
    ending("rolled_back"),
    [move("shifting", "rolling_back", "Canceled by ada."), move("rolling_back", "rolled_back")],
    "cancellation",
  ],
  [
    "a live one that a person took back",
    ending("rolled_back", { rolledBackByHand: true }),
    [move("live", "rolling_back", "Rolled back by ada."), move("rolling_back", "rolled_back")],
    "failure",
  ],
  [
    "a rollout that the target stopped answering to",
    ending("rolled_back", { attempts: 10 }),
    [move("shifting", "rolling_back", "fetch failed"), move("rolling_back", "rolled_back")],
    "error",
  ],
  [
    "a rollout that took too long",
    ending("rolled_back"),
    [move("shifting", "rolling_back", 'It did not get through "shifting" in time.')],
    "timeout",
  ],
  ["one that is under way", ending("building"), [move("preparing", "building")], null],
])("%s", (_name, row, events, expected) => {
  expect(readOutcome(row, events)).toBe(expected);
});

test("what the engine stored is believed", () => {
  expect(readOutcome(ending("failed", { outcome: "error" }), [move("building", "failed")])).toBe("error");
});

test.each<[State, Cause, DeploymentOutcome]>([
  ["preparing", { kind: "refused", code: "unprocessable" }, "failure"],
  ["preparing", { kind: "refused", code: "unauthorized" }, "error"],
  ["preparing", { kind: "refused", code: "upstream" }, "error"],
  ["preparing", { kind: "refused", code: "timeout" }, "timeout"],
  ["building", { kind: "build", verdict: "failed" }, "failure"],
  ["building", { kind: "build", verdict: "timeout" }, "timeout"],
  ["building", { kind: "build", verdict: "ours" }, "error"],
  ["awaiting_approval", { kind: "overdue" }, "timeout"],
  ["rolling_back", { kind: "overdue" }, "error"],
  ["shifting", { kind: "unhealthy" }, "failure"],
])("a cause in %s: %j is %s", (state, cause, expected) => {
  expect(outcomeOfCause(state, cause)).toBe(expected);
});

test("every settled state has an outcome, and no other has", () => {
  const settled = ["live", "failed", "canceled", "rejected", "superseded", "rolled_back"];
  for (const state of STATES) expect(readOutcome(ending(state), []) !== null).toBe(settled.includes(state));
});
