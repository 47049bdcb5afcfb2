import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildPlace, requestOf, runBuild, temporaryDirectory, treeOf } from "../../../test/support/trees.ts";

/** What the dock itself makes of a tree with this vercel.json. */
async function built(json: object | string, files: Readonly<Record<string, string>>) {
  await using place = await temporaryDirectory();
  const { store, builder, dir } = await buildPlace(place.path);
  const text = typeof json === "string" ? json : JSON.stringify(json);
  const tree = await treeOf(store, { ...files, "vercel.json": text });
  const { artifact } = await runBuild({ store, builder, dir }, requestOf(tree));
  const config = join(artifact.server?.directory ?? "", ".vercel/output/config.json");
  const output = await readFile(config, "utf8").catch(() => null);
  return {
    artifact,
    manifest: JSON.parse(await readFile(artifact.manifest, "utf8")),
    output: output && JSON.parse(output),
  };
}

const site = { "index.html": "home", "about.html": "about", "404.html": "lost" };

describe("vercel.json, where the dock builds a static site", () => {
  test("gives clean URLs, redirects, headers, conditions and rewrites, and the site's own 404 page", async () => {
    const { artifact, manifest } = await built(
      {
        cleanUrls: true,
        trailingSlash: false,
        redirects: [{ source: "/old/:path*", destination: "/about", permanent: true }],
        rewrites: [{ source: "/me", has: [{ type: "cookie", key: "a" }], destination: "/about" }],
        headers: [{ source: "/(.*)", headers: [{ key: "x-a", value: "b" }] }],
        crons: [{ path: "/about", schedule: "0 0 * * *" }],
      },
      site,
    );
    expect(artifact).toMatchObject({ kind: "static", crons: [{ path: "/about", schedule: "0 0 * * *" }] });
    expect(Object.keys(manifest.files).sort()).toEqual(["/404", "/about", "/index", "/index.html"]);
    expect(manifest.files["/about"].type).toBe("text/html; charset=utf-8");
    const handles = manifest.routes.flatMap((route: { handle?: string }) => route.handle ?? []);
    expect(handles).toEqual(["filesystem", "error"]);
    expect(manifest.routes).toContainEqual(
      expect.objectContaining({
        src: expect.stringMatching(/old/),
        status: 308,
        headers: { Location: "/about" },
      }),
    );
    expect(manifest.routes).toContainEqual(
      expect.objectContaining({ headers: { "x-a": "b" }, continue: true }),
    );
    expect(manifest.routes).toContainEqual(expect.objectContaining({ has: [{ type: "cookie", key: "a" }] }));
    expect(manifest.routes.at(-1)).toMatchObject({ status: 404, dest: "/404" });
  });

  test("sends a rewrite to elsewhere through the output server", async () => {
    const { artifact, output } = await built(
      { rewrites: [{ source: "/api/(.*)", destination: "https://api.example.com/$1" }] },
      site,
    );
    expect(artifact.kind).toBe("server");
    expect(output.routes).toContainEqual(expect.objectContaining({ dest: "https://api.example.com/$1" }));
  });

  test("decides what is run and served, where the settings leave it open", async () => {
    const { manifest } = await built(
      { buildCommand: "mkdir -p made && echo hi > made/a.txt", outputDirectory: "made", installCommand: "" },
      { "package.json": "{}" },
    );
    expect(Object.keys(manifest.files)).toEqual(["/a.txt"]);
  });

  test("says nothing of a server's requests", async () => {
    const { artifact, manifest } = await built(
      { cleanUrls: true, functions: { "api/*.ts": {} } },
      { "package.json": '{"scripts":{"start":"node a.js"}}', "a.js": "" },
    );
    expect(artifact.server?.command).toBe("node a.js");
    expect(manifest.routes).toEqual([]);
  });

  test.each<[string, object | string, RegExp]>([
    [
      "functions",
      { functions: { "api/*.ts": { memory: 1 } } },
      /"functions", which only the Vercel CLI builds/,
    ],
    ["builds", { builds: [{ src: "*", use: "@vercel/static" }] }, /"builds", which only/],
    ["no JSON", "{", /vercel\.json cannot be used: it is no JSON/],
    ["a list", "[]", /vercel\.json cannot be used/],
    ["a rule of the wrong kind", { redirects: {} }, /redirects/],
    ["a pattern that is none", { redirects: [{ source: "/a(", destination: "/b" }] }, /invalid `source`/],
    ["a cron job without a path", { crons: [{ schedule: "* * * * *" }] }, /crons\.0\.path/],
  ])("with %s is refused", async (_title, json, message) => {
    await expect(built(json, site)).rejects.toMatchObject({
      code: "BUILD_INVALID_CONFIG",
      message: expect.stringMatching(message),
    });
  });
});
