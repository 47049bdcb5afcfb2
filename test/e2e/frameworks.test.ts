import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, lstat, mkdir, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FileStore, TreeFile } from "../../src/dock/store/store.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { FRAMEWORK_APPS, type FrameworkApp } from "../support/framework-apps.ts";
import { ask, buildEnv, installed, type Server, serve, without } from "../support/framework-servers.ts";
import { buildPlace, requestOf, runBuild, temporaryDirectory } from "../support/trees.ts";

/**
 * Real apps, built by the official CLI and served by the output server, against the framework's own production server:
 * every question gets the same answer. `npm run frameworks`.
 */
const run = promisify(execFile);
const CLI = resolve("test/vercel-cli/node_modules/.bin/vercel");
const OUTPUT_SERVER = resolve("src/dock/output/main.ts");
const LARGEST_LOG = 64 * 2 ** 20;

const table: string[] = [];
afterAll(() => console.log(table.join("\n")));

describe.each(FRAMEWORK_APPS)("$name", (app) => {
  let mine: Server;
  let theirs: Server;
  let place: Awaited<ReturnType<typeof temporaryDirectory>>;

  beforeAll(async () => {
    place = await temporaryDirectory();
    const directory = await installed(app, join(place.path, "built"));
    const builtMs = await vercelBuild(app, directory, place.path);
    const reference =
      app.build === null ? directory : await ownBuild(app, directory, join(place.path, "own"));
    theirs = await serve("sh", ["-c", `exec ${app.start}`], reference, place.path);
    mine = await serve(
      process.execPath,
      [OUTPUT_SERVER],
      await artifactOf(directory, place.path),
      place.path,
    );
    table.push(`${app.name}: built by the CLI in ${(builtMs / 1000).toFixed(1)} s`);
  });
  afterAll(async () => {
    for (const server of [mine, theirs]) await server?.stop();
    await place?.[Symbol.asyncDispose]();
  });

  test.each(
    app.questions.map((question) => [`${question.method ?? "GET"} ${question.path}`, question] as const),
  )("%s", async (title, question) => {
    const [here, there] = [await ask(mine, question), await ask(theirs, question)];
    table.push(`${app.name}: ${title}: ${here.status}`);
    expect(without(here, question)).toEqual(without(there, question));
  });

  const { revalidated } = app;
  test.runIf(revalidated)("what the app revalidates is made anew, once", async () => {
    const { pages, by } = revalidated ?? { pages: [], by: "" };
    for (const server of [mine, theirs]) {
      const show = () => Promise.all(pages.map((page) => madeAt(`${server.origin}${page}`)));
      const before = await show();
      expect(await show()).toEqual(before);
      expect((await fetch(`${server.origin}${by}`, { method: "POST" })).status).toBe(200);
      const after = await show();
      for (const [at, time] of after.entries()) expect(time).toBeGreaterThan(before[at] ?? Infinity);
      expect(await show()).toEqual(after);
    }
  });
});

async function madeAt(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  return Number(/made at (?:<!-- -->)?(\d+)/.exec(text)?.[1]);
}

async function vercelBuild(app: FrameworkApp, directory: string, home: string): Promise<number> {
  await mkdir(join(directory, ".vercel"), { recursive: true });
  const settings = { framework: app.framework, nodeVersion: "24.x" };
  const project = { projectId: "prj_x", orgId: "team_x", settings };
  await writeFile(join(directory, ".vercel/project.json"), JSON.stringify(project));
  const env = { ...buildEnv(home), VERCEL: "1", VERCEL_ENV: "production" };
  const began = systemClock.monotonicMs();
  await run(CLI, ["build", "--prod", "--yes"], { cwd: directory, env, maxBuffer: LARGEST_LOG });
  return systemClock.monotonicMs() - began;
}

async function ownBuild(app: FrameworkApp, from: string, directory: string): Promise<string> {
  await cp(resolve("test/apps", app.name), directory, { recursive: true });
  await cp(join(from, "node_modules"), join(directory, "node_modules"), {
    recursive: true,
    verbatimSymlinks: true,
  });
  const env = { ...buildEnv(join(directory, "../home")), ...app.build?.env };
  await run("sh", ["-c", app.build?.command ?? "true"], { cwd: directory, env, maxBuffer: LARGEST_LOG });
  return directory;
}

/** What `vercel deploy --prebuilt` would send, through the dock's builder. Returns the artifact's tree. */
async function artifactOf(directory: string, place: string): Promise<string> {
  const built = await buildPlace(join(place, "dock"));
  const files = new Map<string, TreeFile>();
  const walk = async (relative: string): Promise<void> => {
    for (const entry of await readdir(join(directory, relative), { withFileTypes: true })) {
      const path = `${relative}/${entry.name}`;
      if (entry.isDirectory()) await walk(path);
      else await send(built.store, directory, path, files);
    }
  };
  await walk(".vercel/output");
  const { artifact } = await runBuild(built, requestOf([...files.values()], { prebuilt: true }));
  if (!artifact.server) throw new Error("the app came out static");
  return artifact.server.directory;
}

async function send(
  store: FileStore,
  directory: string,
  path: string,
  files: Map<string, TreeFile>,
): Promise<void> {
  if (files.has(path)) return;
  const location = join(directory, path);
  const link = (await lstat(location)).isSymbolicLink();
  const bytes = link ? Buffer.from(await readlink(location)) : await readFile(location);
  const sha1 = createHash("sha1").update(bytes).digest("hex");
  await store.put(sha1, bytes);
  files.set(path, { path, sha1, size: bytes.length, mode: link ? 0o120000 : 0o100644 });
  if (!path.endsWith("/.vc-config.json")) return;
  const config = JSON.parse(bytes.toString()) as { filePathMap?: Record<string, string> };
  for (const needed of Object.values(config.filePathMap ?? {})) await send(store, directory, needed, files);
}
