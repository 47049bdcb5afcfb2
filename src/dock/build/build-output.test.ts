import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildPlace, requestOf, runBuild, temporaryDirectory, treeOf } from "../../../test/support/trees.ts";
import { OUTPUT_SERVER } from "../output/command.ts";
import { type OutputEntry, realPathIn } from "./output-tree.ts";

const node = (more: object = {}) =>
  JSON.stringify({ runtime: "nodejs24.x", handler: "index.js", launcherType: "Nodejs", ...more });
const config = (more: object = {}) => JSON.stringify({ version: 3, ...more });
const hello = {
  "functions/api/hello.func/.vc-config.json": node(),
  "functions/api/hello.func/index.js": "1",
};

/** Builds an upload of this output (paths below `.vercel/output`) and, beside it, of these files of the repository. */
async function deploy(
  output: Readonly<Record<string, string>>,
  repository: Readonly<Record<string, string>> = {},
) {
  const place = await temporaryDirectory();
  const built = await buildPlace(place.path);
  const named = Object.entries({ "config.json": config(), ...output });
  const files = await treeOf(built.store, {
    ...Object.fromEntries(named.map(([path, text]) => [`.vercel/output/${path}`, text])),
    ...repository,
  });
  const disposable = { [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() };
  try {
    const { artifact } = await runBuild(built, requestOf(files, { prebuilt: true }));
    return { artifact, tree: artifact.server?.directory ?? "", built, files, ...disposable };
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}

describe("a Build Output with functions", () => {
  test("becomes a tree of its own for the output server, with what its functions need", async () => {
    await using done = await deploy(
      {
        "config.json": config({
          routes: [{ src: "/(.*)", middlewarePath: "middleware", continue: true }],
          crons: [{ path: "/api/hello", schedule: "0 5 * * *" }],
          framework: { slug: "nextjs", version: "16" },
        }),
        "static/a.txt": "static",
        "functions/middleware.func/.vc-config.json": JSON.stringify({
          runtime: "edge",
          entrypoint: "index.js",
        }),
        "functions/middleware.func/index.js": "edge",
        "functions/api/hello.func/.vc-config.json": node({
          memory: 512,
          maxDuration: 30,
          filePathMap: { "node_modules/ms/index.js": "node_modules/ms/index.js", lib: "node_modules/link" },
        }),
        "functions/api/hello.func/index.js": "1",
        "functions/page.func": "-> api/hello.func",
        "functions/page.prerender-config.json": JSON.stringify({
          expiration: 60,
          fallback: { type: "FileFsRef", fsPath: "page.prerender-fallback.html" },
        }),
        "functions/page.prerender-fallback.html": "page",
      },
      { "node_modules/ms/index.js": "ms!", "node_modules/link": "-> ms", "src/secret.ts": "not needed" },
    );
    const { artifact, tree } = done;
    expect(artifact).toMatchObject({
      kind: "server",
      framework: "nextjs",
      server: { command: OUTPUT_SERVER },
    });
    expect(JSON.parse(await readFile(artifact.manifest, "utf8"))).toMatchObject({
      server: true,
      files: {},
      routes: [],
    });
    expect(artifact.crons).toEqual([{ path: "/api/hello", schedule: "0 5 * * *" }]);
    const none = { memory: null, maxDuration: null, prerender: false };
    const lambda = { type: "lambda", runtime: "nodejs24.x", memory: 512, maxDuration: 30, size: 175 };
    expect(artifact.functions).toEqual([
      { path: "api/hello", ...lambda, prerender: false, size: expect.any(Number) },
      { path: "middleware", ...none, type: "middleware", runtime: "edge", size: expect.any(Number) },
      { path: "page", ...lambda, prerender: true, size: expect.any(Number) },
    ]);
    expect(await readFile(join(tree, "node_modules/ms/index.js"), "utf8")).toBe("ms!");
    expect(readlinkSync(join(tree, "node_modules/link"))).toBe("ms");
    expect(readlinkSync(join(tree, ".vercel/output/functions/page.func"))).toBe("api/hello.func");
    expect(existsSync(join(tree, ".vercel/output/functions/page.prerender-fallback.html"))).toBe(true);
    expect(existsSync(join(tree, "src"))).toBe(false);
  });

  test("writes into its own copies: the store's files are no links", async () => {
    await using done = await deploy(hello);
    const written = lstatSync(join(done.tree, ".vercel/output/functions/api/hello.func/index.js"));
    const digest = done.files.find((file) => file.path.endsWith("hello.func/index.js"))?.sha1 ?? "";
    expect(written.ino).not.toBe(lstatSync(done.built.store.path(digest)).ino);
  });

  test("below a root directory is found there, and its map counts from the repository's root", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOf(built.store, {
      "apps/web/.vercel/output/config.json": config(),
      "apps/web/.vercel/output/functions/a.func/.vc-config.json": node({
        filePathMap: { "index.js": "packages/shared/index.js" },
      }),
      "packages/shared/index.js": "shared",
    });
    const request = requestOf(files, { prebuilt: true, settings: { rootDirectory: "apps/web" } });
    const directory = (await runBuild(built, request)).artifact.server?.directory ?? "";
    expect(await readFile(join(directory, "packages/shared/index.js"), "utf8")).toBe("shared");
    expect(existsSync(join(directory, ".vercel/output/functions/a.func/.vc-config.json"))).toBe(true);
  });

  test.each<[string, object]>([
    ["images", { images: { sizes: [64], domains: [] } }],
    ["a rewrite to elsewhere", { routes: [{ src: "/x", dest: "https://example.com/x" }] }],
    ["a wildcard", { wildcard: [{ domain: "example.com", value: "en" }] }],
  ])("needs the output server for %s alone", async (_title, more) => {
    await using done = await deploy({ "config.json": config(more), "static/index.html": "" });
    expect(done.artifact.kind).toBe("server");
  });

  test("stays static with conditions, overrides and linked files", async () => {
    await using done = await deploy({
      "config.json": config({
        routes: [{ src: "/x", has: [{ type: "host", value: "a" }], dest: "/y" }, { handle: "filesystem" }],
        overrides: { "a.html": { path: "a", contentType: "text/plain" } },
        cache: ["node_modules/**"],
        deploymentId: "x",
      }),
      "static/a.html": "a",
      "static/b.html": "-> a.html",
    });
    const manifest = JSON.parse(await readFile(done.artifact.manifest, "utf8"));
    expect(done.artifact).toMatchObject({ kind: "static", functions: [] });
    expect(manifest.files).toMatchObject({ "/a": { type: "text/plain" }, "/b.html": { size: 1 } });
    expect(manifest.routes[0]).toHaveProperty("has");
  });
});

describe("a Build Output is refused, by name, with", () => {
  const vc = "functions/f.func/.vc-config.json";
  const f = (more: object = {}) => ({ [vc]: node(more), "functions/f.func/index.js": "" });
  test.each<[string, Record<string, string>, RegExp]>([
    [
      "a function in another language",
      { [vc]: '{"runtime":"python3.12","handler":"a"}' },
      /function f .*"python3.12"/,
    ],
    ["a container", { [vc]: '{"runtime":"container","handler":"img"}' }, /function f .*"container"/],
    ["no runtime", { [vc]: "{}" }, /function f has no runtime/],
    ["a configuration that is null", { [vc]: "null" }, /function f has no runtime/],
    ["no configuration", { "functions/f.func/index.js": "" }, /function f has no \.vc-config/],
    ["no JSON", { [vc]: "{" }, /f\.func\/\.vc-config\.json is no JSON/],
    ["a handler that is not there", { [vc]: node() }, /function f has the handler "index\.js"/],
    ["a handler outside", f({ handler: "../../config.json" }), /function f has the handler/],
    ["a huge number", f({ memory: 1e9 }), /memory/],
    ["a negative number", f({ maxDuration: -1 }), /maxDuration/],
    ["a variable that is no text", f({ environment: { A: 1 } }), /environment\.A/],
    [
      "a mapped file outside",
      f({ filePathMap: { x: "../../etc/passwd" } }),
      /function f maps .*passwd.* outside/,
    ],
    ["an absolute mapped file", f({ filePathMap: { x: "/etc/passwd" } }), /function f maps/],
    ["a mapped place outside", f({ filePathMap: { "../x": "a" } }), /function f maps/],
    [
      "a mapped file that was not sent",
      f({ filePathMap: { x: "node_modules/a" } }),
      /needs .*node_modules\/a/,
    ],
    ["a function that is a link out", { "functions/f.func": "-> ../../../x.func" }, /function f is a link/],
    ["a function that links to itself", { "functions/f.func": "-> f.func" }, /function f is a link/],
    [
      "a link out",
      { ...f(), "functions/f.func/l": "-> ../../../../etc" },
      /f\.func\/l" is a link that leads out/,
    ],
    ["an absolute link", { ...f(), "static/l": "-> /etc/passwd" }, /static\/l" is a link/],
    [
      "links that lead out together",
      { "static/a/b/c": "-> ../..", "static/d": "-> a/b/c/../../.." },
      /"\.vercel\/output\/static\/d"/,
    ],
    [
      "a fallback outside",
      { ...f(), "functions/f.prerender-config.json": '{"fallback":"../../../x"}' },
      /fallback/,
    ],
    ["a prerender without function", { "functions/g.prerender-config.json": "{}" }, /belongs to no function/],
    [
      "an override outside",
      { "config.json": config({ overrides: { "a.html": { path: "../../x" } } }) },
      /override/,
    ],
    [
      "a content type that splits headers",
      { "config.json": config({ overrides: { a: { contentType: "a\r\nb: c" } } }) },
      /content type/,
    ],
    [
      "a broken pattern",
      { "config.json": config({ routes: [{ src: "(" }] }) },
      /routes\.0: a group is not closed/,
    ],
    [
      "too many routes",
      { "config.json": config({ routes: Array(2_049).fill({ src: "/" }) }) },
      /2049 routes; the most is 2048/,
    ],
    ["several services", { "config.json": config({ services: { a: {} } }) }, /services/],
  ])("%s", async (_title, output, message) => {
    await expect(deploy(output)).rejects.toMatchObject({
      code: "BUILD_INVALID_CONFIG",
      message: expect.stringMatching(message),
    });
  });
});

test("a path's end is where the file system would find it, or outside", () => {
  const link = (target: string): OutputEntry => ({ kind: "link", target });
  const entries = new Map([
    ["a/b/up", link("../..")],
    ["round", link("trip")],
    ["trip", link("round")],
    ["abs", link("/etc")],
  ]);
  expect(realPathIn(entries, "a/b/up/x")).toBe("x");
  expect(realPathIn(entries, "a/b/up/..")).toBeNull();
  expect(realPathIn(entries, "round")).toBeNull();
  expect(realPathIn(entries, "abs/passwd")).toBeNull();
  const part = fc.constantFrom("a", "b", "up", "..", ".", "round", "c");
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const real = realPathIn(entries, parts.join("/"));
      expect(real === null || !real.split("/").includes("..")).toBe(true);
    }),
  );
});
