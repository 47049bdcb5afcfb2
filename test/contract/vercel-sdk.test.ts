import { createHash } from "node:crypto";
import { Vercel } from "@vercel/sdk";
import { SDKError } from "@vercel/sdk/models/sdkerror.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DockPlatform, startPlatform, TOKEN } from "../support/dock-platform.ts";

/**
 * The official SDK, unmodified, against a real dock with a real Postgres and a real gateway: what a client of Vercel
 * relies on must hold here. The SDK validates every answer, so that a call that resolves had the right shape.
 */
let platform: DockPlatform;
let vercel: Vercel;
beforeAll(async () => {
  platform = await startPlatform();
  vercel = new Vercel({ bearerToken: TOKEN, serverURL: platform.url });
});
afterAll(() => platform.close());

const sha1 = (text: string) => createHash("sha1").update(text).digest("hex");
type DeployOptions = {
  target?: "production";
  staged?: boolean;
  meta?: Record<string, string>;
  branch?: string;
};

async function deploy(name: string, text: string, options: DeployOptions = {}) {
  const files = [{ file: "index.html", sha: sha1(text), size: text.length }];
  const body = {
    name,
    files,
    ...(options.target ? { target: options.target } : {}),
    ...(options.staged ? { autoAssignCustomDomains: false } : {}),
    ...(options.meta ? { meta: options.meta } : {}),
    ...(options.branch ? { gitMetadata: { commitRef: options.branch, commitSha: sha1(text) } } : {}),
  };
  const query = options.staged ? "" : "?skipAutoDetectionConfirmation=1";
  const first = await raw("POST", `/v13/deployments${query}`, body);
  if (first.status === 400) {
    for (const digest of first.body.error.missing) await upload(digest, text);
    const second = await raw("POST", `/v13/deployments${query}`, body);
    return ready(second.body.id);
  }
  return ready(first.body.id);
}

async function upload(digest: string, text: string) {
  const bytes = new TextEncoder().encode(text);
  await vercel.deployments.uploadFile({
    xVercelDigest: digest,
    contentLength: bytes.length,
    requestBody: new Blob([bytes]),
  });
}

/** Follows the log to its end, as the official CLI does: no polling. */
async function ready(id: string) {
  await (await platform.fetch(`/v3/deployments/${id}/events?follow=1`)).text();
  const deployment = await vercel.deployments.getDeployment({ idOrUrl: id });
  if (!("url" in deployment)) throw new Error("the SDK dropped the url");
  return deployment;
}

