import fc from "fast-check";
import { expect, it } from "vitest";
import { type RetentionRow, retainedDeployments } from "./retention.ts";

const NOW = new Date("2026-03-01T00:00:00Z");
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000);
const row = (id: string, parts: Partial<RetentionRow> = {}): RetentionRow => ({
  id,
  projectId: "p",
  target: "preview",
  state: "READY",
  createdAt: daysAgo(30),
  promotedAt: null,
  serving: false,
  former: false,
  ...parts,
});
const crowd = Array.from({ length: 20 }, (_, i) => row(`new${i}`, { createdAt: daysAgo(1) }));

it.each<[string, Partial<RetentionRow>, boolean]>([
  ["an old one with twenty newer", {}, false],
  ["one that serves", { serving: true }, true],
  ["one that ever was production", { promotedAt: daysAgo(29) }, true],
  ["one that a host had lately: a rollback may go back to it", { former: true }, true],
  ["one that still waits", { state: "QUEUED" }, true],
  ["one that is being built", { state: "BUILDING" }, true],
  ["one of the last seven days", { createdAt: daysAgo(6) }, true],
  ["one of a target of its own", { target: "production" }, true],
])("%s: kept is %s", (_, parts, kept) => {
  expect(retainedDeployments([...crowd, row("x", parts)], NOW).has("x")).toBe(kept);
});

it("what serves, waits or ever was production is kept, whatever else there is", () => {
  const rows = fc.array(
    fc.record({
      id: fc.uuid(),
      projectId: fc.constantFrom("p", "q"),
      target: fc.constantFrom("preview", "production"),
      state: fc.constantFrom("QUEUED", "BUILDING", "READY", "ERROR", "CANCELED"),
      createdAt: fc.integer({ min: 0, max: 400 }).map(daysAgo),
      promotedAt: fc.option(fc.constant(daysAgo(1))),
      serving: fc.boolean(),
      former: fc.boolean(),
    }),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(rows, (all) => {
      const retained = retainedDeployments(all, NOW);
      for (const one of all) {
        if (
          one.serving ||
          one.former ||
          one.promotedAt ||
          one.state === "QUEUED" ||
          one.state === "BUILDING"
        ) {
          expect(retained.has(one.id)).toBe(true);
        }
      }
    }),
  );
});
