import { describe, expect, it } from "vitest";
import { holdVerdict, partOfLimit, settleHeld } from "./hold.ts";

const hold = { id: "hold_1", untilMs: 1_000, maxMs: 500, maxRequests: 3 };

describe("a request that arrives", () => {
  it.each<[string, typeof hold | null, number, number, string]>([
    ["passes where nothing is held", null, 0, 900, "pass"],
    ["waits while there is room", hold, 2, 999, "wait"],
    ["is refused when there is none", hold, 3, 999, "full"],
    ["passes once the hold has run out, whoever still waits", hold, 3, 1_000, "pass"],
  ])("%s", (_, hold, waiting, nowMs, verdict) => {
    expect(holdVerdict(hold, waiting, 3, nowMs)).toBe(verdict);
  });
});

describe("those that wait", () => {
  it("are released when the hold is lifted, however long they waited", () => {
    expect(settleHeld(null, [0, 100], 9_000)).toEqual({ failed: 0, rest: "released", nextMs: null });
  });

  it("fail when the hold ran out without being lifted", () => {
    expect(settleHeld(hold, [990], 1_000)).toEqual({ failed: 0, rest: "failed", nextMs: null });
  });

  it("fail one by one after their longest wait, and the next look is at the next one's", () => {
    expect(settleHeld(hold, [0, 100, 400], 600)).toEqual({ failed: 2, rest: "waiting", nextMs: 900 });
    expect(settleHeld(hold, [600], 600)).toEqual({ failed: 0, rest: "waiting", nextMs: 1_000 });
    expect(settleHeld(hold, [0], 600)).toEqual({ failed: 1, rest: "waiting", nextMs: null });
  });
});

it("the workers share the limit", () => {
  expect(partOfLimit(hold, 1)).toBe(3);
  expect(partOfLimit(hold, 2)).toBe(2);
});
