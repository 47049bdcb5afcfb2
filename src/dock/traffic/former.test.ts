import { describe, expect, it } from "vitest";
import { type Former, formerAfter } from "./former.ts";

const at = (ms: number) => new Date(ms);
const holder = (id: string, createdMs: number) => ({ id, createdAt: at(createdMs) });
const left = (deploymentId: string, parts: Partial<Former> = {}): Former => {
  return { deploymentId, supersededAt: at(50), drainUntil: null, rolledBack: false, ...parts };
};
const move = { isRollback: false, drainMs: 1_000, now: at(100) };

describe("after a flip", () => {
  it("the one that had the host comes first, and its visitors are kept for as long as the project says", () => {
    const after = formerAfter([left("a")], { ...move, from: holder("b", 2), to: holder("c", 3) });
    expect(after).toEqual([left("b", { supersededAt: at(100), drainUntil: at(1_100) }), left("a")]);
  });

  it("nobody is kept where it says nothing", () => {
    const [first] = formerAfter([], { ...move, drainMs: 0, from: holder("b", 2), to: holder("c", 3) });
    expect(first?.drainUntil).toBeNull();
  });

  it("the one that has it now is no former one", () => {
    const after = formerAfter([left("c")], { ...move, from: holder("b", 2), to: holder("c", 3) });
    expect(after.map((one) => one.deploymentId)).toEqual(["b"]);
  });

  it("the first release of a host leaves nobody behind, and the same one again changes nothing", () => {
    expect(formerAfter([], { ...move, from: null, to: holder("a", 1) })).toEqual([]);
    expect(formerAfter([left("a")], { ...move, from: holder("b", 2), to: holder("b", 2) })).toEqual([
      left("a"),
    ]);
  });
});

describe("going back", () => {
  it.each([
    ["by a rollback", { isRollback: true, from: holder("b", 2), to: holder("a", 3) }],
    ["to what was made earlier", { isRollback: false, from: holder("b", 2), to: holder("a", 1) }],
  ])("%s keeps nobody anywhere, and what is left is bad", (_, parts) => {
    const former = [left("a"), left("z", { drainUntil: at(9_999) })];
    expect(formerAfter(former, { ...move, ...parts })).toEqual([
      left("b", { supersededAt: at(100), rolledBack: true }),
      left("z"),
    ]);
  });

  it("that ends a canary keeps nobody either", () => {
    const former = [left("z", { drainUntil: at(9_999) })];
    const back = { ...move, isRollback: true, from: holder("a", 1), to: holder("a", 1) };
    expect(formerAfter(former, back)).toEqual([left("z")]);
  });
});

it("the last five are remembered for ever, others for 30 days", () => {
  const day = 86_400_000;
  const old = Array.from({ length: 8 }, (_, i) => left(`r${i}`, { supersededAt: at(i < 6 ? 35 * day : 0) }));
  const after = formerAfter(old, { ...move, now: at(40 * day), from: holder("b", 2), to: holder("c", 3) });
  expect(after.map((one) => one.deploymentId)).toEqual(["b", "r0", "r1", "r2", "r3", "r4", "r5"]);
});