// biome-ignore lint/suspicious/noExplicitAny: answers are read as the wire gives them
async function raw(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await platform.fetch(path, {
    method,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

async function statusOf(call: Promise<unknown>): Promise<number> {
  const error = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof SDKError || (error instanceof Error && "statusCode" in error)) {
    return Number((error as { statusCode: number }).statusCode);
  }
  throw new Error(`the call did not fail with an HTTP status: ${String(error)}`);
}

describe("projects", () => {
  it("are created, found by id and by name, listed, updated and deleted", async () => {
    const made = await vercel.projects.createProject({
      requestBody: { name: "catalogue", buildCommand: "true" },
    });
    expect(await raw("GET", `/v9/projects/${made.id}`)).toMatchObject({
      status: 200,
      body: { name: "catalogue" },
    });
    expect((await vercel.projects.getProject({ idOrName: "catalogue" })).id).toBe(made.id);
    expect(JSON.stringify(await vercel.projects.getProjects({ search: "catal" }))).toContain(made.id);
    const updated = await vercel.projects.updateProject({
      idOrName: made.id,
      requestBody: { outputDirectory: "out", autoAssignCustomDomains: false },
    });
    expect(updated).toMatchObject({
      outputDirectory: "out",
      buildCommand: "true",
      autoAssignCustomDomains: false,
    });
    await vercel.projects.deleteProject({ idOrName: made.id });
    expect(await statusOf(vercel.projects.getProject({ idOrName: made.id }))).toBe(404);
  });

  it("a name that is taken is refused, as is one that is none", async () => {
    await vercel.projects.createProject({ requestBody: { name: "taken" } });
    expect(await statusOf(vercel.projects.createProject({ requestBody: { name: "taken" } }))).toBe(409);
    expect(await statusOf(vercel.projects.createProject({ requestBody: { name: "No Spaces" } }))).toBe(400);
  });

  it("have custom environments", async () => {
    await vercel.projects.createProject({ requestBody: { name: "staged-shop" } });
    const made = await vercel.environment.createCustomEnvironment({
      idOrName: "staged-shop",
      requestBody: { slug: "staging" },
    });
    const all = await vercel.environment.getProjectsByIdOrNameCustomEnvironments({ idOrName: "staged-shop" });
    expect(all.environments.map((one) => one.slug)).toEqual(["staging"]);
    const one = { idOrName: "staged-shop", environmentSlugOrId: "staging" };
    expect((await vercel.environment.getCustomEnvironment(one)).id).toBe(made.id);
  });

  it("the user and the team are there for clients that ask for them first", async () => {
    expect(await vercel.user.getAuthUser()).toMatchObject({ user: { username: "dock" } });
    expect((await vercel.teams.getTeams({})).teams).toHaveLength(1);
    expect(await raw("GET", "/teams/team_dock")).toMatchObject({ status: 200, body: { slug: "dock" } });
  });
});

describe("deployments", () => {
  it("name the files that are missing, take them, and get ready with their URL", async () => {
    const files = [{ file: "index.html", sha: sha1("hello"), size: 5 }];
    const refused = await raw("POST", "/v13/deployments", { name: "site", files });
    expect(refused).toMatchObject({
      status: 400,
      body: { error: { code: "missing_files", missing: [sha1("hello")] } },
    });
    await upload(sha1("hello"), "hello");
    const made = await vercel.deployments.createDeployment({ requestBody: { name: "site", files } });
    const done = await ready(made.id);
    expect(done).toMatchObject({ readyState: "READY", aliasAssigned: true, type: "LAMBDAS" });
    expect(await platform.visit(done.url)).toEqual({ status: 200, text: "hello" });
    // The SDK reports the URL already for the answer to the creation.
    expect(made).toHaveProperty("url", done.url);
    const byUrl = await vercel.deployments.getDeployment({ idOrUrl: `https://${done.url}` });
    expect(byUrl.id).toBe(made.id);
  });

  it("a body that is not what its digest says is refused", async () => {
    expect(await statusOf(upload(sha1("one thing"), "another"))).toBe(400);
  });

  it("take small files inline", async () => {
    const files = [
      { file: "index.html", data: Buffer.from("inline").toString("base64"), encoding: "base64" as const },
    ];
    const made = await vercel.deployments.createDeployment({ requestBody: { name: "inline-site", files } });
    expect(await platform.visit((await ready(made.id)).url)).toMatchObject({ text: "inline" });
  });

  it("unchanged files use the earlier build and are ready in the answer", async () => {
    const first = await deploy("again", "the same");
    const again = await raw("POST", "/v13/deployments", {
      name: "again",
      files: [{ file: "index.html", sha: sha1("the same"), size: 8 }],
    });
    expect(again.body).toMatchObject({
      readyState: "READY",
      buildSkipped: true,
      dock: { kind: "static", reused: true },
    });
    expect(again.body.id).not.toBe(first.id);
    expect(await platform.visit(again.body.url)).toMatchObject({ text: "the same" });
  });

  it("their log comes as an array, and as lines that end when the aliases are assigned", async () => {
    const { id } = await deploy("logged", "logged", { target: "production" });
    const array = await raw("GET", `/v3/deployments/${id}/events`);
    expect(Array.isArray(array.body)).toBe(true);
    const text = await (
      await platform.fetch(`/v3/now/deployments/${id}/events?follow=1&format=lines`)
    ).text();
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)).toMatchObject({
      type: "alias-assigned",
      deploymentId: id,
      alias: ["logged.localhost"],
    });
    expect(lines.slice(0, -1).map((line) => line.text)).toEqual(
      array.body.map((line: { text: string }) => line.text),
    );
    await vercel.deployments.getDeploymentEvents({ idOrUrl: id });
  });
});

