import { expect, it } from "vitest";
import { type AgentClock, corrected } from "./clock.ts";

const NEW: AgentClock = { correctionMs: 0, seenMs: null };

it.each([
  ["right, with the way here", [40, 900, 55], [0, 0, 0]],
  ["behind from the start", [3_640, 3_655, 3_700], [3_640, 3_640, 3_640]],
  ["ahead from the start", [-7_000, -6_950], [-7_000, -7_000]],
  ["right, and one push long on its way", [40, 9_000, 50], [0, 0, 0]],
  ["set right", [-7_000, 40, 50], [-7_000, -7_000, 0]],
  ["set ahead", [40, -7_000, -6_900], [0, -7_000, -7_000]],
  ["set back", [40, 3_600_000, 3_600_020], [0, 0, 3_600_000]],
])("a clock that is %s", (_name, offs, corrections) => {
  let clock = NEW;
  const found = offs.map((off) => {
    clock = corrected(clock, off);
    return clock.correctionMs;
  });
  expect(found).toEqual(corrections);
});
