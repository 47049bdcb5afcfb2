import { describe, expect, test } from "vitest";
import type { BuildSettings } from "./build.ts";
import { detectFrameworks } from "./detect-framework.ts";
import { readPackageJson } from "./package-json.ts";
import { planBuild } from "./plan.ts";
import type { SourceTree } from "./source-tree.ts";
import { isStaticPreview, startCommand } from "./start-command.ts";

/** A tree of texts, for detection only. */
function tree(files: Record<string, string>): SourceTree {
  return {
    has: (path) => Object.hasOwn(files, path),
    hasDirectory: (path) => Object.keys(files).some((file) => file.startsWith(`${path}/`)),
    read: async (path) => files[path] ?? null,
    files: Object.entries(files).map(([path, text]) => ({
      path,
      sha1: "",
      size: text.length,
      mode: 0o100644,
    })),
  };
}

const json = (value: unknown) => JSON.stringify(value);

async function slugOf(files: Record<string, string>): Promise<string | null | undefined> {
  const source = tree(files);
  return (await detectFrameworks(source, await readPackageJson(source)))[0]?.slug;
}

async function plan(
  files: Record<string, string>,
  settings: BuildSettings = {},
  env: Record<string, string> = {},
) {
  const { framework, install, build, output, server } = await planBuild(tree(files), settings, env);
  return { framework: framework?.slug ?? null, install, build, output: output.directory, server };
}

describe("the framework is found by", () => {
  test.each([
    ["a dependency", { "package.json": json({ dependencies: { next: "16" } }) }, "nextjs"],
    ["a dev dependency", { "package.json": json({ devDependencies: { vite: "8" } }) }, "vite"],
    ["a file", { "blitz.config.js": "" }, "blitzjs"],
    [
      "a dependency and the text of a file",
      {
        "package.json": json({ dependencies: { express: "5" } }),
        "server.js": 'import express from "express"',
      },
      "express",
    ],
    [
      "what supersedes another match",
      { "package.json": json({ devDependencies: { vite: "8", "@remix-run/dev": "2" } }) },
      "remix",
    ],
    ["nothing", { "index.html": "" }, undefined],
  ])("%s", async (_title, files, slug) => {
    expect(await slugOf(files as Record<string, string>)).toBe(slug);
  });
});

describe("without configuration", () => {
  const lock = "{}";
  test("a site without package.json is served as it is", async () => {
    expect(await plan({ "index.html": "" })).toEqual({
      framework: null,
      install: null,
      build: null,
      output: ".",
      server: null,
    });
  });

  test("a Vite app is installed by its lockfile, built, and served from dist", async () => {
    const packageJson = json({
      scripts: { build: "vite build", start: "vite" },
      devDependencies: { vite: "8" },
    });
    expect(await plan({ "package.json": packageJson, "package-lock.json": lock })).toEqual({
      framework: "vite",
      install: "npm ci",
      build: "npm run build",
      output: "dist",
      server: null,
    });
  });

  test("a package with a start script is a server", async () => {
    const packageJson = json({ scripts: { start: "node index.js" }, dependencies: { express: "5" } });
    const made = await plan({ "package.json": packageJson, "index.js": 'require("express")' });
    expect(made).toMatchObject({
      framework: "express",
      install: "npm install",
      build: null,
      server: "node index.js",
    });
  });

  test("a package without dependencies is not installed", async () => {
    const made = await plan({ "package.json": json({ scripts: { start: "node a.js" } }), "a.js": "" });
    expect(made).toMatchObject({ install: null, server: "node a.js" });
  });

  test("a project in another language is refused instead of showing its source", async () => {
    const made = plan({
      "requirements.txt": "flask",
      "app.py": "from flask import Flask\napp = Flask(__name__)",
    });
    await expect(made).rejects.toMatchObject({ code: "BUILD_INVALID_CONFIG" });
  });

  test.each([
    "api/hello.ts",
    "api/user/[id].js",
    "api/hello.py",
  ])("%s is refused instead of showing its source, and the CLI is named", async (path) => {
    const made = plan({ "index.html": "", [path]: "" });
    await expect(made).rejects.toMatchObject({ code: "BUILD_INVALID_CONFIG" });
    await expect(made).rejects.toThrow(
      /would be a function on Vercel; here only the Vercel CLI makes functions/,
    );
    await expect(made).rejects.toMatchObject({ hint: expect.stringContaining("SIGNALBOX_VERCEL_CLI") });
  });

  test.each<[string, Record<string, string>, Record<string, string>]>([
    ["what is served as it is on purpose", { "api/a.js": "" }, { SIGNALBOX_BUILDER: "dock" }],
    ["a server's own", { "api/a.js": "" }, { SIGNALBOX_START_COMMAND: "node api/a.js" }],
    [
      "what is no function",
      { "api/_lib.js": "", "api/a.d.ts": "", "api/a.json": "", "src/api/a.js": "" },
      {},
    ],
  ])("files below api/ are let be: %s", async (_, files, env) => {
    await expect(plan({ "index.html": "", ...files }, {}, env)).resolves.toMatchObject({ build: null });
  });

  test("a broken package.json is named", async () => {
    await expect(plan({ "package.json": "{" })).rejects.toThrow(/package\.json cannot be read/);
  });
});