describe("failed deployments", () => {
  it("a build that fails ends in ERROR and says why in the last line of its log", async () => {
    const files = [{ file: "package.json", data: '{"scripts":{"build":"echo oops && exit 3"}}' }];
    const made = await vercel.deployments.createDeployment({
      requestBody: { name: "broken", files, projectSettings: { installCommand: "", framework: null } },
    });
    const done = await ready(made.id);
    expect(done).toMatchObject({ readyState: "ERROR", aliasAssigned: false });
    const { errorMessage } = done as { errorMessage?: string };
    expect(errorMessage).toBeTruthy();
    const { body } = await raw("GET", `/v3/deployments/${made.id}/events`);
    expect(body.at(-1)).toMatchObject({ level: "error", text: errorMessage });
  }, 120_000);
});

describe("the list of deployments", () => {
  it("finds them by their meta, state and target", async () => {
    const a = await deploy("found", "one", { meta: { requestId: "r-1", n: "1" } });
    const b = await deploy("found", "two", { meta: { requestId: "r-2" }, target: "production" });
    const ids = async (query: string) =>
      (await raw("GET", `/v7/deployments?app=found&${query}`)).body.deployments.map(
        (one: { uid: string }) => one.uid,
      );
    expect(await ids("meta-requestId=r-1")).toEqual([a.id]);
    expect(await ids("meta-requestId=r-1&meta-n=2")).toEqual([]);
    expect(await ids("target=production")).toEqual([b.id]);
    expect(await ids("state=ERROR,CANCELED")).toEqual([]);
    const page = await vercel.deployments.getDeployments({ app: "found", limit: 1 });
    expect(page.deployments.map((one) => one.uid)).toEqual([b.id]);
    expect(await ids(`until=${page.pagination.next}`)).toEqual([a.id]);
  });
});

describe("the end of deployments", () => {
  it("can be canceled while they are built, and not any more when they are ready", async () => {
    const files = [{ file: "package.json", data: '{"scripts":{"build":"echo begun && sleep 600"}}' }];
    const { id } = await vercel.deployments.createDeployment({
      requestBody: { name: "slow", files, projectSettings: { installCommand: "", framework: null } },
    });
    const log = await platform.fetch(`/v3/deployments/${id}/events?follow=1`);
    let seen = "";
    for await (const chunk of log.body ?? []) {
      seen += Buffer.from(chunk).toString();
      if (seen.includes('"text":"begun"')) break;
    }
    expect((await vercel.deployments.cancelDeployment({ id })).readyState).toBe("CANCELED");
    expect((await vercel.deployments.cancelDeployment({ id })).readyState).toBe("CANCELED");
    const done = await deploy("slow", "ready");
    expect(await statusOf(vercel.deployments.cancelDeployment({ id: done.id }))).toBe(409);
  }, 120_000);

  it("are deleted, unless a host points to them", async () => {
    const serving = await deploy("removable", "v1", { target: "production" });
    expect(await statusOf(vercel.deployments.deleteDeployment({ id: serving.id }))).toBe(409);
    const idle = await deploy("removable", "v2");
    await vercel.deployments.deleteDeployment({ id: idle.id });
    expect(await statusOf(vercel.deployments.getDeployment({ idOrUrl: idle.id }))).toBe(404);
    expect((await platform.visit(idle.url)).status).toBe(404);
  });

  it("previews of a branch are at the branch's host, the newest one", async () => {
    await deploy("branchy", "old", { branch: "feat/cart" });
    await deploy("branchy", "new", { branch: "feat/cart" });
    expect(await platform.visit("branchy-git-feat-cart.localhost")).toMatchObject({ text: "new" });
  });
});

