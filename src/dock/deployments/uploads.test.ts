import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockPlatform, startPlatform } from "../../../test/support/dock-platform.ts";

/** The ways in which files reach the dock, over its API and out through the gateway. */
let platform: DockPlatform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.close());

const sha1 = (bytes: Uint8Array | string) => createHash("sha1").update(bytes).digest("hex");

async function create13(
  body: object,
  query = "",
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await platform.fetch(`/v13/deployments${query}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Follows the log until the deployment has ended. */
async function ended(id: unknown): Promise<Record<string, unknown>> {
  await (await platform.fetch(`/v3/deployments/${id}/events?follow=1`)).text();
  return (await (await platform.fetch(`/v13/deployments/${id}`)).json()) as Record<string, unknown>;
}

/** A directory with these files as `--archive=tgz` sends it, in two parts. */
async function archive(files: Readonly<Record<string, string>>): Promise<Buffer[]> {
  const directory = await mkdtemp(join(tmpdir(), "archive-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(directory, path, ".."), { recursive: true });
      await writeFile(join(directory, path), text);
    }
    const file = `${directory}.tgz`;
    await create({ gzip: true, cwd: directory, file }, await readdir(directory));
    const bytes = await readFile(file);
    await rm(file);
    return [bytes.subarray(0, 50), bytes.subarray(50)];
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Asks, sends what is missing, asks again: as every client does. */
async function upload(name: string, parts: readonly Buffer[], query = "") {
  const files = parts.map((bytes, index) => ({
    file: `.vercel/source.tgz.part${index + 1}`,
    sha: sha1(bytes),
    size: bytes.length,
    mode: 0o666,
  }));
  const first = await create13({ name, files }, query);
  if (first.status === 200) return first;
  expect(first.body).toMatchObject({ error: { code: "missing_files", missing: parts.map(sha1) } });
  for (const bytes of parts) {
    const headers = { "x-now-digest": sha1(bytes) };
    const sent = await platform.fetch("/v2/files", { method: "POST", headers, body: new Uint8Array(bytes) });
    expect(sent.status).toBe(200);
  }
  return create13({ name, files }, query);
}

it("inline pages are READY and served when the request that sent them is answered", async () => {
  const file = "index.html";
  const data = Buffer.from("<h1>inline</h1>").toString("base64");
  const { status, body } = await create13({ name: "inline", files: [{ file, data, encoding: "base64" }] });
  expect({ status, body }).toMatchObject({ status: 200, body: { readyState: "READY", aliasAssigned: true } });
  expect(await platform.visit(String(body.url))).toMatchObject({ status: 200, text: "<h1>inline</h1>" });
  const again = await create13({ name: "inline", files: [{ file, data, encoding: "base64" }] });
  expect(again.body).toMatchObject({ readyState: "READY" });
});

it("an archive is a tree like any other: served, found again, and built again from what it held", async () => {
  const parts = await archive({ "index.html": "from an archive", "deep/er/a.txt": "deep" });
  const { status, body } = await upload("archived", parts);
  expect(status).toBe(200);
  expect(await ended(body.id)).toMatchObject({ readyState: "READY" });
  expect(await platform.visit(String(body.url), "/deep/er/a.txt")).toMatchObject({ text: "deep" });
  const files = { "index.html": "from an archive", "deep/er/a.txt": "deep" };
  const inline = Object.entries(files).map(([file, data]) => ({ file, data }));
  expect((await create13({ name: "archived", files: inline })).body).toMatchObject({
    dock: { reused: true },
  });
  const rebuilt = await create13({ name: "archived", deploymentId: body.id }, "?forceNew=1");
  expect(await ended(rebuilt.body.id)).toMatchObject({ readyState: "READY" });
});

it("a prebuilt archive is served by its own routes, and what it has is kept beside it", async () => {
  const config = {
    version: 3,
    routes: [{ src: "^/old$", status: 308, headers: { Location: "/" } }],
    crons: [{ path: "/x", schedule: "0 5 * * *" }],
  };
  const parts = await archive({
    ".vercel/output/config.json": JSON.stringify(config),
    ".vercel/output/static/index.html": "prebuilt",
  });
  const { body } = await upload("prebuilt", parts, "?prebuilt=1");
  expect(await ended(body.id)).toMatchObject({ readyState: "READY" });
  expect(await platform.visit(String(body.url), "/old")).toMatchObject({ status: 308 });
  const { rows } = await platform.pool.query(
    "select a.crons, a.functions from dock.artifacts a join dock.deployments d on d.artifact = a.key where d.id = $1",
    [body.id],
  );
  expect(rows).toEqual([{ crons: config.crons, functions: [] }]);
});

it("an archive that means harm is refused when it is sent, in Vercel's shape", async () => {
  const { status, body } = await upload("bad", [Buffer.from("no gzip at all")]);
  expect(status).toBe(400);
  expect(body).toMatchObject({
    error: { code: "bad_request", message: expect.stringMatching(/source\.tgz cannot/) },
  });
});

it("a prebuilt upload with a function runs it, and says in the rows what it has", async () => {
  const output = {
    "config.json": JSON.stringify({ version: 3 }),
    "static/a.txt": "static",
    "functions/api/env.func/.vc-config.json": JSON.stringify({
      runtime: "nodejs24.x",
      handler: "index.mjs",
      launcherType: "Nodejs",
    }),
    "functions/api/env.func/index.mjs":
      "const { VERCEL_ENV, VERCEL_TARGET_ENV, VERCEL_URL } = process.env;" +
      "export const GET = () => Response.json([VERCEL_ENV, VERCEL_TARGET_ENV, VERCEL_URL]);",
  };
  const files = Object.entries(output).map(([path, data]) => ({ file: `.vercel/output/${path}`, data }));
  const { body } = await create13({ name: "functions", files, target: "production" }, "?prebuilt=1");
  expect(await ended(body.id)).toMatchObject({ readyState: "READY", dock: { kind: "server" } });
  const host = String(body.url);
  expect(await platform.visit(host, "/a.txt")).toMatchObject({ status: 200, text: "static" });
  const answer = await platform.visit("functions.localhost", "/api/env");
  expect(JSON.parse(answer.text)).toEqual(["production", "production", host]);
  const { rows } = await platform.pool.query(
    "select a.functions from dock.artifacts a join dock.deployments d on d.artifact = a.key where d.id = $1",
    [body.id],
  );
  expect(rows[0].functions).toMatchObject([{ path: "api/env", type: "lambda", runtime: "nodejs24.x" }]);
});
