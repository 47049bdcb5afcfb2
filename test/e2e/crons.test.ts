import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/foundation/clock.ts";
import { type DockPlatform, startPlatform } from "../support/dock-platform.ts";

/** The dock makes the requests of cron jobs by its own clock, which the tests move forward. */
let aheadMs = 0;
const clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + aheadMs) };
let platform: DockPlatform;

/** Answers with what it was asked before, as JSON. */
const APP = `
  const seen = [];
  require("node:http").createServer((request, response) => {
    if (request.url === "/seen") return response.end(JSON.stringify(seen));
    // The dock looks whether it is up.
    if (request.url === "/") return response.end();
    const { host, authorization = "" } = request.headers;
    seen.push({ path: request.url, method: request.method, host, authorization, agent: request.headers["user-agent"] });
    response.statusCode = request.url === "/broken" ? 500 : 200;
    response.end("done");
  }).listen(3000);`;

beforeAll(async () => {
  platform = await startPlatform(clock);
});
afterAll(() => platform.close());

type Seen = { path: string; method: string; host: string; authorization: string; agent: string };

async function call(method: string, path: string, body?: unknown) {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await platform.fetch(path, init);
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

/** Deploys the app to production with these jobs. */
async function deploy(name: string, version: string, crons: readonly object[], env: object = {}) {
  const manifest = JSON.stringify({ version, scripts: { start: "node app.js" } });
  const files = [
    { file: "package.json", data: manifest },
    { file: "app.js", data: APP },
  ];
  const made = await call("POST", "/v13/deployments", { name, target: "production", files, env });
  const { id } = made.body;
  await (await platform.fetch(`/v3/deployments/${id}/events?follow=1`)).text();
  await platform.pool.query(
    `update dock.artifacts set crons = $1 where key = (select artifact from dock.deployments where id = $2)`,
    [JSON.stringify(crons), id],
  );
  return id as string;
}

const seenBy = async (name: string): Promise<Seen[]> =>
  JSON.parse((await platform.visit(`${name}.localhost`, "/seen")).text);

/** Moves the clock to the end of the minute and resolves with the first line of the log that matches. */
async function nextMinute(project: string, deployment: string, pattern: RegExp): Promise<string> {
  const path = `/v1/projects/${project}/deployments/${deployment}/runtime-logs?format=lines`;
  const stopped = new AbortController();
  const log = await platform.fetch(path, { signal: stopped.signal });
  aheadMs += 60_000 - (clock.now().getTime() % 60_000) - 50;
  let text = "";
  for await (const chunk of log.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    if (pattern.test(text)) break;
  }
  stopped.abort();
  return text;
}

it("a job is asked for at its minute, with the secret and production's host, and says so in the log", async () => {
  const crons = [
    { path: "/tidy?all=1", schedule: "* * * * *" },
    { path: "/broken", schedule: "* * * * *" },
    { path: "/never", schedule: "0 0 31 2 *" },
  ];
  const id = await deploy("clockwork", "1", crons, { CRON_SECRET: "open-sesame" });
  await platform.restartDock();
  const log = await nextMinute(
    "clockwork",
    id,
    /job \/tidy[\s\S]*job \/broken|job \/broken[\s\S]*job \/tidy/,
  );
  expect(log).toMatch(/"level":"info"[^\n]*job \/tidy\?all=1 [^\n]*answered 200/);
  expect(log).toMatch(/"level":"error"[^\n]*job \/broken [^\n]*answered 500/);
  const seen = await seenBy("clockwork");
  expect(seen).toHaveLength(2);
  expect(seen).toContainEqual({
    path: "/tidy?all=1",
    method: "GET",
    host: "clockwork.localhost",
    authorization: "Bearer open-sesame",
    agent: "vercel-cron/1.0",
  });
});

it("a restart in its minute does not run it again, and a minute without a dock is not made up for", async () => {
  const id = await deploy("patient", "1", [{ path: "/once", schedule: "* * * * *" }]);
  await platform.restartDock();
  await nextMinute("patient", id, /\/once/);
  await platform.restartDock();
  await platform.withoutDock(async () => {
    aheadMs += 3 * 60_000;
  });
  await nextMinute("patient", id, /\/once/);
  expect((await seenBy("patient")).map((one) => one.path)).toEqual(["/once", "/once"]);
});

it("jobs are switched off and on for a project, and run by hand", async () => {
  const id = await deploy("moody", "1", [{ path: "/tick", schedule: "* * * * *" }]);
  const witness = await deploy("steady", "1", [{ path: "/tick", schedule: "* * * * *" }]);
  await platform.restartDock();
  const off = await call("PATCH", "/v1/projects/moody/crons", { enabled: false });
  expect(off).toMatchObject({ status: 200, body: { crons: { disabledAt: expect.any(Number) } } });
  // "moody" was deployed first, so its jobs were looked at before those of "steady" in the same minute.
  await nextMinute("steady", witness, /\/tick/);
  expect(await seenBy("moody")).toEqual([]);
  const on = await call("PATCH", "/v1/projects/moody/crons", { enabled: true });
  expect(on.body.crons).toMatchObject({ disabledAt: null, deploymentId: id });
  const stopped = new AbortController();
  const path = `/v1/projects/moody/deployments/${id}/runtime-logs?follow=1`;
  const log = await platform.fetch(path, { signal: stopped.signal });
  expect(await call("POST", "/v1/projects/moody/crons/run", { path: "/tick" })).toMatchObject({
    status: 200,
  });
  for await (const _ of log.body ?? []) break;
  stopped.abort();
  expect((await seenBy("moody")).map((one) => one.path)).toContain("/tick");
  expect(await call("POST", "/v1/projects/moody/crons/run", { path: "/other" })).toMatchObject({
    status: 404,
  });
});

it("nothing of a paused project runs, by the clock or by hand", async () => {
  await deploy("resting", "1", [{ path: "/tick", schedule: "* * * * *" }]);
  const witness = await deploy("waking", "1", [{ path: "/tick", schedule: "* * * * *" }]);
  await platform.restartDock();
  await call("POST", "/v1/projects/resting/pause");
  expect(await call("POST", "/v1/projects/resting/crons/run", { path: "/tick" })).toMatchObject({
    status: 409,
  });
  // "resting" was deployed first, so its jobs were looked at before those of "waking" in the same minute.
  await nextMinute("waking", witness, /\/tick/);
  await call("POST", "/v1/projects/resting/unpause");
  expect(await seenBy("resting")).toEqual([]);
});

it("a rollback brings the jobs of the old deployment back", async () => {
  const first = await deploy("forth", "1", [{ path: "/old", schedule: "0 4 * * *" }]);
  const second = await deploy("forth", "2", [{ path: "/new", schedule: "0 5 * * *" }]);
  await platform.restartDock();
  const now = async () => (await call("GET", "/v9/projects/forth")).body.crons;
  expect(await now()).toMatchObject({
    deploymentId: second,
    definitions: [{ path: "/new", schedule: "0 5 * * *", host: "forth.localhost" }],
  });
  await call("POST", `/v9/projects/forth/rollback/${first}`, {});
  expect(await now()).toMatchObject({ deploymentId: first, definitions: [{ path: "/old" }] });
});