describe("variables", () => {
  it("are created, replaced with upsert, edited, read back and removed; sensitive ones are never shown", async () => {
    await vercel.projects.createProject({ requestBody: { name: "vars" } });
    const create = (value: string, upsert?: string) =>
      vercel.projects.createProjectEnv({
        idOrName: "vars",
        ...(upsert ? { upsert } : {}),
        requestBody: { key: "API_URL", value, type: "encrypted", target: ["production"] },
      });
    await create("one");
    expect(await statusOf(create("two"))).toBe(409);
    await create("two", "true");
    const list = await raw("GET", "/v10/projects/vars/env");
    expect(list.body.envs).toMatchObject([{ key: "API_URL", value: "two", type: "encrypted" }]);
    const id = list.body.envs[0].id;
    await vercel.projects.editProjectEnv({ idOrName: "vars", id, requestBody: { value: "three" } });
    const secret = { key: "SECRET", value: "hunter2", type: "sensitive", target: ["production"] };
    const stored = await raw("POST", "/v10/projects/vars/env", secret);
    expect(stored.status).toBe(201);
    expect(JSON.stringify(stored.body)).not.toContain("hunter2");
    const pulled = await raw("GET", "/v3/env/pull/vars/production");
    expect(pulled.body.env).toEqual({ API_URL: "three", SECRET: "[SENSITIVE]" });
    const rows = await platform.pool.query("select sealed from dock.variables");
    for (const row of rows.rows) expect(row.sealed.toString("latin1")).not.toMatch(/hunter2|three/);
    await vercel.projects.removeProjectEnv({ idOrName: "vars", id });
    expect((await raw("GET", "/v10/projects/vars/env")).body.envs).toHaveLength(1);
  });
});

describe("aliases", () => {
  it("point a host to a deployment, and to another one, and nowhere", async () => {
    const a = await deploy("aliased", "a");
    const b = await deploy("aliased", "b");
    await vercel.aliases.assignAlias({ id: a.id, requestBody: { alias: "shop.example.test" } });
    expect(await platform.visit("shop.example.test")).toMatchObject({ text: "a" });
    const moved = await vercel.aliases.assignAlias({ id: b.id, requestBody: { alias: "shop.example.test" } });
    expect(moved.oldDeploymentId).toBe(a.id);
    expect(await platform.visit("shop.example.test")).toMatchObject({ text: "b" });
    expect((await vercel.aliases.listDeploymentAliases({ id: b.id })).aliases).toHaveLength(1);
    expect((await vercel.aliases.getAlias({ idOrAlias: "shop.example.test" })).deploymentId).toBe(b.id);
    expect((await vercel.aliases.listAliases({})).aliases.map((one) => one.alias)).toContain(
      "shop.example.test",
    );
    await vercel.aliases.deleteAlias({ aliasId: "shop.example.test" });
    expect((await platform.visit("shop.example.test")).status).toBe(404);
  });

  it("a host of another project, or that is none, is refused", async () => {
    await deploy("owner", "x", { target: "production" });
    const other = await deploy("other-owner", "y");
    const assign = (alias: string) => vercel.aliases.assignAlias({ id: other.id, requestBody: { alias } });
    expect(await statusOf(assign("owner.localhost"))).toBe(409);
    expect(await statusOf(assign("not a host"))).toBe(400);
  });
});

