import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockPlatform, startPlatform } from "../support/dock-platform.ts";
import { temporaryDirectory } from "../support/trees.ts";

/** What one project may not do to another. */
let platform: DockPlatform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.close());

// biome-ignore lint/suspicious/noExplicitAny: answers are read as the wire gives them
type Answer = { status: number; body: any };

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await platform.fetch(path, { method, ...sent });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

const create = (name: string) => call("POST", "/v11/projects", { name });

async function deploy(name: string, text: string, more: object = {}) {
  const files = [{ file: "index.html", data: text }];
  const made = await call("POST", "/v13/deployments", { name, files, target: "production", ...more });
  expect(made).toMatchObject({ status: 200 });
  await (await platform.fetch(`/v3/deployments/${made.body.id}/events?follow=1`)).text();
  return (await call("GET", `/v13/deployments/${made.body.id}`)).body;
}

it("a project's own host is kept for it before its first deployment", async () => {
  const { id } = await deploy("thief", "thief");
  await create("victim");
  expect((await call("POST", `/v2/deployments/${id}/aliases`, { alias: "victim" })).status).toBe(409);
  const domain = await call("POST", "/v10/projects/thief/domains", { name: "victim.localhost" });
  expect(domain).toMatchObject({ status: 409, body: { error: { code: "domain_already_in_use" } } });
  await deploy("victim", "mine");
  expect((await platform.visit("victim.localhost")).text).toBe("mine");
});

it("a name whose host is another project's is refused, to begin with and as a new one", async () => {
  await create("app-one");
  expect((await create("app.one")).status).toBe(409);
  await create("waiting");
  // Nothing follows it yet, so it points nowhere.
  expect((await call("POST", "/v10/projects/waiting/domains", { name: "wanted.localhost" })).status).toBe(
    200,
  );
  expect((await create("wanted")).status).toBe(409);
  const { url } = await deploy("fixed", "fixed");
  const label = url.split(".")[0];
  expect((await create(label)).status).toBe(409);
  for (const name of ["app.one", "wanted", label])
    expect((await call("PATCH", "/v9/projects/thief", { name })).status).toBe(409);
  expect((await platform.visit(url)).text).toBe("fixed");
});

it("a deployment that is checked while its project is renamed serves the new name", async () => {
  await deploy("before", "first");
  await call("POST", "/v2/projects/before/checks", { name: "health" });
  const { id } = await deploy("before", "second");
  await call("PATCH", "/v9/projects/before", { name: "after" });
  const { body } = await call("GET", `/v2/deployments/${id}/check-runs`);
  const path = `/v2/deployments/${id}/check-runs/${body.runs[0].id}`;
  await call("PATCH", path, { status: "completed", conclusion: "succeeded" });
  expect((await platform.visit("after.localhost")).text).toBe("second");
  expect((await platform.visit("before.localhost")).status).toBe(404);
});

it("a branch whose host is another project's gets none", async () => {
  await create("app-git-next");
  const preview = { target: "preview", gitMetadata: { commitRef: "next" } };
  expect(await deploy("app", "branch", preview)).toMatchObject({ readyState: "READY", alias: [] });
  await deploy("app-git-next", "project");
  expect((await platform.visit("app-git-next.localhost")).text).toBe("project");
});

it("a webhook that was removed meanwhile does not make fail what it would have been told", async () => {
  const { body: hook } = await call("POST", "/v1/webhooks", {
    url: "http://127.0.0.1:1/",
    events: ["project.created"],
  });
  // As a removal that is committed while another request still has it in mind.
  await platform.pool.query("delete from dock.webhooks where id = $1", [hook.id]);
  expect((await create("untold")).status).toBe(200);
});

it("what waits for a webhook that takes nothing is bounded", async () => {
  const events = ["project.created"];
  const { body: hook } = await call("POST", "/v1/webhooks", { url: "http://127.0.0.1:1/", events });
  await platform.pool.query(
    `insert into dock.webhook_deliveries (webhook_id, event, body, created_at, next_at)
     select $1, 'project.created', '{}', now(), now() from generate_series(1, 10050)`,
    [hook.id],
  );
  await create("unheard");
  const waiting = async () => {
    const { rows } = await platform.pool.query("select count(*)::int as n from dock.webhook_deliveries");
    return rows[0].n;
  };
  await expect.poll(waiting, { timeout: 20_000 }).toBeLessThanOrEqual(10_000);
  await call("DELETE", `/v1/webhooks/${hook.id}`);
});

/** Comes up at once the first time, and after that when there is a file `go`. */
const SLOW_AGAIN = `
  const fs = require("node:fs");
  const { PLACE } = process.env;
  const isFirst = !fs.existsSync(PLACE + "/first");
  fs.writeFileSync(PLACE + (isFirst ? "/first" : "/again"), "");
  const listen = () => require("node:http").createServer((_, answer) => answer.end("canary")).listen(process.env.PORT);
  const wait = () => fs.existsSync(PLACE + "/go") ? listen() : setTimeout(wait, 20);
  if (isFirst) listen(); else wait();`;

it("a promote that is queued while a rolling release is completed is not forgotten", async () => {
  await using place = await temporaryDirectory();
  await deploy("rolled", "stable");
  const later = { autoAssignCustomDomains: false };
  const files = [
    { file: "package.json", data: JSON.stringify({ scripts: { start: "node app.js" } }) },
    { file: "app.js", data: SLOW_AGAIN },
  ];
  const { id: canary } = await deploy("rolled", "", { ...later, files, env: { PLACE: place.path } });
  const { id: urgent } = await deploy("rolled", "urgent", later);
  const stages = [{ targetPercentage: 10 }, { targetPercentage: 100 }];
  const config = { enabled: true, advancementType: "manual-approval", stages };
  await call("PATCH", "/v1/projects/rolled/rolling-release/config", config);
  const start = await call("POST", "/v1/projects/rolled/rolling-release/start", {
    canaryDeploymentId: canary,
  });
  expect(start.status).toBe(200);
  await platform.stopApp(canary);
  const complete = call("POST", "/v1/projects/rolled/rolling-release/complete", {
    canaryDeploymentId: canary,
  });
  await expect.poll(() => existsSync(join(place.path, "again")), { timeout: 20_000 }).toBe(true);
  expect((await call("POST", `/v10/projects/rolled/promote/${urgent}`, {})).status).toBe(202);
  await writeFile(join(place.path, "go"), "");
  expect((await complete).status).toBe(200);
  expect((await platform.visit("rolled.localhost")).text).toBe("urgent");
});
