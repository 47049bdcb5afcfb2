import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  buildPlace,
  requestOf,
  runBuild,
  temporaryDirectory,
  treeOf,
  treeOfDirectory,
} from "../../../test/support/trees.ts";
import type { Manifest } from "../../gateway/snapshot.ts";
import type { Artifact } from "./build.ts";

const examples = join(import.meta.dirname, "../../../examples");

async function manifestOf(artifact: Artifact): Promise<Manifest> {
  return JSON.parse(await readFile(artifact.manifest, "utf8"));
}

const packageJson = (scripts: Record<string, string>, rest: object = {}) =>
  JSON.stringify({ scripts, ...rest });

describe("a static site", () => {
  test("is served as it is, without its bookkeeping, and nothing is written out", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const tree = await treeOfDirectory(built.store, join(examples, "static"));
    const extra = await treeOf(built.store, {
      ".env": "SECRET=1",
      "signalbox.yaml": "name: x",
      ".git/config": "",
    });
    const { artifact } = await runBuild(built, requestOf([...tree, ...extra]));
    const manifest = await manifestOf(artifact);
    expect(Object.keys(manifest.files).sort()).toEqual([
      "/README.md",
      "/about/index.html",
      "/index.html",
      "/style.css",
    ]);
    expect(manifest.files["/index.html"]).toMatchObject({
      type: "text/html; charset=utf-8",
      immutable: false,
    });
    expect(artifact).toMatchObject({ kind: "static", framework: null, server: null });
    expect(manifest.server).toBe(false);
  });

  test("has smaller variants of what shrinks, in the same store", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const text = "body { color: red }\n".repeat(200);
    const { artifact } = await runBuild(
      built,
      requestOf(await treeOf(built.store, { "index.html": "", "a.css": text })),
    );
    const { br, gzip } = (await manifestOf(artifact)).files["/a.css"]?.encodings ?? {};
    expect(brotliDecompressSync(await readFile(built.store.path(br?.digest ?? ""))).toString()).toBe(text);
    expect(gunzipSync(await readFile(built.store.path(gzip?.digest ?? ""))).toString()).toBe(text);
    expect(br?.size).toBeLessThan(text.length);
    expect(artifact.digests).toEqual(expect.arrayContaining([br?.digest, gzip?.digest]));
    expect(await built.store.missing(artifact.digests)).toEqual([]);
  });

  test("in `public` is found there; a link inside the tree is followed, one that leaves it is not served", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const tree = await treeOf(built.store, {
      "public/index.html": "hi",
      "public/same.html": "-> index.html",
      "public/out.html": "-> ../../etc/passwd",
      "README.md": "",
    });
    const { artifact } = await runBuild(built, requestOf(tree));
    expect(Object.keys((await manifestOf(artifact)).files).sort()).toEqual(["/index.html", "/same.html"]);
  });
});

describe("the same inputs", () => {
  test("give the same artifact, found without building; any other input gives another", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOf(built.store, { "index.html": "a" });
    expect(await built.builder.lookup(requestOf(files))).toBeNull();
    const first = await runBuild(built, requestOf(files));
    const second = await runBuild(built, requestOf([...files].reverse()));
    expect([first.reused, second.reused]).toEqual([false, true]);
    expect(await built.builder.lookup(requestOf(files))).toEqual(first.artifact);
    for (const other of [
      { env: { A: "1" } },
      { settings: { outputDirectory: "x" } },
      { prebuilt: true },
      { force: true },
    ]) {
      expect(await built.builder.lookup(requestOf(files, other))).toBeNull();
    }
  });

  test("are built again when forced, beside the earlier artifact, and the newest is found", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOf(built.store, {
      "package.json": packageJson({ build: "mkdir public && date +%N > public/index.html" }),
    });
    const first = await runBuild(built, requestOf(files));
    const forced = await runBuild(built, requestOf(files, { force: true }));
    expect(forced.reused).toBe(false);
    expect(forced.artifact.manifest).not.toBe(first.artifact.manifest);
    expect(existsSync(first.artifact.manifest)).toBe(true);
    expect((await built.builder.lookup(requestOf(files)))?.manifest).toBe(forced.artifact.manifest);
  });

  test("built at the same time give one artifact", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOf(built.store, {
      "package.json": packageJson({ build: "mkdir public && echo hi > public/index.html" }),
    });
    const results = await Promise.all([1, 2, 3].map(() => runBuild(built, requestOf(files))));
    expect(new Set(results.map((result) => result.artifact.manifest)).size).toBe(1);
    expect(results.filter((result) => !result.reused)).toHaveLength(1);
  });
});

