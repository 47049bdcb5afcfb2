import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type RetentionPolicy, type RetentionRow, retainedDeployments } from "./retention.ts";

const NOW = new Date("2026-03-01T00:00:00Z");
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000);
const row = (id: string, parts: Partial<RetentionRow> = {}): RetentionRow => ({
  id,
  projectId: "p",
  target: "preview",
  state: "READY",
  createdAt: daysAgo(30),
  promotedAt: null,
  needed: false,
  ...parts,
});
const many = (count: number, parts: Partial<RetentionRow>) =>
  Array.from({ length: count }, (_, i) => row(`new${i}`, { createdAt: daysAgo(1), ...parts }));
const isKept = (rows: readonly RetentionRow[], policy: RetentionPolicy = {}) =>
  retainedDeployments(rows, (projectId) => (projectId === "p" ? policy : {}), NOW).has("x");
const served = { target: "production", promotedAt: daysAgo(29) } as const;

describe("where the project says nothing", () => {
  it.each<[string, Partial<RetentionRow>, boolean]>([
    ["an old one with twenty newer", {}, false],
    ["one that is needed", { needed: true }, true],
    ["one that ever was production", { promotedAt: daysAgo(29) }, true],
    ["one that still waits", { state: "QUEUED" }, true],
    ["one that is being built", { state: "BUILDING" }, true],
    ["one of the last seven days", { createdAt: daysAgo(6) }, true],
    ["one of a target of its own", { target: "production" }, true],
  ])("%s: kept is %s", (_, parts, kept) => {
    expect(isKept([...many(20, {}), row("x", parts)])).toBe(kept);
  });
});

describe("where the project says after how many days", () => {
  const all: RetentionPolicy = {
    expirationDays: 7,
    expirationDaysProduction: 14,
    expirationDaysCanceled: 1,
    expirationDaysErrored: 3,
  };
  it.each<[string, RetentionPolicy, Partial<RetentionRow>, boolean]>([
    ["an old preview", all, {}, false],
    ["a preview that is younger", all, { createdAt: daysAgo(6.9) }, true],
    ["a preview of that age", all, { createdAt: daysAgo(7) }, false],
    ["one of a custom environment, like a preview", all, { target: "env_1" }, false],
    ["a preview, where only production has days: by its number", { expirationDaysProduction: 1 }, {}, true],
    ["a preview without end", { expirationDays: 36_500 }, { createdAt: daysAgo(900) }, true],
    ["a canceled one", all, { state: "CANCELED", createdAt: daysAgo(2) }, false],
    ["a canceled one of production", all, { state: "CANCELED", target: "production" }, false],
    ["a failed one", all, { state: "ERROR", createdAt: daysAgo(2) }, true],
    ["a failed one that is older", all, { state: "ERROR", createdAt: daysAgo(3) }, false],
    ["one that is needed", all, { needed: true }, true],
    ["one that waits", all, { state: "QUEUED" }, true],
    ["one that is being built", all, { state: "BUILDING" }, true],
    ["production's only one", all, served, true],
    ["one that served production and was built as a preview", all, { promotedAt: daysAgo(29) }, true],
  ])("%s: kept is %s", (_, policy, parts, kept) => {
    expect(isKept([row("x", parts)], policy)).toBe(kept);
  });

  it.each<[string, RetentionPolicy, readonly RetentionRow[], boolean]>([
    ["after nine others", all, many(9, served), true],
    ["after ten others", all, many(10, served), false],
    [
      "after ten that were never promoted: a rollback skips them",
      all,
      many(10, { target: "production" }),
      true,
    ],
    ["after ten that failed", all, many(10, { target: "production", state: "ERROR" }), true],
    ["after ten previews", all, many(10, {}), true],
    ["after ten of another project", all, many(10, { ...served, projectId: "q" }), true],
    ["after two, where two are kept", { ...all, deploymentsToKeep: 2 }, many(2, served), false],
    ["after ten, where production has no days", { expirationDays: 1 }, many(10, served), true],
  ])("an old one of production %s: kept is %s", (_, policy, others, kept) => {
    expect(isKept([row("x", served), ...others], policy)).toBe(kept);
  });

  it("another project's deployments are judged by its own", () => {
    expect(isKept([row("x", { projectId: "q" })], all)).toBe(true);
  });
});

it("what is needed or unfinished is kept, and production's newest, whatever else there is", () => {
  const days = fc.option(fc.constantFrom(1, 7, 30, 365), { nil: undefined });
  const policies = fc.record({
    expirationDays: days,
    expirationDaysProduction: days,
    expirationDaysCanceled: days,
    expirationDaysErrored: days,
    deploymentsToKeep: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
  });
  const rows = fc.array(
    fc.record({
      id: fc.uuid(),
      projectId: fc.constantFrom("p", "q"),
      target: fc.constantFrom("preview", "production"),
      state: fc.constantFrom("QUEUED", "BUILDING", "READY", "ERROR", "CANCELED"),
      createdAt: fc.integer({ min: 0, max: 400 }).map(daysAgo),
      promotedAt: fc.option(fc.constant(daysAgo(1))),
      needed: fc.boolean(),
    }),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(rows, policies, (all, policy) => {
      const retained = retainedDeployments(all, () => policy, NOW);
      for (const one of all) {
        if (one.needed || one.state === "QUEUED" || one.state === "BUILDING")
          expect(retained.has(one.id)).toBe(true);
      }
      const built = all.filter((one) => one.projectId === "p" && one.target === "production");
      const ready = built.filter((one) => one.state === "READY");
      const newest = ready.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())[0];
      if (newest) expect(retained.has(newest.id)).toBe(true);
    }),
  );
});
