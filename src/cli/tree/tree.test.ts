import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../foundation/clock.ts";
import { readCommitTree } from "./commit-tree.ts";
import { readGitState, resolveCommit } from "./git.ts";
import { projectNameOf, projectNameOfUrl, slug } from "./project-name.ts";
import { isGitUrl, resolveSource } from "./source.ts";
import { MODE, type Tree } from "./tree.ts";
import { readWorkingTree } from "./working-tree.ts";

let base: string;
let root: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "signalbox-tree-"));
  root = join(base, "app");
  mkdirSync(root);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function write(files: Record<string, string>, folder = root): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function git(...args: string[]): string {
  const identity = [
    "-c",
    "user.name=t",
    "-c",
    "user.email=t@example.com",
    "-c",
    "protocol.file.allow=always",
  ];
  return execFileSync("git", [...identity, ...args], { cwd: root, encoding: "utf8", stdio: "pipe" });
}

function commitAll(message: string): string {
  git("init", "-q", "-b", "main");
  git("add", "-A");
  git("commit", "-qm", message);
  return git("rev-parse", "HEAD").trim();
}

const cacheDir = () => join(base, "cache");
const read = () => readWorkingTree({ root, cacheDir: cacheDir(), clock: systemClock, onProgress() {} });
const readCommit = (commit: string, folder = root) =>
  readCommitTree({ root: folder, commit, cacheDir: cacheDir(), onProgress() {} });
const paths = (tree: Tree) => tree.files.map(({ path }) => path);
const sha1 = (text: string) => createHash("sha1").update(text).digest("hex");
const fileOf = (tree: Tree, path: string) => {
  const file = tree.files.find((candidate) => candidate.path === path);
  if (file === undefined) throw new Error(`${path} is not in the tree`);
  return file;
};

const FILES = {
  "package.json": "{}",
  "src/ä b.js": "x",
  ".gitignore": "/dist\n*.log\n",
  ".env": "SECRET=1",
  ".env.local": "SECRET=2",
  "dist/out.js": "built",
  "debug.log": "noise",
  "node_modules/dep/index.js": "dep",
  ".signalbox/state": "state",
  ".vercel/project.json": "{}",
  ".vercel/output/static/index.html": "prebuilt",
  ".vercel/output/functions/a.func/node_modules/b.js": "dep of a function",
};
const SENT = [
  ".gitignore",
  ".vercel/output/functions/a.func/node_modules/b.js",
  ".vercel/output/static/index.html",
  "package.json",
  "src/ä b.js",
];

test("outside of git the ignore files decide; secrets, packages and state stay out; prebuilt is in", async () => {
  write(FILES);
  expect(paths(await read())).toEqual(SENT);
});

test("in a repository the same files are sent, whether committed or not", async () => {
  write(FILES);
  git("init", "-q");
  expect(paths(await read())).toEqual(SENT);
  git("add", "-f", "package.json", ".env");
  git("commit", "-qm", "one");
  expect(paths(await read())).toEqual(SENT);
});

test(".signalboxignore and .vercelignore leave out more, in a repository too", async () => {
  write({
    "a.md": "a",
    "docs/b.md": "b",
    "c.txt": "c",
    ".signalboxignore": "docs/\n",
    ".vercelignore": "*.txt",
  });
  const left = [".signalboxignore", ".vercelignore", "a.md"];
  expect(paths(await read())).toEqual(left);
  commitAll("one");
  expect(paths(await read())).toEqual(left);
});

test("contents, links and the executable bit arrive as they are", async () => {
  write({ "run.sh": "#!/bin/sh\n", "a.txt": "text", empty: "" });
  chmodSync(join(root, "run.sh"), 0o755);
  symlinkSync("a.txt", join(root, "link"));
  symlinkSync("../outside", join(root, "dangling"));
  const tree = await read();
  expect(fileOf(tree, "run.sh").mode).toBe(MODE.executable);
  expect(fileOf(tree, "a.txt")).toMatchObject({ sha1: sha1("text"), size: 4, mode: MODE.file });
  expect(fileOf(tree, "link")).toMatchObject({ sha1: sha1("a.txt"), size: 5, mode: MODE.symlink });
  expect(fileOf(tree, "dangling")).toMatchObject({ sha1: sha1("../outside"), mode: MODE.symlink });
  expect((await buffer(tree.open(fileOf(tree, "link")))).toString()).toBe("a.txt");
  expect((await buffer(tree.open(fileOf(tree, "empty")))).length).toBe(0);
  expect(tree.bytes).toBe(10 + 4 + 0 + 5 + 10);
});

test.each([
  "other",
  "longer than before",
])("a file that changed to %j is not sent as what it was", async (text) => {
  write({ "a.txt": "first" });
  const tree = await read();
  write({ "a.txt": text });
  await expect(buffer(tree.open(fileOf(tree, "a.txt")))).rejects.toMatchObject({
    code: "conflict",
    message: "a.txt changed while it was being sent.",
  });
});

test("a change is seen although the size, and the time that a program set back, are the same", async () => {
  write({ "a.txt": "one" });
  const old = new Date("2020-01-01T00:00:00Z");
  utimesSync(join(root, "a.txt"), old, old);
  await read();
  write({ "a.txt": "two" });
  utimesSync(join(root, "a.txt"), old, old);
  expect(fileOf(await read(), "a.txt").sha1).toBe(sha1("two"));
});

