import { readdir, readFile } from "node:fs/promises";
import http from "node:http";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/foundation/clock.ts";
import { type DockPlatform, startPlatform } from "../support/dock-platform.ts";
import { FRAMEWORK_APPS, type Question } from "../support/framework-apps.ts";
import { type Answer, answerOf, ask, type Server, serve, without } from "../support/framework-servers.ts";
import { FUNCTION_ANSWERS } from "../support/function-answers.ts";
import { MACHINE_PATH, NETWORK_ENV, temporaryDirectory } from "../support/trees.ts";

/**
 * Source deployments that the official CLI builds on the dock, asked through the gateway: plain functions against what
 * Vercel says of them, Hono against its own server for Node. The larger frameworks: `npm run frameworks`.
 */
const CLI = resolve("test/vercel-cli/node_modules/.bin/vercel");
const hono = FRAMEWORK_APPS.find((app) => app.name === "hono") ?? expect.fail("there is no app of Hono");

let place: Awaited<ReturnType<typeof temporaryDirectory>>;
let platform: DockPlatform;
let theirs: Server;
const log = new Map<string, string>();

beforeAll(async () => {
  place = await temporaryDirectory();
  const buildLimits = {
    timeoutMs: 300_000,
    memoryBytes: 4 * 2 ** 30,
    diskBytes: 4 * 2 ** 30,
    concurrency: 2,
  };
  const more = { vercelCli: CLI, networkEnv: NETWORK_ENV, path: MACHINE_PATH, buildLimits };
  // Where it is: Signalbox is itself built on Hono, of the same version.
  const reference = async () => {
    theirs = await serve("sh", ["-c", `exec ${hono.start}`], resolve("test/apps/hono"), place.path);
  };
  const ours = async () => {
    platform = await startPlatform(systemClock, more);
    await Promise.all(["functions", "hono"].map(deploy));
  };
  await Promise.all([reference(), ours()]);
});
afterAll(async () => {
  await theirs?.stop();
  await platform?.close();
  await place?.[Symbol.asyncDispose]();
});

async function deploy(name: string): Promise<void> {
  const files = await filesOf(resolve("test/apps", name));
  const body = JSON.stringify({ name, files, target: "production" });
  const made = await platform.fetch("/v13/deployments", { method: "POST", body });
  const { id } = (await made.json()) as { id: string };
  log.set(name, await (await platform.fetch(`/v3/deployments/${id}/events?follow=1`)).text());
  const ended = (await (await platform.fetch(`/v13/deployments/${id}`)).json()) as Record<string, unknown>;
  expect(ended, log.get(name)).toMatchObject({ readyState: "READY", dock: { kind: "server" } });
}

async function filesOf(directory: string): Promise<{ file: string; data: string; encoding: "base64" }[]> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((path) => !/^(node_modules|\.vercel)\//.test(path));
  return Promise.all(
    paths.map(async (file) => ({
      file,
      data: await readFile(join(directory, file), "base64"),
      encoding: "base64" as const,
    })),
  );
}

/** As a visitor of the project's production host. `fetch` refuses to set Host. */
async function visit(project: string, question: Question): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const { path, method = "GET", body, headers = {} } = question;
  const options = {
    port: platform.gatewayPort,
    path,
    method,
    headers: { ...headers, host: `${project}.localhost` },
  };
  const request = http.request({ host: "127.0.0.1", agent: false, ...options }, async (response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const sent = Object.entries(response.headers).map(([name, value]): [string, string] => [
      name,
      String(value),
    ]);
    const bytes = Buffer.concat(chunks);
    const status = response.statusCode ?? 0;
    resolve(new Response(bytes.length > 0 ? bytes : null, { status, headers: sent }));
  });
  request.on("error", reject);
  request.end(body);
  return answerOf(await promise, "");
}

describe("built by the official CLI, through the dock", () => {
  test.each(
    FUNCTION_ANSWERS.map((one) => [`${one.method ?? "GET"} ${one.path}`, one] as const),
  )("functions: %s", async (_, { answer, ...question }) => {
    expect(await visit("functions", question)).toMatchObject(answer);
  });

  test.each(
    hono.questions.map((one) => [`${one.method ?? "GET"} ${one.path}`, one] as const),
  )("hono, as its own server answers: %s", async (_, question) => {
    expect(without(await visit("hono", question), question)).toEqual(
      without(await ask(theirs, question), question),
    );
  });

  test("its cron jobs are listed, and its build was the CLI's", async () => {
    const project = await (await platform.fetch("/v9/projects/functions")).json();
    expect(project).toMatchObject({
      crons: { definitions: [{ host: "functions.localhost", path: "/api/web", schedule: "0 5 * * *" }] },
    });
    expect(log.get("functions")).toContain("vercel build --prod");
  });
});
