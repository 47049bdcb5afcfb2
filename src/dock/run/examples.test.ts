import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  ask,
  buildPlace,
  MACHINE_PATH,
  NETWORK_ENV,
  requestOf,
  runBuild,
  temporaryDirectory,
  treeOfDirectory,
} from "../../../test/support/trees.ts";
import { systemClock } from "../../foundation/clock.ts";
import { silentLog } from "../../foundation/log.ts";
import type { Manifest } from "../../gateway/snapshot.ts";
import { createRunner } from "./index.ts";

const examples = join(import.meta.dirname, "../../../examples");
// Installs from the registry.
const SLOW = 300_000;

test.each([
  ["node-http", null, "from node:http"],
  ["express", "express", "from Express"],
  ["hono", "hono", "from Hono"],
  ["fastify", "fastify", "from Fastify"],
])(
  "the example %s is detected, installed, started and answers",
  { timeout: SLOW },
  async (name, framework, hello) => {
    await using place = await temporaryDirectory();
    const built = await buildPlace(place.path);
    const tree = await treeOfDirectory(built.store, join(examples, name));
    const { artifact } = await runBuild(built, requestOf(tree));
    expect(artifact).toMatchObject({ kind: "server", framework: framework ?? expect.anything() });
    const { server } = artifact;
    if (!server) throw new Error("a server release");
    const options = { dir: place.path, networkEnv: NETWORK_ENV, path: MACHINE_PATH };
    const runner = createRunner({ ...options, clock: systemClock, log: silentLog });
    try {
      await runner.start({ deploymentId: "dpl_1", server, env: {} }, new AbortController().signal);
      const answer = await ask(runner.socketPath("dpl_1"));
      expect(JSON.parse(answer.body).hello).toBe(hello);
      if (name === "express") {
        const echo = { method: "POST", body: '{"a":1}', headers: { "content-type": "application/json" } };
        expect((await ask(runner.socketPath("dpl_1"), "/echo", echo)).body).toBe('{"a":1}');
      }
    } finally {
      await runner.stop("dpl_1");
      await runner.close();
    }
  },
);

test("the example vite-react is built once; its next commit restores dependencies", {
  timeout: SLOW,
}, async () => {
  await using place = await temporaryDirectory();
  const built = await buildPlace(place.path);
  const tree = await treeOfDirectory(built.store, join(examples, "vite-react"));
  const first = await runBuild(built, requestOf(tree));
  const manifest: Manifest = JSON.parse(await readFile(first.artifact.manifest, "utf8"));
  const names = Object.keys(manifest.files);
  expect(names).toEqual(expect.arrayContaining(["/index.html", "/signal.svg"]));
  const script = names.find((file) => /^\/assets\/index-.*\.js$/.test(file)) ?? "";
  expect(Object.keys(manifest.files[script]?.encodings ?? {}).sort()).toEqual(["br", "gzip"]);
  expect(first.artifact).toMatchObject({ kind: "static", framework: "vite" });
  expect(first.text).toContain("npm ci");

  const changed = tree.map((file) => (file.path === "README.md" ? { ...file, path: "NOTES.md" } : file));
  const began = performance.now();
  const second = await runBuild(built, requestOf(changed));
  console.log(`vite-react with restored dependencies: ${(performance.now() - began) | 0} ms`);
  expect(second.reused).toBe(false);
  expect(second.text).toMatch(/Dependencies restored from the cache: package-lock\.json has not changed/);
  expect(second.text).not.toContain("npm ci");

  // Two builds of one project at the same time: neither may spoil the other's copy of the cache.
  const both = ["A.md", "B.md"].map((path) =>
    tree.map((file) => (file.path === "README.md" ? { ...file, path } : file)),
  );
  const results = await Promise.all(both.map((files) => runBuild(built, requestOf(files))));
  expect(results.every((result) => result.text.includes("Dependencies restored"))).toBe(true);
  expect(readdirSync(join(place.path, "work"))).toEqual([]);

  const collected = await buildPlace(place.path, {}, { cacheBytes: 0 });
  await collected.builder.collect(new Set([first.artifact.key]), new Date(0));
  expect(readdirSync(join(place.path, "cache/shop/dependencies"))).toEqual([]);
});