test("a file that is deleted but still tracked is left out", async () => {
  write({ "a.txt": "a", "b.txt": "b" });
  commitAll("one");
  rmSync(join(root, "a.txt"));
  expect(paths(await read())).toEqual(["b.txt"]);
});

test("a folder that git ignores as a whole is deployed when it is what was named", async () => {
  write({ ".gitignore": "dist", "dist/index.html": "built" });
  commitAll("one");
  root = join(root, "dist");
  expect(paths(await read())).toEqual(["index.html"]);
});

test("a repository inside of the repository is sent by its own rules", async () => {
  write({ "a.txt": "a", "inner/b.txt": "b", "inner/c.log": "c", "inner/.gitignore": "*.log" });
  execFileSync("git", ["init", "-q"], { cwd: join(root, "inner") });
  git("init", "-q");
  expect(paths(await read())).toEqual(["a.txt", "inner/.gitignore", "inner/b.txt"]);
});

test("a commit is read from git's objects, whatever lies in the folder", async () => {
  write({ "a.txt": "first", "sub/b.sh": "b", "signalbox.yaml": "name: shop\n", ".env": "no" });
  chmodSync(join(root, "sub/b.sh"), 0o755);
  symlinkSync("a.txt", join(root, "link"));
  const commit = commitAll("one");
  write({ "a.txt": "second", "new.txt": "new" });
  const tree = await readCommit(commit);
  expect(paths(tree)).toEqual(["a.txt", "link", "signalbox.yaml", "sub/b.sh"]);
  expect(tree.config).toBe("name: shop\n");
  expect(fileOf(tree, "a.txt")).toMatchObject({ sha1: sha1("first"), size: 5 });
  expect(fileOf(tree, "link").mode).toBe(MODE.symlink);
  expect(fileOf(tree, "sub/b.sh").mode).toBe(MODE.executable);
  expect((await buffer(tree.open(fileOf(tree, "a.txt")))).toString()).toBe("first");
  tree.close();
  const again = await readCommit(commit);
  expect(again.files).toEqual(tree.files);
  again.close();
  const part = await readCommit(commit, join(root, "sub"));
  expect(paths(part)).toEqual(["b.sh"]);
  part.close();
});

test("large and binary contents come out of git byte for byte", async () => {
  const content = Buffer.alloc(3_000_000, "\n\0blob 7\n");
  writeFileSync(join(root, "big"), content);
  const tree = await readCommit(commitAll("one"));
  expect(await buffer(tree.open(fileOf(tree, "big")))).toEqual(content);
  tree.close();
});

test("git's state: branch, commit, first line of the message, dirty; nulls where there is none", async () => {
  expect(await readGitState(root)).toBeNull();
  git("init", "-q", "-b", "trunk");
  expect(await readGitState(root)).toMatchObject({
    commit: null,
    branch: "trunk",
    message: null,
    dirty: false,
  });
  write({ "a.txt": "a" });
  const commit = commitAll("Sell more\n\nbecause");
  expect(await readGitState(root)).toMatchObject({ commit, message: "Sell more", dirty: false });
  write({ "b.txt": "untracked" });
  git("checkout", "-q", "--detach");
  expect(await readGitState(root)).toMatchObject({ commit, branch: null, dirty: true });
});

test("a source is the folder, a commit of it under a branch's name, or a URL", async () => {
  write({ "a.txt": "a" });
  const commit = commitAll("one");
  git("branch", "feature");
  write({ "a.txt": "b" });
  const source = (branch: string | null, ref: string | null, named: string | null = null) =>
    resolveSource({ cwd: root, named, branch, commit: ref, message: null });
  expect(await source(null, null)).toMatchObject({ treeOf: null, branch: "main", commit, dirty: true });
  expect(await source("feature", null)).toMatchObject({ treeOf: commit, branch: "feature", dirty: false });
  expect(await source("pr-7", commit.slice(0, 8))).toMatchObject({ treeOf: commit, branch: "pr-7", commit });
  expect(await source(null, null, "ssh://h/r")).toMatchObject({ kind: "git", url: "ssh://h/r" });
  await expect(source("nope", null)).rejects.toMatchObject({ code: "not_found", hint: expect.any(String) });
  await expect(resolveCommit(root, "--all")).rejects.toMatchObject({ code: "not_found" });
});

test.each([
  ["https://x/y", true],
  ["ssh://git@x/y", true],
  ["git@x.org:acme/y", true],
  ["file:///srv/y", true],
  ["../mirror.git", true],
  [".", false],
  ["apps/web", false],
  ["C:/app", false],
])("%s is a git URL: %s", (named, is) => expect(isGitUrl(named)).toBe(is));

test("the project is named by signalbox.yaml, else package.json, else the folder", async () => {
  expect(await projectNameOf(root, null)).toBe("app");
  write({ "package.json": '{"name":"@acme/Web_Shop"}' });
  expect(await projectNameOf(root, null)).toBe("web-shop");
  expect(await projectNameOf(root, "name: storefront\n")).toBe("storefront");
  expect(await projectNameOf(root, "name: [broken")).toBe("web-shop");
  expect(projectNameOfUrl("git@x.org:acme/Shop.git")).toBe("shop");
  expect(projectNameOfUrl("https://x.org/acme/shop/")).toBe("shop");
});

test.each([
  ["Café Ünïon", "cafe-union"],
  ["--a__b--", "a-b"],
  ["shop-staging", "shop"],
  ["x".repeat(80), "x".repeat(52)],
  ["日本", ""],
])("%s becomes %j", (name, expected) => expect(slug(name)).toBe(expected));
