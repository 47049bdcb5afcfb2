import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ProbeResult } from "../deployments/index.ts";
import { type Sighting, sightingOf } from "./sighting.ts";
import { judge, type Seen } from "./verdict.ts";

const good: Sighting = { kind: "good" };
const refused: Sighting = { kind: "unreachable", detail: "the connection was refused" };
const hung: Sighting = { kind: "hung", detail: "no answer within 5000 ms" };
const broken: Sighting = { kind: "answered", byPlatform: false, detail: "status 500" };
const internal: Sighting = { kind: "answered", byPlatform: true, detail: "a fault of Vercel's own" };

const seen = (change: Partial<Seen>): Seen => ({
  serving: "primary",
  hostname: good,
  primary: good,
  standbyAnswers: true,
  witnesses: null,
  indicator: null,
  ...change,
});

describe("a probe's result is", () => {
  const result = (change: Partial<ProbeResult>): ProbeResult => ({
    ok: true,
    status: 200,
    latencyMs: 1,
    ...change,
  });
  it.each<[string, Partial<ProbeResult>, Sighting["kind"], boolean?]>([
    ["good within the range", { status: 204 }, "good"],
    ["good for a connection that was taken", { status: null }, "good"],
    ["an answer outside of it", { status: 500 }, "answered", false],
    ["an answer with the wrong body", { ok: false, error: "the body does not contain x" }, "answered", false],
    ["the platform's own fault", { ok: false, status: 500, unreachable: true }, "answered", true],
    ["unreachable", { ok: false, status: null, unreachable: true, error: "refused" }, "unreachable"],
    ["hung", { ok: false, status: null, error: "no answer within 5 ms" }, "hung"],
  ])("%s", (_name, change, kind, byPlatform) => {
    expect(sightingOf(result(change), [200, 399])).toMatchObject({
      kind,
      ...(byPlatform === undefined ? {} : { byPlatform }),
    });
  });
});

describe("the primary is", () => {
  it.each<[string, Partial<Seen>, string]>([
    ["well when the hostname answers", {}, "well"],
    ["well when the hostname answers, whatever its own address does", { primary: refused }, "well"],
    ["well by its own address while the standby serves", { serving: "standby", hostname: null }, "well"],
    ["away when neither answers", { hostname: refused, primary: refused }, "away"],
    ["away when its edge tells of a fault of its own", { hostname: internal, primary: internal }, "away"],
    ["away while the standby serves and it does not", { serving: "standby", primary: refused }, "away"],
    ["not away when the release answers with an error", { hostname: broken, primary: broken }, "release"],
    ["not away when only the hostname fails", { hostname: refused }, "hostname"],
    [
      "not away when its own address still gives the release's error",
      { hostname: refused, primary: broken },
      "release",
    ],
    ["not away when the release hangs", { hostname: hung, primary: hung }, "release"],
    [
      "away when it hangs and says so on its page",
      { hostname: hung, primary: hung, indicator: "major" },
      "away",
    ],
    [
      "not away for maintenance on its page",
      { hostname: hung, primary: hung, indicator: "maintenance" },
      "release",
    ],
    ["away when one hangs and the other is gone", { hostname: hung, primary: refused }, "away"],
    [
      "nobody's guess when no witness answers",
      { hostname: refused, primary: refused, witnesses: 0 },
      "cut_off",
    ],
    ["away when a witness answers", { hostname: refused, primary: refused, witnesses: 1 }, "away"],
    [
      "unclear when the standby fails too",
      { hostname: refused, primary: refused, standbyAnswers: false },
      "unclear",
    ],
    ["unclear with no address to look at", { hostname: null, primary: null }, "unclear"],
    [
      "away by the hostname alone where its own address is not known",
      { hostname: refused, primary: null },
      "away",
    ],
  ])("%s", (_name, change, verdict) => {
    const judged = judge(seen(change));
    expect(judged.verdict, judged.reason).toBe(verdict);
    expect(judged.reason).toMatch(/\.$/);
  });

  it("never away while anything of it answers for the release, or the standby does not answer", () => {
    const sighting = fc.constantFrom(good, refused, hung, broken, internal, null);
    const any = fc.record({
      serving: fc.constantFrom("primary" as const, "standby" as const),
      hostname: sighting,
      primary: sighting,
      standbyAnswers: fc.boolean(),
      witnesses: fc.constantFrom(null, 0, 1),
      indicator: fc.constantFrom(null, "none", "major"),
    });
    fc.assert(
      fc.property(any, (input) => {
        const { verdict } = judge(input);
        const looked = input.serving === "primary" ? [input.hostname, input.primary] : [input.primary];
        const ours = looked.some(
          (one) => one?.kind === "good" || (one?.kind === "answered" && !one.byPlatform),
        );
        if (ours || !input.standbyAnswers || input.witnesses === 0) expect(verdict).not.toBe("away");
      }),
    );
  });
});