describe("production", () => {
  it("a staged build serves only after its promotion; a rollback goes back at once and pins production", async () => {
    const v1 = await deploy("pointer", "v1", { target: "production", staged: true });
    expect(v1).toMatchObject({
      readyState: "READY",
      readySubstate: "STAGED",
      aliasAssigned: true,
      alias: [],
    });
    expect((await platform.visit("pointer.localhost")).status).toBe(404);
    const projectId = "pointer";
    await vercel.projects.requestPromote({ projectId, deploymentId: v1.id });
    expect(await platform.visit("pointer.localhost")).toMatchObject({ text: "v1" });

    const v2 = await deploy("pointer", "v2", { target: "production", staged: true });
    expect(await platform.visit("pointer.localhost")).toMatchObject({ text: "v1" });
    await vercel.projects.requestPromote({ projectId, deploymentId: v2.id });
    expect(await platform.visit("pointer.localhost")).toMatchObject({ text: "v2" });

    await vercel.projects.requestRollback({ projectId, deploymentId: v1.id });
    expect(await platform.visit("pointer.localhost")).toMatchObject({ text: "v1" });
    const pinned = await vercel.projects.getProject({ idOrName: projectId });
    expect(pinned.autoAssignCustomDomains).toBe(false);
    expect(pinned.lastAliasRequest).toMatchObject({
      type: "rollback",
      jobStatus: "succeeded",
      fromDeploymentId: v2.id,
      toDeploymentId: v1.id,
    });
    const v3 = await deploy("pointer", "v3", { target: "production" });
    expect(v3).toMatchObject({ readySubstate: "STAGED" });
    expect(await platform.visit("pointer.localhost")).toMatchObject({ text: "v1" });
    await vercel.projects.requestPromote({ projectId, deploymentId: v3.id });
    const freed = await vercel.projects.getProject({ idOrName: projectId });
    expect(freed.autoAssignCustomDomains).toBe(true);
    expect(freed.targets).toHaveProperty("production");
  });

  it("only what was production can be rolled back to; only production builds can be promoted", async () => {
    await deploy("strict", "v1", { target: "production" });
    const staged = await deploy("strict", "v2", { target: "production", staged: true });
    const preview = await deploy("strict", "v3");
    const projectId = "strict";
    expect(await statusOf(vercel.projects.requestRollback({ projectId, deploymentId: staged.id }))).toBe(422);
    expect(await statusOf(vercel.projects.requestPromote({ projectId, deploymentId: preview.id }))).toBe(409);
    expect(await statusOf(vercel.projects.requestPromote({ projectId, deploymentId: "dpl_none" }))).toBe(404);
  });

  it("a preview becomes production by a deployment of its id", async () => {
    const preview = await deploy("rebuilt", "page");
    const made = await raw("POST", "/v13/deployments", {
      name: "rebuilt",
      deploymentId: preview.id,
      target: "production",
    });
    await ready(made.body.id);
    expect(await platform.visit("rebuilt.localhost")).toMatchObject({ text: "page" });
  });
});

