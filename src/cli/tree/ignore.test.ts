import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPathFilter, isNeverSent, parseIgnore } from "./ignore.ts";

test.each([
  ["*.log", "a.log b/c.log a.logs", "a.log b/c.log"],
  ["/dist", "dist/x sub/dist/x", "dist/x"],
  ["build/", "build/x sub/build/x build2", "build/x sub/build/x"],
  ["doc/*.txt", "doc/a.txt doc/s/a.txt x/doc/a.txt", "doc/a.txt"],
  ["doc/**/a.txt", "doc/a.txt doc/s/t/a.txt", "doc/a.txt doc/s/t/a.txt"],
  ["**/foo", "foo a/b/foo", "foo a/b/foo"],
  ["abc/**", "abc/x abc/y/z abcd", "abc/x abc/y/z"],
  ["*\n!keep.txt", "a keep.txt", "a"],
  ["out/\n!out/keep.txt", "out/keep.txt", "out/keep.txt"],
  ["a?c", "abc a/c abbc", "abc"],
  ["[ab].js", "a.js b.js c.js", "a.js b.js"],
  ["[!ab].js", "a.js c.js", "c.js"],
  ["\\#odd\n\\!odd", "#odd !odd odd", "#odd !odd"],
  ["# comment\n\nx  ", "x y", "x"],
  ["a.b+c(d)", "a.b+c(d) axb+c(d)", "a.b+c(d)"],
])("%j leaves out what git leaves out", (text, paths, ignored) => {
  const leftOut = createPathFilter(parseIgnore(text));
  const all = paths.split(" ");
  expect(all.filter((path) => leftOut(path))).toEqual(ignored.split(" "));
  expect(gitIgnores(text, all)).toEqual(ignored.split(" "));
});

test("the rules of a folder's own file hold below it only", () => {
  const leftOut = createPathFilter(parseIgnore("/x\n*.tmp", "a"));
  expect(["a/x", "a/b/y.tmp", "x", "y.tmp", "a/b/x"].map(leftOut)).toEqual([true, true, false, false, false]);
});

test.each([
  [".git/config", true],
  ["node_modules/a/index.js", true],
  ["packages/a/node_modules/b", true],
  [".signalbox/postgres/x", true],
  [".env", true],
  ["app/.env.local", true],
  [".vercel/project.json", true],
  [".vercel/output/static/index.html", false],
  [".vercel/output/functions/a.func/node_modules/b.js", false],
  ["src/env.ts", false],
  [".github/workflows/ci.yml", false],
])("%s is never sent: %s", (path, never) => expect(isNeverSent(path)).toBe(never));

/** The same question to git itself, in a throw-away repository. */
function gitIgnores(rules: string, paths: string[]): string[] {
  const root = mkdtempSync(join(tmpdir(), "signalbox-ignore-"));
  try {
    execFileSync("git", ["init", "-q"], { cwd: root });
    writeFileSync(join(root, ".git/info/exclude"), rules);
    for (const path of paths) {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), "");
    }
    const args = ["ls-files", "-oi", "--exclude-standard", "-z"];
    const listed = execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\0");
    return paths.filter((path) => listed.includes(path));
  } finally {
    rmSync(root, { recursive: true });
  }
}
