import { describe, expect, it } from "vitest";
import { type GateRun, gateOf, HOLDS_ALIAS, HOLDS_PROMOTION } from "./gate.ts";

let serial = 0;
function run(fields: Partial<GateRun>): GateRun {
  serial += 1;
  const id = `run_${serial}`;
  const blocks = "deployment-alias";
  return {
    id,
    serial,
    check_id: "chk",
    name: "smoke",
    blocks,
    status: "queued",
    conclusion: null,
    ...fields,
  };
}
const done = (conclusion: string, fields: Partial<GateRun> = {}) =>
  run({ status: "completed", conclusion, ...fields });

describe("the gate of a deployment's checks", () => {
  it("is open where nothing blocks", () => {
    expect(gateOf([], HOLDS_ALIAS)).toEqual({ state: "none" });
    expect(gateOf([run({ blocks: "none" }), run({ check_id: "b", blocks: "none" })], HOLDS_ALIAS)).toEqual({
      state: "none",
    });
  });

  it("waits for every check that blocks", () => {
    expect(gateOf([done("succeeded"), run({ check_id: "b", status: "running" })], HOLDS_ALIAS).state).toBe(
      "pending",
    );
    expect(gateOf([done("succeeded"), done("neutral", { check_id: "b" })], HOLDS_ALIAS).state).toBe(
      "succeeded",
    );
  });

  it.each([
    "failed",
    "timeout",
    "canceled",
  ])("fails with a run that ended in %s, and names it", (conclusion) => {
    const runs = [done(conclusion), run({ check_id: "b" })];
    expect(gateOf(runs, HOLDS_ALIAS)).toEqual({ state: "failed", names: ["smoke"] });
  });

  it("counts the newest run of a check only, and every check that stands alone", () => {
    expect(gateOf([done("failed"), done("succeeded")], HOLDS_ALIAS).state).toBe("succeeded");
    expect(gateOf([done("succeeded"), run({})], HOLDS_ALIAS).state).toBe("pending");
    const alone = { check_id: null };
    expect(gateOf([done("failed", alone), done("succeeded", alone)], HOLDS_ALIAS).state).toBe("failed");
  });

  it("refuses a promotion for those that block it alone", () => {
    expect(gateOf([run({ blocks: "deployment-alias" })], HOLDS_PROMOTION).state).toBe("none");
    expect(gateOf([run({ blocks: "deployment-promotion" })], HOLDS_PROMOTION).state).toBe("pending");
    expect(gateOf([run({ blocks: "deployment-promotion" })], HOLDS_ALIAS).state).toBe("pending");
  });
});
