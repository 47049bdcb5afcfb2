import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@vercel/edge-config";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DockPlatform, startPlatform } from "../support/dock-platform.ts";

/** What the dock's resources do, seen from outside: by a visitor, by whoever takes a webhook, by an app. */
let platform: DockPlatform;
let hook: Hook;
beforeAll(async () => {
  platform = await startPlatform();
  hook = await startHook();
});
afterAll(async () => {
  await platform.close();
  hook.close();
});

// biome-ignore lint/suspicious/noExplicitAny: answers are read as the wire gives them
type Answer = { status: number; body: any };

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await platform.fetch(path, { method, ...sent });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

async function deploy(name: string, text: string, more: object = {}) {
  const files = [{ file: "index.html", data: text }];
  const made = await call("POST", "/v13/deployments", { name, files, target: "production", ...more });
  expect(made).toMatchObject({ status: 200 });
  await (await platform.fetch(`/v3/deployments/${made.body.id}/events?follow=1`)).text();
  return get(made.body.id);
}
const get = async (id: string) => (await call("GET", `/v13/deployments/${id}`)).body;
const text = async (host: string, path = "/") => (await platform.visit(host, path)).text;

type Hook = {
  readonly url: string;
  /** What came, in order. */
  readonly events: { type: string; payload: Record<string, unknown>; signature: string; raw: string }[];
  /** Answers the next `count` requests with 500. */
  failNext(count: number): void;
  /** Resolves once an event of this type has come. */
  until(type: string): Promise<void>;
  close(): void;
};

