import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildPlace, requestOf, runBuild, temporaryDirectory, treeOf } from "../../../test/support/trees.ts";
import { OUTPUT_SERVER } from "../output/command.ts";
import { chooseBuilder } from "./choose-builder.ts";
import { vercelCliAt, vercelOnPath } from "./vercel-cli.ts";

const official = join(import.meta.dirname, "../../../test/vercel-cli/node_modules/.bin/vercel");

/** A program in the CLI's place: it leaves a Build Output with one function, which tells what the build was told. */
async function standIn(directory: string, version: string, more = ""): Promise<string> {
  const program = join(directory, `cli-${version}`, "vercel");
  await mkdir(join(directory, `cli-${version}`), { recursive: true });
  await writeFile(
    join(directory, `cli-${version}`, "package.json"),
    JSON.stringify({ name: "vercel", version }),
  );
  const script = `#!/usr/bin/env node
const fs = require("node:fs");
${more}
const at = ".vercel/output/functions/told.func";
fs.mkdirSync(at, { recursive: true });
const project = JSON.parse(fs.readFileSync(".vercel/project.json", "utf8"));
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/URL|DEPLOYMENT_ID/.test(name)));
fs.writeFileSync(at + "/told.json", JSON.stringify({ project, args: process.argv.slice(2), env }));
if (process.env.WRITE_URL) fs.writeFileSync(at + "/url.js", "export default " + JSON.stringify(process.env.VERCEL_URL));
fs.writeFileSync(at + "/index.js", "");
const map = { "lib/shared.js": "lib/shared.js" };
const vcConfig = { runtime: "nodejs24.x", handler: "index.js", filePathMap: map };
fs.writeFileSync(at + "/.vc-config.json", JSON.stringify(vcConfig));
fs.writeFileSync(".vercel/output/config.json", JSON.stringify({ version: 3, framework: { slug: "hono" } }));
`;
  await writeFile(program, script);
  await chmod(program, 0o755);
  return program;
}

const source = {
  "package.json": JSON.stringify({ dependencies: { astro: "7" }, scripts: { start: "node server.js" } }),
  "lib/shared.js": "shared",
};
const system = (n: number) => ({
  fixed: { VERCEL: "1", VERCEL_ENV: "preview" },
  own: { VERCEL_URL: `shop-${n}abcdefg.localhost`, VERCEL_DEPLOYMENT_ID: `dpl_${n}abcdefg` },
});