describe("a ready Build Output", () => {
  test("is served with its routes, overrides and hashed names", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOfDirectory(built.store, join(examples, "build-output"));
    const manifest = await manifestOf((await runBuild(built, requestOf(files))).artifact);
    expect(Object.keys(manifest.files).sort()).toEqual([
      "/404.html",
      "/about",
      "/assets/app.3f2a9c1b.js",
      "/index.html",
    ]);
    expect(manifest.files["/about"]?.type).toBe("text/html; charset=utf-8");
    expect(manifest.files["/assets/app.3f2a9c1b.js"]?.immutable).toBe(true);
    expect(manifest.routes).toContainEqual({ handle: "filesystem" });
    expect(manifest.routes[0]).toEqual({ src: "^/old$", status: 308, headers: { Location: "/" } });
  });

  test.each([
    ["another version", '{"version":2}', /version/],
    ["no JSON", "{", /no JSON/],
    ["a pattern that is none", '{"version":3,"routes":[{"src":"/(?R)"}]}', /routes\.0: .*\(\?R\)/],
  ])("with %s is refused", async (_title, config, message) => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const under = Object.entries({ "config.json": config, "static/index.html": "" });
    const files = await treeOf(
      built.store,
      Object.fromEntries(under.map(([path, text]) => [`.vercel/output/${path}`, text])),
    );
    const failing = runBuild(built, requestOf(files, { prebuilt: true }));
    await expect(failing).rejects.toMatchObject({
      code: "BUILD_INVALID_CONFIG",
      message: expect.stringMatching(message),
    });
  });

  test("that a build command wrote is served", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const write =
      "mkdir -p .vercel/output/static && echo x > .vercel/output/static/x.txt" +
      " && echo '{\"version\":3}' > .vercel/output/config.json";
    const files = await treeOf(built.store, { "package.json": packageJson({ build: write }) });
    const manifest = await manifestOf((await runBuild(built, requestOf(files))).artifact);
    expect(Object.keys(manifest.files)).toEqual(["/x.txt"]);
  });
});

describe("a server release", () => {
  test("keeps its built tree and the command that starts it", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOfDirectory(built.store, join(examples, "node-http"));
    const { artifact } = await runBuild(built, requestOf(files));
    expect(artifact.server?.command).toBe("node server.js");
    expect(existsSync(join(artifact.server?.directory ?? "", "server.js"))).toBe(true);
    expect(await manifestOf(artifact)).toMatchObject({ server: true, files: {} });
  });

  test("in a root directory runs there", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOf(built.store, {
      "apps/web/package.json": packageJson({ start: "node a.js" }),
      "apps/web/a.js": "",
      "packages/lib.js": "",
    });
    const { artifact } = await runBuild(built, requestOf(files, { settings: { rootDirectory: "apps/web" } }));
    expect(artifact.server?.directory.endsWith("/app/apps/web")).toBe(true);
    expect(existsSync(join(artifact.server?.directory ?? "", "../../packages/lib.js"))).toBe(true);
  });

  const vite = { devDependencies: { vite: "8" } };
  const hybrid = (build: string, start: string) => ({
    "package.json": packageJson({ build, start }, vite),
    "server.js": "",
  });
  test.each([
    [
      "a finished site beside it is served from the store",
      "mkdir dist && echo hi > dist/index.html",
      "node server.js",
      ["/index.html"],
    ],
    ["a server's bundle is never published", "mkdir dist && echo 1 > dist/entry.js", "node server.js", []],
    [
      "nor a site that the server itself lies in",
      "mkdir dist && echo 1 | tee dist/index.html > dist/main.js",
      "node dist/main.js",
      [],
    ],
  ])("%s", async (_title, build, start, served) => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOf(built.store, hybrid(build, start));
    const { artifact } = await runBuild(built, requestOf(files, { settings: { installCommand: "" } }));
    const manifest = await manifestOf(artifact);
    expect(Object.keys(manifest.files)).toEqual(served);
    expect(manifest.server).toBe(true);
    expect(artifact.framework).toBe("vite");
  });

  test("that writes into its files changes nothing in the store", async () => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const files = await treeOf(
      built.store,
      hybrid("mkdir dist && echo hi > dist/index.html", "node server.js"),
    );
    const { artifact } = await runBuild(built, requestOf(files, { settings: { installCommand: "" } }));
    const { writeFile } = await import("node:fs/promises");
    await writeFile(join(artifact.server?.directory ?? "", "dist/index.html"), "changed");
    const digest = (await manifestOf(artifact)).files["/index.html"]?.digest ?? "";
    expect(await readFile(built.store.path(digest), "utf8")).toBe("hi\n");
  });
});

test("collect removes what is not retained, and what killed builds left", async () => {
  await using place = await temporaryDirectory();
  const built = await buildPlace(place.path);
  const kept = await runBuild(built, requestOf(await treeOf(built.store, { "index.html": "kept" })));
  const gone = await runBuild(built, requestOf(await treeOf(built.store, { "index.html": "gone" })));
  const { mkdir } = await import("node:fs/promises");
  await mkdir(join(place.path, "work/dpl_x.bld_y"), { recursive: true });
  const future = new Date("2100-01-01");
  expect((await built.builder.collect(new Set([kept.artifact.key]), future)).removed).toBe(1);
  expect(existsSync(kept.artifact.manifest)).toBe(true);
  expect(existsSync(gone.artifact.manifest)).toBe(false);
  expect(readdirSync(join(place.path, "work"))).toEqual([]);
  expect(await built.builder.digests()).toEqual(new Set(kept.artifact.digests));
});

test("5,000 files are found again at once and built in seconds", async () => {
  await using place = await temporaryDirectory();
  const built = await buildPlace(place.path);
  const pages = Array.from({ length: 5_000 }, (_, n) => [
    `p/${n}.html`,
    `<p>${`page ${n} `.repeat(200)}</p>`,
  ]);
  const files = await treeOf(built.store, { ...Object.fromEntries(pages), "index.html": "" });
  const began = performance.now();
  await runBuild(built, requestOf(files));
  const firstMs = performance.now() - began;
  const again = performance.now();
  expect(await built.builder.lookup(requestOf(files))).not.toBeNull();
  console.log(`5,000 files: first build ${firstMs | 0} ms, lookup ${(performance.now() - again) | 0} ms`);
});
