import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockPlatform, startPlatform } from "../support/dock-platform.ts";

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
  expect((await call("POST", "/v10/projects/waiting/domains", { name: "wanted.localhost" })).status).toBe(200);
  expect((await create("wanted")).status).toBe(409);
  const { url } = await deploy("fixed", "fixed");
  const label = url.split(".")[0];
  expect((await create(label)).status).toBe(409);
  for (const name of ["app.one", "wanted", label])
    expect((await call("PATCH", "/v9/projects/thief", { name })).status).toBe(409);
  expect((await platform.visit(url)).text).toBe("fixed");
});

it("a branch whose host is another project's gets none", async () => {
  await create("app-git-next");
  const preview = { target: "preview", gitMetadata: { commitRef: "next" } };
  expect(await deploy("app", "branch", preview)).toMatchObject({ readyState: "READY", alias: [] });
  await deploy("app-git-next", "project");
  expect((await platform.visit("app-git-next.localhost")).text).toBe("project");
});