async function place(more = "") {
  const directory = await temporaryDirectory();
  const vercelCli = await standIn(directory.path, "60.1.3", more);
  const built = await buildPlace(directory.path, {}, { vercelCli });
  return { ...built, vercelCli, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

describe("a source deployment, where the CLI is there", () => {
  test("is built by it, as its project's settings say, without a token, in a home of its own", async () => {
    await using at = await place();
    const files = await treeOf(at.store, source);
    const settings = { buildCommand: "make", rootDirectory: null };
    const request = requestOf(files, {
      settings,
      env: { PLAIN: "1" },
      system: system(1),
      target: "production",
    });
    const { artifact, text } = await runBuild(at, request);
    expect(artifact).toMatchObject({ kind: "server", framework: "hono", server: { command: OUTPUT_SERVER } });
    expect(artifact.functions).toMatchObject([{ path: "told", runtime: "nodejs24.x" }]);
    const tree = artifact.server?.directory ?? "";
    expect(await readFile(join(tree, "lib/shared.js"), "utf8")).toBe("shared");
    expect(existsSync(join(tree, "package.json"))).toBe(false);
    const told = JSON.parse(
      await readFile(join(tree, ".vercel/output/functions/told.func/told.json"), "utf8"),
    );
    expect(told.args).toEqual(["build", "--yes", "--prod"]);
    expect(told.project.settings).toMatchObject({
      framework: "astro",
      buildCommand: "make",
      nodeVersion: "24.x",
    });
    expect(told.env).toMatchObject({
      PLAIN: "1",
      CI: "1",
      VERCEL: "1",
      VERCEL_ENV: "preview",
      PUBLIC_VERCEL_ENV: "preview",
      VERCEL_TELEMETRY_DISABLED: "1",
      HOME: expect.stringContaining(at.dir),
    });
    expect(Object.keys(told.env).filter((name) => /TOKEN|NODE_ENV|XDG/.test(name))).toEqual([]);
    expect(text).toContain("vercel build --prod");
    expect(text).not.toContain(at.vercelCli);
  });

  test("is reused by another deployment, unless the build wrote its own deployment's name into it", async () => {
    await using at = await place();
    const files = await treeOf(at.store, source);
    const first = requestOf(files, { system: system(1) });
    const { artifact } = await runBuild(at, first);
    expect(await at.builder.lookup(requestOf(files, { system: system(2) }))).toEqual(artifact);
    const env = { WRITE_URL: "1" };
    const own = await runBuild(at, requestOf(files, { system: system(1), env }));
    expect(await at.builder.lookup(requestOf(files, { system: system(2), env }))).toBeNull();
    const others = await runBuild(at, requestOf(files, { system: system(2), env }));
    expect(others).toMatchObject({ reused: false });
    expect(others.artifact.key).not.toBe(own.artifact.key);
  });

  test("is another artifact for another target, another branch and another version of the CLI", async () => {
    await using at = await place();
    const files = await treeOf(at.store, source);
    await runBuild(at, requestOf(files, { system: system(1) }));
    const branch = { ...system(1), fixed: { ...system(1).fixed, VERCEL_GIT_COMMIT_REF: "next" } };
    for (const other of [
      { target: "production" },
      { system: branch },
      { env: { SIGNALBOX_BUILDER: "dock" } },
    ]) {
      expect(await at.builder.lookup(requestOf(files, { system: system(1), ...other }))).toBeNull();
    }
    const newer = await buildPlace(at.dir, {}, { vercelCli: await standIn(at.dir, "64.0.2") });
    expect(await newer.builder.lookup(requestOf(files, { system: system(1) }))).toBeNull();
  });

  test("fails with the CLI's own last words, and hides secrets in them", async () => {
    await using at = await place(
      "console.error('Error: no luck with ' + process.env.API_KEY); process.exit(1);",
    );
    const request = requestOf(await treeOf(at.store, source), { env: { API_KEY: "s3cr3t-value" } });
    const failing = runBuild(at, request);
    await expect(failing).rejects.toMatchObject({
      code: "BUILD_FAILED",
      message: "The build command `vercel build` exited with code 1: Error: no luck with [redacted API_KEY].",
    });
  });

  test("can be canceled", async () => {
    await using at = await place(
      "console.log('waiting'); setInterval(() => {}, 1000); process.stdin.read(); return;",
    );
    const canceling = new AbortController();
    const request = requestOf(await treeOf(at.store, source));
    const onEvent = ({ text }: { text: string }) => void (text === "waiting" && canceling.abort());
    const failing = runBuild(at, request, { signal: canceling.signal, onEvent });
    await expect(failing).rejects.toMatchObject({ code: "BUILD_CANCELED" });
  });
});

describe("who builds", () => {
  const cli = { path: "/opt/vercel", version: "60.1.3" };
  const file = (path: string) => ({ path, sha1: "0".repeat(40), size: 0, mode: 0o100644 });
  const request = (paths: readonly string[], more: object = {}) => requestOf(paths.map(file), more);
  test.each<[string, ReturnType<typeof request>, boolean]>([
    ["a package: the CLI", request(["package.json"]), true],
    ["functions alone: the CLI", request(["api/hello.ts"]), true],
    ["a site with vercel.json: the CLI", request(["index.html", "vercel.json"]), true],
    ["files alone: nobody", request(["index.html"]), false],
    ["what is built already: nobody", request(["package.json", ".vercel/output/config.json"]), false],
    ["a prebuilt upload: nobody", request(["package.json"], { prebuilt: true }), false],
    [
      "a start command: the dock",
      request(["package.json"], { env: { SIGNALBOX_START_COMMAND: "x" } }),
      false,
    ],
    [
      "the root directory counts",
      request(["package.json", "web/a.html"], { settings: { rootDirectory: "web" } }),
      false,
    ],
    ["asked for: the dock", request(["package.json"], { env: { SIGNALBOX_BUILDER: "dock" } }), false],
    ["asked for: the CLI", request(["index.html"], { env: { SIGNALBOX_BUILDER: "vercel" } }), true],
  ])("%s", (_title, asked, expected) => {
    expect(chooseBuilder(asked, cli)).toBe(expected ? cli : null);
    if (asked.env.SIGNALBOX_BUILDER !== "vercel") expect(chooseBuilder(asked, null)).toBeNull();
  });

  test("the CLI, asked for and not there, is a failure that says so; so is anybody else", () => {
    const asked = (who: string) => request(["a"], { env: { SIGNALBOX_BUILDER: who } });
    expect(() => chooseBuilder(asked("vercel"), null)).toThrow(/CLI is not installed here/);
    expect(() => chooseBuilder(asked("nobody"), cli)).toThrow(/SIGNALBOX_BUILDER is "nobody"/);
  });

  test("the program is found on the path, with its version; one that is not there is an error", async () => {
    await using at = await place();
    expect(vercelOnPath(`/nowhere:${join(at.vercelCli, "..")}:/usr/bin`)).toBe(at.vercelCli);
    expect(vercelOnPath("/nowhere:/tmp/x/node_modules/.bin")).toBeNull();
    expect(vercelCliAt(at.vercelCli)).toEqual({ path: at.vercelCli, version: "60.1.3" });
    expect(() => vercelCliAt("/nowhere/vercel")).toThrow(/no program that can be run/);
  });
});

test("the official CLI builds a site and its functions, and asks nobody for it", async () => {
  await using directory = await temporaryDirectory();
  const at = await buildPlace(directory.path, {}, { vercelCli: official });
  const files = await treeOf(at.store, {
    "api/hello.js": "module.exports = (request, response) => response.json({ hello: true });",
    "public/about.html": "about",
    "vercel.json": JSON.stringify({
      cleanUrls: true,
      crons: [{ path: "/api/hello", schedule: "0 5 * * *" }],
    }),
  });
  const { artifact } = await runBuild(at, requestOf(files));
  expect(artifact).toMatchObject({
    kind: "server",
    crons: [{ path: "/api/hello", schedule: "0 5 * * *" }],
  });
  expect(artifact.functions).toMatchObject([{ path: "api/hello", type: "lambda", runtime: "nodejs24.x" }]);
  const output = join(artifact.server?.directory ?? "", ".vercel/output");
  const config = JSON.parse(await readFile(join(output, "config.json"), "utf8"));
  expect(config.overrides).toEqual({ "about.html": { path: "about" } });
});
