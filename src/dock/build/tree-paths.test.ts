import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildPlace, temporaryDirectory, treeOf } from "../../../test/support/trees.ts";
import { materialise } from "./materialise.ts";
import { assertSafeTree, linkTarget } from "./tree-paths.ts";

const file = (path: string) => ({ path, sha1: "0".repeat(40), size: 0, mode: 0o100644 });

describe("a tree is refused when it has", () => {
  test.each([
    ["a path that climbs out", ["../a"]],
    ["one that climbs inside", ["a/../../b"]],
    ["an absolute path", ["/etc/passwd"]],
    ["a drive", ["C:/a"]],
    ["a NUL", ["a\0b"]],
    ["a backslash", ["a\\b"]],
    ["an empty part", ["a//b"]],
    ["a dot part", ["./a"]],
    ["a name too long", ["x".repeat(256)]],
    ["a path twice", ["a", "a"]],
    ["two that differ by case", ["A/b", "a/b"]],
    ["two that differ by Unicode form", ["caf\u00e9", "cafe\u0301"]],
    ["a file where another needs a directory", ["a", "a/b"]],
  ])("%s", (_title, paths) => {
    expect(() => assertSafeTree(paths.map(file))).toThrow(/The path/);
  });
});

test("a link target is inside the tree or refused", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("..", ".", "a", "b", ""), { maxLength: 8 }), (parts) => {
      const target = linkTarget("x/y/link", parts.join("/"));
      if (target !== null) expect(join("/root", target).startsWith("/root")).toBe(true);
    }),
  );
  expect(linkTarget("a/link", "../b")).toBe("b");
  expect(linkTarget("a/link", "../../b")).toBeNull();
  expect(linkTarget("link", "/etc/passwd")).toBeNull();
});

test("what is written out is a copy: a build cannot change the store", async () => {
  await using place = await temporaryDirectory();
  const { store } = await buildPlace(place.path);
  const tree = await treeOf(store, { "a.txt": "one", "deep/b.sh": "two", link: "-> deep/b.sh" });
  const out = join(place.path, "out");
  await materialise(
    tree.map((entry) => (entry.path === "deep/b.sh" ? { ...entry, mode: 0o100755 } : entry)),
    out,
    store,
  );
  expect(await readFile(join(out, "link"), "utf8")).toBe("two");
  expect((await stat(join(out, "deep/b.sh"))).mode & 0o777).toBe(0o755);
  expect((await stat(join(out, "a.txt"))).nlink).toBe(1);
});

test("a link that leaves the tree is refused", async () => {
  await using place = await temporaryDirectory();
  const { store } = await buildPlace(place.path);
  const tree = await treeOf(store, { "a/link": "-> ../../secret" });
  await expect(materialise(tree, join(place.path, "out"), store)).rejects.toThrow(/leaves the tree/);
});
