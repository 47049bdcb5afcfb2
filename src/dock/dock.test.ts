import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockPlatform, startPlatform } from "../../test/support/dock-platform.ts";
import { startDock } from "./index.ts";

/** What holds across the death and the restart of the processes around the dock. */
let platform: DockPlatform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.close());

type Answer = { status: number; body: Record<string, unknown> };

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await platform.fetch(path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
}

async function deploy(name: string, files: Record<string, string>, more: object = {}): Promise<string> {
  const inline = Object.entries(files).map(([file, data]) => ({ file, data }));
  const { body, status } = await call("POST", "/v13/deployments", { name, files: inline, ...more });
  expect({ status, body }).toMatchObject({ status: 200 });
  return String(body.id);
}

/** Follows the log until the deployment has ended. */
async function ended(id: string): Promise<Record<string, unknown>> {
  await (await platform.fetch(`/v3/deployments/${id}/events?follow=1`)).text();
  return (await call("GET", `/v13/deployments/${id}`)).body;
}

const page = (text: string) => ({ "index.html": text });
const server = (answer: string) => ({
  "package.json": JSON.stringify({ name: "app", scripts: { start: "node server.js" } }),
  "server.js": `require("node:http").createServer((q, s) => s.end(${answer})).listen(3000)`,
});
const PRODUCTION = { target: "production", projectSettings: { installCommand: "" } };

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

it("a second dock on the same database is refused with a sentence", async () => {
  await expect(startDock(platform.options())).rejects.toThrow(/Another dock runs on this database/);
});

it("another key file is refused at the start, not at the first read", async () => {
  const wrong = { ...platform.options(), secretKey: `${platform.options().secretKey}.other` };
  await platform.withoutDock(async () => {
    await expect(startDock(wrong)).rejects.toThrow(/not the one that its database was sealed with/);
  });
});

it("a server release gets its variables, serves, and lives on while the dock restarts", async () => {
  await call("POST", "/v11/projects", { name: "server" });
  const variable = { key: "GREETING", value: "hello", type: "sensitive", target: ["production"] };
  await call("POST", "/v10/projects/server/env", variable);
  const id = await deploy("server", server("process.env.GREETING + process.pid"), PRODUCTION);
  expect(await ended(id)).toMatchObject({ readyState: "READY", dock: { kind: "server", reused: false } });
  const before = await platform.visit("server.localhost");
  expect(before.text).toMatch(/^hello\d+$/);
  await platform.restartDock();
  expect(await platform.visit("server.localhost")).toEqual(before);
});

it("a server that exits ends in ERROR with its last words, and production stays as it was", async () => {
  const good = await deploy("crash", server(`"good"`), PRODUCTION);
  expect(await ended(good)).toMatchObject({ readyState: "READY" });
  const broken = { ...server(`""`), "server.js": `console.error("no database"); process.exit(1)` };
  const id = await deploy("crash", broken, PRODUCTION);
  expect(await ended(id)).toMatchObject({ readyState: "ERROR", errorCode: "START_FAILED" });
  expect(JSON.stringify((await call("GET", `/v3/deployments/${id}/events`)).body)).toContain("no database");
  expect(await platform.visit("crash.localhost")).toMatchObject({ text: "good" });
});

it("a rollback to a release whose process was stopped starts it before anything moves", async () => {
  const first = await deploy("stopped", server(`"one"`), PRODUCTION);
  await ended(first);
  const second = await deploy("stopped", server(`"two"`), PRODUCTION);
  await ended(second);
  await platform.stopApp(first);
  expect((await call("POST", `/v1/projects/stopped/rollback/${first}`, {})).status).toBe(201);
  expect(await platform.visit("stopped.localhost")).toMatchObject({ text: "one" });
});

it("what was queued or being built when the dock ended is built by the next one", async () => {
  const slow = {
    "package.json": '{"scripts":{"build":"sleep 1 && mkdir -p public && echo built > public/index.html"}}',
  };
  const more = { projectSettings: { installCommand: "", outputDirectory: "public" } };
  const ids = await Promise.all(["a", "b", "c"].map((name) => deploy(`resumed-${name}`, slow, more)));
  await platform.restartDock();
  for (const id of ids) expect(await ended(id)).toMatchObject({ readyState: "READY" });
}, 120_000);

it("a promotion while the gateway is away says so, and is served once it is back", async () => {
  const first = await deploy("away", page("one"), { target: "production" });
  await ended(first);
  const second = await deploy("away", page("two"), { target: "production", autoAssignCustomDomains: false });
  await ended(second);
  await platform.stopGateway();
  const answer = await call("POST", `/v10/projects/away/promote/${second}`, {});
  expect(answer).toMatchObject({ status: 503, body: { error: { code: "unavailable" } } });
  expect((await call("GET", "/v9/projects/away")).body).toMatchObject({
    lastAliasRequest: { jobStatus: "in-progress", toDeploymentId: second },
  });
  await platform.startGateway();
  await until(async () => (await platform.visit("away.localhost")).text === "two");
  await until(async () => {
    const { body } = await call("GET", "/v9/projects/away");
    return (body.lastAliasRequest as { jobStatus: string }).jobStatus === "succeeded";
  });
});

it("a gateway that lost its snapshot gets the newest one again", async () => {
  const id = await deploy("forgotten", page("kept"), { target: "production" });
  await ended(id);
  await platform.stopGateway({ forget: true });
  await platform.startGateway();
  await until(async () => (await platform.visit("forgotten.localhost")).text === "kept");
});

it("an unchanged tree of 5,000 files is READY in the answer, without a byte sent", async () => {
  const files = Array.from({ length: 5_000 }, (_, i) => {
    const data = `file ${i}`;
    const sha = createHash("sha1").update(data).digest("hex");
    return { file: `assets/${i % 50}/${i}.txt`, sha, size: data.length, data };
  });
  const waiting = [...files];
  const send = async () => {
    for (let file = waiting.pop(); file; file = waiting.pop()) {
      const headers = { "x-now-digest": file.sha };
      await platform.fetch("/v2/files", { method: "POST", body: file.data, headers });
    }
  };
  // As many at once as Vercel's own client sends.
  await Promise.all(Array.from({ length: 50 }, send));
  const body = { name: "large", files: files.map(({ data: _, ...file }) => file), target: "production" };
  const first = await call("POST", "/v13/deployments", body);
  await ended(String(first.body.id));
  const again = await call("POST", "/v13/deployments", body);
  expect(again.body).toMatchObject({ readyState: "READY", aliasAssigned: true, dock: { reused: true } });
}, 180_000);
