import { expect, test } from "vitest";
import { pickCurrent } from "./current.ts";
import { actorName, type Deployment } from "./deployment.ts";

const at = (id: string, environment: string, state: string, day: number, branch: string | null = null) =>
  ({ id, project: "shop", environment, state, branch, createdAt: `2026-01-0${day}T00:00:00Z` }) as Deployment;

test.each([
  [
    "what serves, not what served",
    [at("old", "production", "superseded", 1), at("new", "production", "live", 2)],
    ["new"],
  ],
  [
    "what serves and what is on its way",
    [at("a", "production", "live", 1), at("b", "production", "building", 2)],
    ["b", "a"],
  ],
  [
    "what serves, although a newer one failed",
    [at("a", "production", "live", 1), at("b", "production", "failed", 2)],
    ["a"],
  ],
  [
    "the last failure where nothing serves",
    [at("a", "staging", "failed", 1), at("b", "staging", "failed", 2)],
    ["b"],
  ],
  [
    "each branch's preview, after production",
    [
      at("p1", "preview", "live", 1, "x"),
      at("p2", "preview", "live", 2, "y"),
      at("a", "production", "live", 1),
    ],
    ["a", "p2", "p1"],
  ],
  [
    "a deployment that was told twice once",
    [at("a", "production", "live", 1), at("a", "production", "live", 1)],
    ["a"],
  ],
])("status shows %s", (_rule, deployments, ids) => {
  expect(pickCurrent(deployments).map(({ id }) => id)).toEqual(ids);
});

test.each([
  ["ada", "ada"],
  [{ kind: "token", id: "tok_1", name: "ci" }, "ci"],
  [{ kind: "system" }, "system"],
  [null, ""],
])("%j is called %j", (actor, name) => {
  expect(actorName(actor)).toBe(name);
});
