import { describe, expect, it } from "vitest";
import { applyChanges, changeOf, compileTransform } from "./changes.ts";
import { canonicalPath } from "./path.ts";
import { translatePcre } from "./pcre.ts";
import type { Transform } from "./route.ts";

const pattern = translatePcre("^/(a)(b)?$", true);
const caught = {
  match: pattern.regexp.exec("/a") as RegExpExecArray,
  pattern,
  conditions: null,
  wildcard: "",
};

function changed(transform: Omit<Extract<Transform, { target: object }>, "type">, type = "request.headers") {
  const compiled = compileTransform({ type, ...transform } as Transform);
  if (compiled.type === "request.path") throw new Error("no change");
  const change = changeOf(compiled, caught);
  const entries = [
    ["X-One", "1"],
    ["x-list", "a, B, c"],
    ["x-two", "2"],
  ] as const;
  const what = type === "request.query" ? "parameters" : "headers";
  return change === null ? null : applyChanges(entries, [change], what).map((entry) => entry.join("="));
}

describe("transforms", () => {
  it("set, add to and take away by name", () => {
    expect(changed({ op: "set", target: { key: "x-one" }, args: "$1$2-$3" })).toEqual([
      "x-list=a, B, c",
      "x-two=2",
      "X-One=a-$3",
    ]);
    expect(changed({ op: "set", target: { key: "x-new" }, args: ["1", "2"] })?.slice(3)).toEqual([
      "x-new=1",
      "x-new=2",
    ]);
    expect(changed({ op: "append", target: { key: "X-Two" }, args: "3" })?.slice(2)).toEqual([
      "x-two=2",
      "x-two=3",
    ]);
    expect(changed({ op: "delete", target: { key: "x-one" } })).toEqual(["x-list=a, B, c", "x-two=2"]);
  });

  it("take single values away from a list, but not from a parameter", () => {
    expect(changed({ op: "delete", target: { key: "x-list" }, args: ["b", "x"] })?.[1]).toBe("x-list=a, c");
    expect(changed({ op: "delete", target: { key: "x-list" }, args: "b" }, "request.query")?.[1]).toBe(
      "x-list=a, B, c",
    );
    expect(changed({ op: "delete", target: { key: "x-two" }, args: "2" })).toHaveLength(2);
  });

  it("are about every name that a comparison means, and make none up", () => {
    expect(changed({ op: "delete", target: { key: { pre: "X-", ninc: ["x-list"] } } })).toEqual([
      "x-list=a, B, c",
    ]);
    expect(changed({ op: "set", target: { key: { eq: "x-none" } }, args: "1" })).toHaveLength(3);
  });

  it("are not made where they would be no header", () => {
    expect(changed({ op: "set", target: { key: "x y" }, args: "1" })).toBeNull();
    expect(changed({ op: "set", target: { key: "x" }, args: "a\nb" })).toBeNull();
    expect(changed({ op: "append", target: { key: "x" }, args: "$2" })).toBeNull();
  });

  it("that are not known are refused", () => {
    expect(() =>
      compileTransform({ type: "request.body", op: "set", target: { key: "x" } } as never),
    ).toThrow(/body/);
    expect(() =>
      compileTransform({ type: "request.query", op: "move", target: { key: "x" } } as never),
    ).toThrow(/move/);
  });
});

describe("canonicalPath", () => {
  it.each([
    ["/a-b_c.d~e", "/a-b_c.d~e"],
    ["/%61dmin/%2e", "/admin/."],
    ["/a%2fb%5Cc%3fd%23e%25f", "/a%2Fb%5Cc%3Fd%23e%25f"],
    ["/%c3%a9/é/[x] y", "/%C3%A9/%C3%A9/%5Bx%5D%20y"],
    ["/%40/@", "/@/@"],
    ["/%zz", null],
    ["/%c3", null],
  ])("%s is %s", (path, canonical) => {
    expect(canonicalPath(path)).toBe(canonical);
    if (canonical !== null) expect(canonicalPath(canonical)).toBe(canonical);
  });
});