describe("rolling releases", () => {
  async function twoVersions(name: string) {
    const v1 = await deploy(name, `${name} v1`, { target: "production" });
    const v2 = await deploy(name, `${name} v2`, { target: "production", staged: true });
    const stages = [{ targetPercentage: 10 }, { targetPercentage: 50 }, { targetPercentage: 100 }];
    const config = { enabled: true, advancementType: "manual-approval", stages };
    expect((await raw("PATCH", `/v1/projects/${name}/rolling-release/config`, config)).status).toBe(200);
    return { v1, v2, idOrName: name, projectId: name };
  }
  const weights = async (name: string) =>
    (await platform.route(`${name}.localhost`)).targets.map((t) => t.weight);

  it("share production by stages and end with the last one", async () => {
    const { v2, idOrName } = await twoVersions("rolling");
    const canaryDeploymentId = v2.id;
    await vercel.rollingRelease.startRollingRelease({ idOrName, requestBody: { canaryDeploymentId } });
    const got = await vercel.rollingRelease.getRollingRelease({ idOrName });
    expect(got.rollingRelease).toMatchObject({ state: "ACTIVE", activeStage: { targetPercentage: 10 } });
    expect(await weights("rolling")).toEqual([90, 10]);
    expect(
      await statusOf(
        vercel.rollingRelease.startRollingRelease({ idOrName, requestBody: { canaryDeploymentId } }),
      ),
    ).toBe(409);
    const approve = (nextStageIndex: number) =>
      vercel.rollingRelease.approveRollingReleaseStage({
        idOrName,
        requestBody: { nextStageIndex, canaryDeploymentId },
      });
    await approve(1);
    await approve(1);
    expect(await weights("rolling")).toEqual([50, 50]);
    await approve(2);
    expect(await weights("rolling")).toEqual([100]);
    expect(await platform.visit("rolling.localhost")).toMatchObject({ text: "rolling v2" });
    const ended = await vercel.rollingRelease.getRollingRelease({ idOrName });
    expect(ended.rollingRelease).toMatchObject({ state: "COMPLETE" });
  });

  it("complete early; a promotion meanwhile waits with 202 and happens then", async () => {
    const { v2, idOrName, projectId } = await twoVersions("rolling-queue");
    const v3 = await deploy("rolling-queue", "third", { target: "production", staged: true });
    const requestBody = { canaryDeploymentId: v2.id };
    await vercel.rollingRelease.startRollingRelease({ idOrName, requestBody });
    expect((await raw("POST", `/v10/projects/${projectId}/promote/${v3.id}`, {})).status).toBe(202);
    expect(await weights("rolling-queue")).toEqual([90, 10]);
    await vercel.rollingRelease.completeRollingRelease({ idOrName, requestBody });
    expect(await platform.visit("rolling-queue.localhost")).toMatchObject({ text: "third" });
  });

  it("are aborted by a rollback", async () => {
    const { v1, v2, idOrName, projectId } = await twoVersions("rolling-abort");
    await vercel.rollingRelease.startRollingRelease({ idOrName, requestBody: { canaryDeploymentId: v2.id } });
    await vercel.projects.requestRollback({ projectId, deploymentId: v1.id });
    expect(await weights("rolling-abort")).toEqual([100]);
    expect(await platform.visit("rolling-abort.localhost")).toMatchObject({ text: "rolling-abort v1" });
    const got = await vercel.rollingRelease.getRollingRelease({ idOrName });
    expect(got.rollingRelease).toMatchObject({ state: "ABORTED" });
    await vercel.rollingRelease.deleteRollingReleaseConfig({ idOrName });
  });
});

describe("bad requests", () => {
  it("a wrong token and none get 403", async () => {
    const stranger = new Vercel({ bearerToken: "wrong", serverURL: platform.url });
    expect(await statusOf(stranger.projects.getProject({ idOrName: "x" }))).toBe(403);
    const response = await fetch(`${platform.url}/v9/projects`);
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error: { code: "forbidden" } });
  });

  it("a body that is no JSON gets 400", async () => {
    const answer = await raw("POST", "/v13/deployments", "{nonsense");
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "bad_request" } } });
    expect(answer.body.error.message).toMatch(/not valid JSON/);
  });

  it("an unknown path gets 404", async () => {
    const answer = await raw("GET", "/v5/domains/example.com");
    expect(answer).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
  });

  it.each(["../../etc/passwd", "/etc/passwd", "a/../b", ""])("a file at %j is refused", async (file) => {
    const answer = await raw("POST", "/v13/deployments", { name: "evil", files: [{ file, data: "x" }] });
    expect(answer.status).toBe(400);
  });

  it("a file named twice, or a deployment of nothing, is refused", async () => {
    const file = { file: "a", data: "x" };
    expect((await raw("POST", "/v13/deployments", { name: "evil", files: [file, file] })).status).toBe(400);
    expect((await raw("POST", "/v13/deployments", { name: "evil" })).status).toBe(400);
  });
});
