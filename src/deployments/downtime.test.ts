import { expect, test } from "vitest";
import { type Downtime, type DowntimeInput, judgeDowntime, type PlannedService } from "./downtime.ts";

const HEALTHZ = { type: "http", path: "/healthz", expectStatus: [200, 399], contains: null } as const;
const WEB: PlannedService = { name: "web", change: "changed", checks: [HEALTHZ], kind: "server" };
const CANARY = {
  kind: "canary",
  steps: [{ weight: 10, bakeMs: 1_000 }],
  analysis: {} as never,
} as const satisfies DowntimeInput["strategy"];
const HELD = { expand: ["1.sql"], hold: { maxMs: 5_000, maxRequests: 1_000 } };

const INPUT: DowntimeInput = {
  environment: "production",
  services: [WEB],
  strategy: { kind: "instant" },
  schema: null,
  pending: [],
  locking: [],
  rollbackWindowMs: 3_600_000,
  pendingContract: [],
  abilities: { split: true, hold: true },
};
const withService = (change: Partial<PlannedService>) => ({ services: [{ ...WEB, ...change }] });

test.each<[rule: string, change: Partial<DowntimeInput>, expected: Downtime["expected"], because: string]>([
  ["a flip between warm releases is none", {}, "none", "the switch moves a pointer"],
  [
    "a first deployment takes nothing away",
    withService({ change: "new" }),
    "none",
    "nothing serves there yet",
  ],
  ["an unchanged service is left alone", withService({ change: "unchanged" }), "none", "keeps its release"],
  [
    "without an HTTP check it promises nothing",
    withService({ checks: [{ type: "tcp" }] }),
    "unknown",
    "no HTTP",
  ],
  ["a split production", { strategy: CANARY }, "none", "the switch moves a pointer"],
  ["a canary in staging", { strategy: CANARY, environment: "staging" }, "none", "goes from 0 to 100 %"],
  [
    "a canary where the plan is not known",
    { strategy: CANARY, abilities: { split: "unknown", hold: false } },
    "unknown",
    "rolling releases",
  ],
  [
    "held requests wait",
    { schema: HELD, pending: ["1.sql"] },
    "about 5 s",
    "requests wait up to 5 s; none fails while fewer than 1,000 wait",
  ],
  ["a hold with nothing to migrate", { schema: HELD, pending: [] }, "none", "nothing is found to migrate"],
  ["a hold when the database is silent", { schema: HELD, pending: null }, "about 5 s", "wait up to 5 s"],
  [
    "a hold that the target lacks",
    { schema: HELD, pending: ["1.sql"], abilities: { split: true, hold: false } },
    "unknown",
    "beside the traffic",
  ],
  [
    "a heavy lock",
    { schema: { ...HELD, hold: null }, pending: ["1.sql"], locking: ["CREATE INDEX makes writes wait."] },
    "unknown",
    "CREATE INDEX makes writes wait",
  ],
  ["a light migration", { schema: { ...HELD, hold: null }, pending: ["1.sql"] }, "none", "pointer"],
  [
    "a migration that nobody can look at",
    { schema: { ...HELD, hold: null }, pending: null },
    "unknown",
    "could not be asked",
  ],
])("%s", (_, change, expected, because) => {
  const downtime = judgeDowntime({ ...INPUT, ...change });
  expect(downtime.expected).toBe(expected);
  expect(downtime.because.join("\n")).toContain(because);
});

test("what could let a broken release through, and what bars a rollback, is warned of", () => {
  const warned = (change: Partial<DowntimeInput>) =>
    judgeDowntime({ ...INPUT, ...change }).warnings.join("\n");
  const root = [{ ...HEALTHZ, path: "/" }];
  expect(warned({})).toBe("");
  expect(warned(withService({ checks: [{ type: "tcp" }] }))).toContain("web has no HTTP check");
  expect(warned(withService({ checks: root }))).toContain('only asked for "/"');
  expect(warned(withService({ checks: root, kind: "static" }))).toBe("");
  expect(warned({ pendingContract: ["9.sql"] })).toContain("closes 1 h after it is live");
});

test("of several services the worst counts, and each has its own reasons", () => {
  const api: PlannedService = { ...WEB, name: "api", change: "new" };
  const downtime = judgeDowntime({ ...INPUT, services: [api, WEB], schema: HELD, pending: ["1.sql"] });
  expect(downtime.expected).toBe("about 5 s");
  expect(downtime.services.map(({ name, expected }) => `${name} ${expected}`)).toEqual([
    "api none",
    "web about 5 s",
  ]);
  expect(downtime.because[0]).toBe("api: nothing serves there yet");
});
