import { describe, expect, it } from "vitest";
import { allHold, anyHolds, compileCondition } from "./conditions.ts";
import type { Condition, Matchable } from "./route.ts";

const asked = {
  host: "shop.example.com",
  query: "?page=2&tag=a%20b&tag=c&empty",
  header: (name: string) =>
    ({ "x-kind": "Beta-7", cookie: "a=1; session=abc=; page=9", accept: "text/html, */*" })[name],
};
const holds = (condition: Condition) => allHold([compileCondition(condition)], asked);

describe("conditions", () => {
  it.each<[Condition, object | null]>([
    [{ type: "header", key: "X-Kind" }, { xkind: "Beta-7" }],
    [{ type: "header", key: "x-none" }, null],
    [{ type: "header", key: "x-kind", value: "Beta-(?<number>\\d)" }, { number: "7" }],
    [{ type: "header", key: "x-kind", value: "beta-7" }, null],
    [{ type: "header", key: "x-kind", value: "Beta" }, null],
    [{ type: "header", key: "accept", value: "text/html, */*" }, {}],
    [{ type: "cookie", key: "session", value: "abc=" }, { session: "abc=" }],
    [{ type: "cookie", key: "sess" }, null],
    [{ type: "query", key: "tag", value: "a b" }, {}],
    [{ type: "query", key: "tag", value: "c|d" }, { tag: "c" }],
    [{ type: "query", key: "empty" }, { empty: "" }],
    [{ type: "query", key: "empty", value: ".+" }, null],
    [{ type: "host", value: "(?<shop>[a-z]+)\\.Example\\.com" }, { shop: "shop" }],
    [{ type: "host", value: "example.com" }, null],
  ])("%j catches %j", (condition, caught) => {
    if (caught === null) expect(holds(condition)).toBeNull();
    else expect(holds(condition)).toMatchObject(caught);
  });

  it.each<[Matchable, boolean]>([
    [{ eq: 2 }, true],
    [{ eq: "3" }, false],
    [{ neq: "2" }, false],
    [{ inc: ["1", "2"] }, true],
    [{ ninc: ["1", "2"] }, false],
    [{ pre: "2", suf: "2" }, true],
    [{ pre: "1" }, false],
    [{ re: "\\d" }, true],
    [{ re: "\\d\\d" }, false],
    [{ gt: 1, lt: 3 }, true],
    [{ gt: 2 }, false],
    [{ gte: 2, lte: 2 }, true],
    [{ lt: 2 }, false],
    [{}, true],
  ])("compare page=2 with %j: %s", (value, expected) => {
    expect(holds({ type: "query", key: "page", value }) !== null).toBe(expected);
  });

  it("must all hold, and none of what is to be missing", () => {
    const some = [
      { type: "query" as const, key: "page" },
      { type: "query" as const, key: "none" },
    ].map(compileCondition);
    expect(allHold(some, asked)).toBeNull();
    expect(anyHolds(some, asked)).toBe(true);
    expect(anyHolds(some.slice(1), asked)).toBe(false);
  });

  it("take nothing that is no number for more or less", () => {
    for (const value of [{ gt: 0 }, { lt: 0 }, { gte: 0 }, { lte: 0 }])
      expect(holds({ type: "query", key: "empty", value })).toBeNull();
  });
});
