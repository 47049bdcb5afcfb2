import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockPlatform, startPlatform } from "../support/dock-platform.ts";

/** What a release prints, in the three forms in which clients of Vercel ask for it. */
let platform: DockPlatform;
let project: { id: string; accountId: string };
let deployment: string;

/** Three lines of one request of the output server's form, and one of its own. */
const APP = `
  const http = require("node:http");
  http.createServer((request, response) => {
    const { url: path, method, headers } = request;
    if (path !== "/") {
      const line = { signalbox: "runtime", requestId: "req" + path, method, host: headers.host, path };
      const at = 1_700_000_000_000 + Number(path.slice(1));
      const own = { ...line, at, source: "serverless", status: 0 };
      console.log(JSON.stringify({ ...own, level: "info", message: "begun" }));
      console.log(JSON.stringify({ ...own, level: "error", message: "it broke" }));
      console.log(JSON.stringify({ ...line, at, level: "info", source: "request", status: 500, message: "" }));
    }
    response.end();
  }).listen(3000);
  console.log("Error: only a test");`;

beforeAll(async () => {
  platform = await startPlatform();
  const manifest = JSON.stringify({ scripts: { start: "node app.js" } });
  const files = [
    { file: "package.json", data: manifest },
    { file: "app.js", data: APP },
  ];
  const made = await call("POST", "/v13/deployments", { name: "diary", target: "production", files });
  deployment = made.body.id;
  await (await platform.fetch(`/v3/deployments/${deployment}/events?follow=1`)).text();
  project = (await call("GET", "/v9/projects/diary")).body;
  for (const path of ["/1", "/2", "/3"]) await platform.visit("diary.localhost", path);
});
afterAll(() => platform.close());

// biome-ignore lint/suspicious/noExplicitAny: answers are read as the wire gives them
async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await platform.fetch(path, init);
  return { status: answer.status, body: await answer.json() };
}

const ask = (more: object) =>
  call("POST", "/v1/observability/events?teamId=team_dock", {
    event: "vercel.log",
    scope: { ownerId: project.accountId, projectIds: [project.id] },
    timeRange: { start: "2023-01-01T00:00:00Z", end: "2024-01-01T00:00:00Z" },
    select: ["message", "level", "requestPath"],
    ...more,
  });

it("as events: selected fields, newest first, filtered, a page at a time", async () => {
  const first = await ask({ limit: 4 });
  expect(first).toMatchObject({
    status: 200,
    body: { pagination: { hasMore: true, nextCursor: expect.any(String) } },
  });
  expect(first.body.events[0]).toMatchObject({ requestPath: "/3", message: expect.any(String) });
  expect(first.body.events[0]).not.toHaveProperty("requestId");
  const rest = await ask({ limit: 4, cursor: first.body.pagination.nextCursor });
  expect(rest.body).toMatchObject({ pagination: { hasMore: false, nextCursor: null } });
  expect([...first.body.events, ...rest.body.events]).toHaveLength(6);
  const broken = await ask({ filter: `(deploymentId:"${deployment}") AND level:error AND requestPath:*2` });
  expect(broken.body.events).toMatchObject([{ message: "it broke", requestPath: "/2" }]);
  const foreign = await ask({ filter: 'deploymentId:"dpl_other"' });
  expect(foreign.body.events).toEqual([]);
  const requests = await ask({ event: "vercel.proxy_response", select: [], filter: "httpStatus >= 500" });
  expect(requests.body.events).toHaveLength(3);
});

it("a filter that makes no sense is refused with what is wrong, and so is a foreign cursor", async () => {
  const refused = await ask({ filter: "level:(error" });
  expect(refused).toMatchObject({ status: 400, body: { error: { code: "bad_request" } } });
  expect((await ask({ cursor: "elsewhere" })).status).toBe(400);
  expect((await ask({ scope: {} })).body.events).toEqual([]);
});

it("as requests: the lines of one together, others alone", async () => {
  const query = `projectId=${project.id}&startDate=0&endDate=4102444800000`;
  const { body } = await call("GET", `/api/logs/request-logs?${query}`);
  expect(body).toMatchObject({ hasMoreRows: false });
  expect(body.rows[0].logs).toEqual([
    { level: "error", message: "Error: only a test", messageTruncated: false },
  ]);
  expect(body.rows[1]).toMatchObject({
    requestId: "req/3",
    requestPath: "/3",
    statusCode: 500,
    environment: "production",
    logs: [{ message: "begun" }, { message: "it broke", level: "error" }],
    events: [{ source: "serverless" }],
  });
  expect((await call("GET", "/api/logs/request-logs?projectId=nobody")).status).toBe(404);
});

it("as lines of one deployment, which end when nobody follows", async () => {
  const path = `/v1/projects/diary/deployments/${deployment}/runtime-logs`;
  const text = await (await platform.fetch(path)).text();
  const rows = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(rows).toHaveLength(10);
  expect(rows).toContainEqual(
    expect.objectContaining({ requestPath: "/1", responseStatusCode: 500, source: "request", level: "info" }),
  );
  expect((await call("GET", `/v1/projects/diary/deployments/dpl_none/runtime-logs`)).status).toBe(404);
});

it("the deployment that serves production is named", async () => {
  const { body } = await call("GET", "/projects/diary/production-deployment");
  expect(body.deployment).toMatchObject({ id: deployment, readyState: "READY" });
});