describe("settings", () => {
  const files = {
    "package.json": json({ scripts: { build: "b", start: "node s.js" }, dependencies: { a: "1" } }),
    "pnpm-lock.yaml": "",
  };
  test("win over detection", async () => {
    const settings = {
      framework: "vite",
      installCommand: "make deps",
      buildCommand: "make",
      outputDirectory: "./out/",
    };
    const env = { SIGNALBOX_START_COMMAND: "node other.js" };
    expect(await plan(files, settings, env)).toEqual({
      framework: "vite",
      install: "make deps",
      build: "make",
      output: "out",
      server: "node other.js",
    });
  });
  test("an empty command skips its step", async () => {
    expect(await plan(files, { installCommand: "", buildCommand: "" })).toMatchObject({
      install: null,
      build: null,
    });
  });
  test.each([
    "../up",
    "/etc",
    "a/../../b",
    "a\0b",
  ])("a directory outside the repository is refused: %j", async (path) => {
    await expect(plan(files, { outputDirectory: path })).rejects.toMatchObject({
      code: "BUILD_INVALID_CONFIG",
    });
  });
  test("an unknown framework is refused", async () => {
    await expect(plan(files, { framework: "nope" })).rejects.toThrow(/no framework "nope"/);
  });
});

describe("a start script that only previews a site makes no server", () => {
  test.each([
    "vite",
    "vite preview --port 3000",
    "vite --host",
    "npx serve dist",
    "serve -s build",
    "react-scripts start",
    "http-server ./public",
    "next dev",
    "NODE_ENV=production npx -y vite preview",
    "cross-env PORT=1 next dev",
    "npm run build && vite preview",
    "npm run dev",
    "ng serve",
    "astro dev",
    "parcel src/index.html",
    "./node_modules/.bin/http-server",
  ])("%s", (command) => {
    expect(isStaticPreview(command, { dev: "vite", build: "vite build" })).toBe(true);
  });

  test.each([
    "node server.js",
    "next start",
    "vite-node server.ts",
    "tsx src/index.ts",
    "npm run build && node dist/index.js",
    "npm run serve",
    "remix-serve build/server.js",
    "nest start",
  ])("but %s does", (command) => {
    expect(isStaticPreview(command, { serve: "node a.js" })).toBe(false);
  });

  test("npm itself runs only where there are scripts around the start", () => {
    const scripts = { start: "node a.js", prestart: "node migrate.js" };
    const packageJson = { scripts, dependencies: {}, devDependencies: {} };
    expect(startCommand(packageJson, false)).toBe("npm start");
    expect(startCommand({ ...packageJson, scripts: {} }, true)).toBe("node server.js");
  });
});