async function startHook(): Promise<Hook> {
  const events: Hook["events"] = [];
  let failing = 0;
  let heard = () => {};
  const server = http.createServer(async (req, res) => {
    let raw = "";
    for await (const chunk of req) raw += chunk;
    if (failing > 0) {
      failing -= 1;
      res.writeHead(500).end();
      return;
    }
    const signature = String(req.headers["x-vercel-signature"]);
    events.push({ ...JSON.parse(raw), signature, raw });
    res.end();
    heard();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    events,
    failNext: (count) => {
      failing = count;
    },
    async until(type) {
      while (!events.some((event) => event.type === type)) {
        await new Promise<void>((resolve) => {
          heard = resolve;
        });
      }
    },
    close: () => server.close(),
  };
}

describe("checks of a project", () => {
  const check = (name: string, more: object = {}) =>
    call("POST", `/v2/projects/${name}/checks`, { name: "health", isRerequestable: true, ...more });
  const runs = async (id: string) => (await call("GET", `/v2/deployments/${id}/check-runs`)).body.runs;
  const end = (id: string, run: string, conclusion: string) =>
    call("PATCH", `/v2/deployments/${id}/check-runs/${run}`, { status: "completed", conclusion });

  it("hold production until their run has succeeded", async () => {
    await deploy("held", "old");
    await check("held");
    const { id } = await deploy("held", "new");
    const pending = { "deployment-alias": { state: "pending", startedAt: expect.any(Number) } };
    expect(await get(id)).toMatchObject({ readyState: "READY", aliasAssigned: false, checks: pending });
    expect(await text("held.localhost")).toBe("old");
    const [run] = await runs(id);
    expect((await end(id, run.id, "succeeded")).status).toBe(200);
    expect(await text("held.localhost")).toBe("new");
    const passed = { "deployment-alias": { state: "succeeded", completedAt: expect.any(Number) } };
    expect(await get(id)).toMatchObject({
      aliasAssigned: true,
      checks: passed,
      readySubstate: "PROMOTED",
      alias: ["held.localhost"],
    });
  });

  it("that fail leave production where it is, until another run succeeds", async () => {
    await deploy("refused", "old");
    await check("refused");
    const { id } = await deploy("refused", "new");
    const [first] = await runs(id);
    await end(id, first.id, "failed");
    expect(await get(id)).toMatchObject({
      aliasAssigned: false,
      aliasError: { code: "checks_failed" },
      checks: { "deployment-alias": { state: "failed" } },
    });
    expect(await text("refused.localhost")).toBe("old");
    const again = await call("POST", `/v2/deployments/${id}/check-runs`, { checkId: first.checkId });
    expect(await get(id)).toMatchObject({
      aliasError: null,
      checks: { "deployment-alias": { state: "pending" } },
    });
    await end(id, again.body.id, "succeeded");
    expect(await text("refused.localhost")).toBe("new");
  });

  it("refuse promotes too where they block promotions, and let rollbacks through", async () => {
    const { id: old } = await deploy("promoted", "old");
    await check("promoted", { blocks: "deployment-promotion" });
    const { id } = await deploy("promoted", "new", { autoAssignCustomDomains: false });
    const refused = await call("POST", `/v10/projects/promoted/promote/${id}`, {});
    expect(refused).toMatchObject({ status: 409, body: { error: { code: "checks_pending" } } });
    const [run] = await runs(id);
    await end(id, run.id, "succeeded");
    expect(await text("promoted.localhost")).toBe("old");
    expect((await call("POST", `/v10/projects/promoted/promote/${id}`, {})).status).toBe(201);
    expect(await text("promoted.localhost")).toBe("new");
    expect((await call("POST", `/v9/projects/promoted/rollback/${old}`, {})).status).toBe(201);
  });

  it("that take too long have failed", async () => {
    await deploy("late", "old");
    await check("late", { timeout: 1 });
    const webhook = { url: hook.url, events: ["deployment.checks.failed"], projectIds: ["late"] };
    await call("POST", "/v1/webhooks", webhook);
    const { id } = await deploy("late", "new");
    await hook.until("deployment.checks.failed");
    expect(await get(id)).toMatchObject({ aliasError: { code: "checks_failed" } });
    expect((await runs(id))[0]).toMatchObject({ status: "completed", conclusion: "timeout" });
    expect(await text("late.localhost")).toBe("old");
  });

  it("that do not block hold nothing; previews are none of production's business", async () => {
    await call("POST", "/v11/projects", { name: "free" });
    await check("free", { blocks: "none" });
    await check("free", { name: "prod" });
    const preview = await deploy("free", "preview", { target: "preview" });
    expect((await runs(preview.id)).length).toBe(0);
    expect(preview.aliasAssigned).toBe(true);
  });
});

describe("checks of one deployment", () => {
  it("hold its aliases where they are there before it is ready, until they succeed", async () => {
    await deploy("single", "old");
    const dir = await mkdtemp(join(tmpdir(), "dock-check-"));
    const build = `until [ -e ${dir}/go ]; do sleep 0.05; done; mkdir out && cp new.html out/index.html`;
    const tree = { "package.json": JSON.stringify({ scripts: { build } }), "new.html": "new" };
    const files = Object.entries(tree).map(([file, data]) => ({ file, data }));
    const projectSettings = { installCommand: "", framework: null, outputDirectory: "out" };
    const body = { name: "single", files, target: "production", projectSettings };
    const { body: made } = await call("POST", "/v13/deployments", body);
    const blocking = { name: "vitals", blocking: true, rerequestable: true };
    const { body: check } = await call("POST", `/v1/deployments/${made.id}/checks`, blocking);
    await writeFile(join(dir, "go"), "");
    await (await platform.fetch(`/v3/deployments/${made.id}/events?follow=1`)).text();
    expect(await get(made.id)).toMatchObject({
      readyState: "READY",
      aliasAssigned: false,
      checksState: "running",
    });
    expect(await text("single.localhost")).toBe("old");
    const path = `/v1/deployments/${made.id}/checks/${check.id}`;
    await call("PATCH", path, { status: "completed", conclusion: "failed" });
    expect(await get(made.id)).toMatchObject({ checksConclusion: "failed", aliasAssigned: false });
    expect((await call("POST", `${path}/rerequest`)).status).toBe(200);
    await call("PATCH", path, { status: "completed", conclusion: "succeeded" });
    expect(await text("single.localhost")).toBe("new");
    await rm(dir, { recursive: true });
  });
});

describe("webhooks", () => {
  it("are told what happens, in order, signed over the raw body, and again after a failure", async () => {
    const events = ["project.created", "deployment.created", "deployment.ready", "deployment.succeeded"];
    const more = [
      "deployment.promoted",
      "deployment.rollback",
      "project.env-variable.created",
      "project.removed",
    ];
    const made = await call("POST", "/v1/webhooks", { url: hook.url, events: [...events, ...more] });
    hook.events.length = 0;
    hook.failNext(1);
    await call("POST", "/v11/projects", { name: "told" });
    const one = await deploy("told", "one", { meta: { requestId: "r1" } });
    await deploy("told", "two");
    await call("POST", `/v9/projects/told/rollback/${one.id}`, {});
    await call("POST", "/v10/projects/told/env", {
      key: "A",
      value: "hidden",
      type: "plain",
      target: ["preview"],
    });
    await call("DELETE", "/v9/projects/told");
    await hook.until("project.removed");
    const deployment = [
      "deployment.created",
      "deployment.ready",
      "deployment.succeeded",
      "deployment.promoted",
    ];
    // Others of this file may still be under way.
    const told = hook.events.filter(
      ({ payload }) => (payload.project as { id: string }).id === one.projectId,
    );
    expect(told.map((event) => event.type)).toEqual([
      "project.created",
      ...deployment,
      ...deployment,
      "deployment.rollback",
      "project.env-variable.created",
      "project.removed",
    ]);
    expect(told[1]?.payload).toMatchObject({
      team: { id: "team_dock" },
      target: "production",
      deployment: { id: one.id, name: "told", url: one.url, meta: { requestId: "r1" } },
      project: { id: one.projectId },
    });
    for (const { raw, signature } of hook.events) {
      expect(signature).toBe(createHmac("sha1", made.body.secret).update(raw).digest("hex"));
      expect(raw).not.toContain("hidden");
    }
    await call("DELETE", `/v1/webhooks/${made.body.id}`);
  });

  it("are told after a restart of the dock what did not arrive before", async () => {
    const { body: made } = await call("POST", "/v1/webhooks", { url: hook.url, events: ["project.renamed"] });
    await call("POST", "/v11/projects", { name: "before" });
    hook.failNext(1);
    await call("PATCH", "/v9/projects/before", { name: "after" });
    await platform.restartDock();
    await hook.until("project.renamed");
    const { payload } = hook.events.find((event) => event.type === "project.renamed") ?? {};
    expect(payload).toMatchObject({ name: "after", previousName: "before" });
    await call("DELETE", `/v1/webhooks/${made.id}`);
  });

  it("are asked for by an address of the web, and by names of events", async () => {
    expect(
      (await call("POST", "/v1/webhooks", { url: "ftp://x.test", events: ["deployment.ready"] })).status,
    ).toBe(400);
    expect((await call("POST", "/v1/webhooks", { url: hook.url, events: ["nonsense"] })).status).toBe(400);
  });
});

describe("hosts of a project", () => {
  it("follow production, a branch and a custom environment, and redirect", async () => {
    await deploy("hosts", "one");
    await call("POST", "/v9/projects/hosts/custom-environments", {
      slug: "staging",
      branchMatcher: { type: "startsWith", pattern: "release/" },
    });
    const add = (body: object) => call("POST", "/v10/projects/hosts/domains", body);
    expect((await add({ name: "hosts.test" })).status).toBe(200);
    expect(await text("hosts.test")).toBe("one");
    await add({ name: "next.hosts.test", gitBranch: "next" });
    await add({ name: "staging.hosts.test", customEnvironmentId: "staging" });
    await add({ name: "www.hosts.test", redirect: "hosts.test", redirectStatusCode: 308 });
    await deploy("hosts", "two");
    await deploy("hosts", "next", { target: "preview", gitMetadata: { commitRef: "next" } });
    await deploy("hosts", "staged", { target: undefined, gitSource: { ref: "release/1", type: "github" } });
    expect(await text("hosts.test")).toBe("two");
    expect(await text("next.hosts.test")).toBe("next");
    expect(await text("staging.hosts.test")).toBe("staged");
    expect(await platform.visit("www.hosts.test", "/a?b=c")).toMatchObject({
      status: 308,
      location: "//hosts.test/a?b=c",
    });
    await deploy("hosts-other", "other");
    const taken = await call("POST", "/v10/projects/hosts-other/domains", { name: "hosts.test" });
    expect(taken).toMatchObject({ status: 409, body: { error: { code: "domain_already_in_use" } } });
    await call("DELETE", "/v9/projects/hosts/domains/hosts.test");
    expect((await platform.visit("hosts.test")).status).toBe(404);
  });

  it("follow a rollback, a rename and a restart of the dock", async () => {
    const { id } = await deploy("moving", "one");
    await call("POST", "/v10/projects/moving/domains", { name: "moving.test" });
    await deploy("moving", "two");
    await call("POST", `/v9/projects/moving/rollback/${id}`, {});
    expect(await text("moving.test")).toBe("one");
    expect((await call("PATCH", "/v9/projects/moving", { name: "moved" })).status).toBe(200);
    expect(await text("moved.localhost")).toBe("one");
    expect((await platform.visit("moving.localhost")).status).toBe(404);
    await platform.restartDock();
    expect(await text("moving.test")).toBe("one");
    await call("DELETE", "/v9/projects/moved");
    for (const host of ["moving.test", "moved.localhost"])
      expect((await platform.visit(host)).status).toBe(404);
  });
});

describe("protection", () => {
  it("asks for a bypass secret where Vercel would, and new deployments know theirs", async () => {
    const { url } = await deploy("vault", "inside");
    const bypass = await call("PATCH", "/v1/projects/vault/protection-bypass", {});
    const [secret = ""] = Object.keys(bypass.body.protectionBypass);
    const deploymentType = "prod_deployment_urls_and_all_previews";
    await call("PATCH", "/v9/projects/vault", { ssoProtection: { deploymentType } });
    expect((await platform.visit(url)).status).toBe(401);
    expect((await platform.visit("vault.localhost")).status).toBe(200);
    const header = { "x-vercel-protection-bypass": secret };
    expect(await platform.visit(url, "/", header)).toMatchObject({ status: 200, text: "inside" });
    expect((await platform.visit(url, `/?x-vercel-protection-bypass=${secret}`)).status).toBe(200);
    expect((await platform.visit(url, "/", { "x-vercel-protection-bypass": "wrong" })).status).toBe(401);
    await call("PATCH", "/v9/projects/vault", { ssoProtection: null });
    expect((await platform.visit(url)).status).toBe(200);
    const rows = await platform.pool.query("select sealed from dock.bypass_secrets");
    for (const row of rows.rows) expect(row.sealed.toString("latin1")).not.toContain(secret);
  });

  it("a paused project answers 503 at all of its hosts", async () => {
    const { url } = await deploy("paused", "awake");
    await call("POST", "/v1/projects/paused/pause");
    for (const host of [url, "paused.localhost"]) expect((await platform.visit(host)).status).toBe(503);
    await call("POST", "/v1/projects/paused/unpause");
    expect(await text("paused.localhost")).toBe("awake");
  });

  it("a request for another team changes nothing", async () => {
    const refused = await call("POST", "/v11/projects?teamId=team_other", { name: "elsewhere" });
    expect(refused).toMatchObject({ status: 403, body: { error: { code: "forbidden" } } });
    expect((await call("GET", "/v9/projects/elsewhere")).status).toBe(404);
    expect((await call("GET", "/v2/user?slug=dock")).status).toBe(200);
  });
});

describe("edge configs", () => {
  it("are read by Vercel's own client", async () => {
    const items = { greeting: "hello", flags: { dark: true } };
    const { body: config } = await call("POST", "/v1/edge-config", { slug: "site-flags", items });
    const { body: made } = await call("POST", `/v1/edge-config/${config.id}/token`, { label: "app" });
    const client = createClient(`${platform.url}/${config.id}?token=${made.token}`);
    expect(await client.get("greeting")).toBe("hello");
    expect(await client.get("missing")).toBeUndefined();
    expect(await client.has("flags")).toBe(true);
    expect(await client.has("missing")).toBe(false);
    expect(await client.getAll()).toEqual(items);
    expect(await client.getAll(["flags"])).toEqual({ flags: items.flags });
    expect(await client.digest()).toBe(config.digest);
    const changes = [
      { operation: "upsert", key: "greeting", value: "hi" },
      { operation: "delete", key: "flags" },
    ];
    expect((await call("PATCH", `/v1/edge-config/${config.id}/items`, { items: changes })).status).toBe(200);
    expect(await client.getAll()).toEqual({ greeting: "hi" });
    const stranger = createClient(`${platform.url}/${config.id}?token=wrong`);
    await expect(stranger.get("greeting")).rejects.toThrow("Unauthorized");
    // The token opens this edge config and nothing else.
    const headers = { authorization: `Bearer ${made.token}` };
    expect((await platform.fetch("/v9/projects", { headers })).status).toBe(403);
  });
});

describe("shared variables and automatic releases", () => {
  it("a shared variable reaches the projects that it is linked to, and the project's own one wins", async () => {
    const { body: project } = await call("POST", "/v11/projects", { name: "env-shared" });
    const target = ["production"];
    const evs = [
      { key: "SHARED", value: "team" },
      { key: "OWN", value: "team" },
    ];
    await call("POST", "/v1/env", { evs, type: "encrypted", target, projectId: [project.id] });
    await call("POST", "/v10/projects/env-shared/env", {
      key: "OWN",
      value: "project",
      type: "plain",
      target,
    });
    const { body } = await call("GET", "/v3/env/pull/env-shared/production");
    expect(body.env).toEqual({ SHARED: "team", OWN: "project" });
  });

  it("an automatic rolling release goes on by itself after the duration of a stage", async () => {
    await deploy("auto", "stable");
    const canary = await deploy("auto", "canary", { autoAssignCustomDomains: false });
    const stages = [{ targetPercentage: 10, duration: 0.01 }, { targetPercentage: 100 }];
    const config = { enabled: true, advancementType: "automatic", stages };
    await call("PATCH", "/v1/projects/auto/rolling-release/config", config);
    const completed = { url: hook.url, events: ["project.rolling-release.completed"], projectIds: ["auto"] };
    await call("POST", "/v1/webhooks", completed);
    await call("POST", "/v1/projects/auto/rolling-release/start", { canaryDeploymentId: canary.id });
    await hook.until("project.rolling-release.completed");
    expect(await text("auto.localhost")).toBe("canary");
  });
});
