import { expect, it } from "vitest";
import { snapshotProblems } from "./validate.ts";

const SHA = "a".repeat(64);
const snapshot = (gate: unknown) => ({
  version: 1,
  generation: 1,
  releases: { r: { id: "r", project: "p", manifest: "/m", socket: null } },
  hosts: { "p.test": { targets: [{ release: "r", weight: 100 }], rollout: null, gate } },
});

it.each([
  { kind: "paused" },
  { kind: "protected", bypass: [SHA] },
  { kind: "protected", bypass: [] },
  { kind: "redirect", to: "www.p.test", status: 308 },
])("takes the gate %j", (gate) => {
  expect(snapshotProblems(snapshot(gate))).toEqual([]);
});

it.each([
  "paused",
  { kind: "open" },
  { kind: "protected", bypass: ["a secret in the clear"] },
  { kind: "protected" },
  { kind: "redirect", to: "evil.test/path", status: 308 },
  { kind: "redirect", to: "www.p.test", status: 200 },
])("refuses the gate %j", (gate) => {
  expect(snapshotProblems(snapshot(gate))).toHaveLength(1);
});
