import { expect, it } from "vitest";
import { stageEnd } from "./advance-automatically.ts";

const stage = (duration: number | null) => ({ targetPercentage: 10, requireApproval: false, duration });
const row = { stages: [stage(5), stage(null)], active_stage: 0, stage_at: new Date(0) };

it("a stage ends its minutes after it began; without a duration it waits for a person", () => {
  expect(stageEnd(row)).toEqual(new Date(5 * 60_000));
  expect(stageEnd({ ...row, active_stage: 1 })).toBeNull();
  expect(stageEnd({ ...row, active_stage: 2 })).toBeNull();
  expect(stageEnd({ ...row, stage_at: null })).toBeNull();
});
