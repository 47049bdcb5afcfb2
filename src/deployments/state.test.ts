import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ACTIVE, isSettled, mayMove, STATES, stateDiagram, TRANSITIONS } from "./state.ts";

const sql = readFileSync("migrations/control/0003_deployments.sql", "utf8");
const statesIn = (text: string) => [...text.matchAll(/'([a-z_]+)'/g)].map(([, name]) => name);

test("the SQL check allows exactly the states of the table", () => {
  const check = /check \(state in \(([^)]+)\)\)/.exec(sql)?.[1] ?? "";
  expect(statesIn(check).sort()).toEqual([...STATES].sort());
});

test("the index that keeps a place for one deployment names exactly the active states", () => {
  const index = /deployments_one_active[^;]+state in \(([^)]+)\)/.exec(sql)?.[1] ?? "";
  expect(statesIn(index).sort()).toEqual([...ACTIVE].sort());
});

test("the diagram in the docs is the table's", () => {
  expect(readFileSync("docs/deployments.md", "utf8")).toContain(stateDiagram());
});

test("every state can be reached, and from every unsettled one an end can be reached", () => {
  const reach = (from: string): Set<string> => {
    const seen = new Set([from]);
    for (const state of seen)
      for (const next of TRANSITIONS[state as keyof typeof TRANSITIONS]) seen.add(next);
    return seen;
  };
  expect([...reach("queued")].sort()).toEqual([...STATES].sort());
  for (const state of STATES) expect([...reach(state)].some((next) => isSettled(next as never))).toBe(true);
});

test("failed, canceled and rejected are final", () => {
  for (const state of ["failed", "canceled", "rejected"] as const) expect(TRANSITIONS[state]).toEqual([]);
  expect(mayMove("queued", "live")).toBe(false);
});
