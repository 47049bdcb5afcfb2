import { sign } from "@octokit/webhooks-methods";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { recorded } from "../../test/support/github-double.ts";
import { AS, type PreviewStand, previewStand } from "../../test/support/preview-stand.ts";
import { AppError } from "../foundation/errors.ts";

let stand: PreviewStand;
let count = 0;
let name = "";
let project = "";
let secret = "";

beforeAll(async () => {
  stand = await previewStand();
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(async () => {
  name = `w${++count}`;
  project = await stand.makeProject(name);
  secret = (await stand.request(AS.owner, "POST", `/api/projects/${name}/webhook`)).body.secret;
  stand.triggers.length = 0;
  stand.woken.length = 0;
  Object.assign(stand.fail, { trigger: null, triggerAfter: null });
});

type Payload = Record<string, unknown>;
type Sending = { id?: string; key?: string; to?: string; headers?: Record<string, string | null> };

/** As GitHub sends it, signed with its own code. */
async function deliver(event: string, payload: Payload | string, sending: Sending = {}) {
  const body = typeof payload === "string" ? payload : JSON.stringify(payload);
  const headers: Record<string, string | null> = {
    "content-type": "application/json",
    "user-agent": "GitHub-Hookshot/044aadd",
    "x-github-event": event,
    "x-github-delivery": sending.id ?? `72d3162e-cc78-11e3-81ab-4c9367dc09${++count}`,
    "x-hub-signature-256": body === "" ? "sha256=0" : await sign(sending.key ?? secret, body),
    ...sending.headers,
  };
  const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== null)) as Record<
    string,
    string
  >;
  const response = await stand.deliver(`/api/webhooks/github/${sending.to ?? name}`, sent, body);
  const text = await response.text();
  return {
    status: response.status,
    ignored: response.headers.get("x-signalbox-ignored"),
    body: text === "" ? null : JSON.parse(text),
  };
}

const policy = (changes: Payload = {}) =>
  stand.request(AS.owner, "PUT", `/api/projects/${name}/previews`, {
    source: "github",
    repository: "Codertocat/Hello-World",
    ...changes,
  });

/** A push to `master`, as recorded. */
const push = (changes: Payload = {}): Payload => ({
  ...recorded("push", ({ ref, deleted }) => ref === "refs/heads/master" && deleted === false),
  after: "c".repeat(40),
  ...changes,
});
const pull = (action: string) => recorded("pull_request", (payload) => payload.action === action);

describe("a push", () => {
  it("to the production branch queues a deployment to production, at once and for that commit", async () => {
    await policy({ productionBranch: "master" });
    const answer = await deliver("push", push({ head_commit: { message: "Fix the cart\n\nand more" } }), {
      id: "d-1",
    });
    const [deployment] = await stand.deploymentsOf(project);
    expect(answer).toMatchObject({
      status: 202,
      body: { did: "deploy", environment: "production", branch: "master", deploymentId: deployment?.id },
    });
    expect(deployment).toMatchObject({ slot: "production", state: "queued", commit_sha: "c".repeat(40) });
    expect(stand.triggers).toEqual([
      {
        project: name,
        environment: "production",
        branch: "master",
        commit: "c".repeat(40),
        message: "Fix the cart",
        source: { git: "https://github.com/Codertocat/Hello-World.git" },
        deliveryKey: `github:${project}:d-1`,
      },
    ]);
  });

  it("to a branch with an environment goes there, and comes from the policy's URL", async () => {
    await policy({
      deployOnPush: { master: "staging" },
      productionBranch: "master",
      gitUrl: "https://git.x/shop.git",
    });
    expect((await deliver("push", push())).body).toMatchObject({ environment: "staging" });
    expect(stand.triggers[0]?.source.git).toBe("https://git.x/shop.git");
  });

  it.each([
    ["to another branch", {}, push({ ref: "refs/heads/wip" }), "no preview made"],
    [
      "of a tag",
      { productionBranch: "master" },
      recorded("push", ({ ref }) => String(ref).startsWith("refs/tags/")),
      "is no branch",
    ],
    ["that deletes", { productionBranch: "master" }, push({ deleted: true, head_commit: null }), "stays"],
    [
      "of another repository",
      { productionBranch: "master", repository: "acme/shop" },
      push(),
      "Codertocat/Hello-World",
    ],
    ["without a policy for it", {}, push(), "No environment"],
  ])("%s is ignored, and the answer says why", async (_name, changes, payload, why) => {
    await policy(changes);
    expect(await deliver("push", payload as Payload)).toMatchObject({
      status: 204,
      ignored: expect.stringContaining(why),
    });
    expect(stand.triggers).toEqual([]);
  });

  it("has branches compared where previews are of branches", async () => {
    await policy({ source: "branches", repository: undefined, gitUrl: "https://git.x/shop.git" });
    stand.woken.length = 0;
    expect((await deliver("push", push({ ref: "refs/heads/wip" }))).body).toMatchObject({ did: "sweep" });
    expect((await deliver("delete", { ...recorded("delete"), ref_type: "branch" })).status).toBe(202);
    expect(stand.woken).toEqual([project, project]);
  });
});

describe("a pull request", () => {
  it.each([
    "opened",
    "synchronize",
    "reopened",
    "closed",
  ])("that is %s has the previews compared", async (action) => {
    await policy();
    stand.woken.length = 0;
    const payload = action === "synchronize" ? { ...pull("opened"), action } : pull(action);
    const answer = await deliver("pull_request", payload);
    expect(answer).toMatchObject({
      status: 202,
      body: { did: "sweep", why: expect.stringContaining(action) },
    });
    expect(stand.woken).toEqual([project]);
    expect(stand.triggers).toEqual([]);
  });

  it("that is labeled is ignored, as is any where no previews are wanted", async () => {
    await policy();
    expect((await deliver("pull_request", pull("labeled"))).status).toBe(204);
    await policy({ source: "none" });
    expect((await deliver("pull_request", pull("opened"))).ignored).toContain("no previews");
  });

  it("that was closed by hand and is reopened may have its preview again", async () => {
    await policy();
    await stand.db
      .insertInto("previews")
      .values({
        project_id: project,
        key: "pr-2",
        source: "github",
        pull_request: 2,
        branch: "x",
        reported: null,
      })
      .execute();
    const closed = {
      closed_at: stand.clock.now(),
      close_kind: "person" as const,
      closed_deployment_id: "dep_x",
    };
    await stand.db.updateTable("previews").set(closed).where("project_id", "=", project).execute();
    await deliver("pull_request", pull("reopened"));
    const row = await stand.db
      .selectFrom("previews")
      .select("close_kind")
      .where("project_id", "=", project)
      .execute();
    expect(row).toEqual([{ close_kind: "gone" }]);
  });
});

it("a ping is answered, and events that mean nothing to us are ignored by name", async () => {
  expect(await deliver("ping", recorded("ping"))).toMatchObject({ status: 200, body: { did: "pong" } });
  expect(await deliver("star", recorded("star"))).toMatchObject({
    status: 204,
    ignored: expect.stringContaining("star"),
  });
});

describe("the same delivery again", () => {
  it("gets the first outcome, and makes nothing", async () => {
    await policy({ productionBranch: "master" });
    const first = await deliver("push", push(), { id: "same" });
    const again = await deliver("push", push(), { id: "same" });
    expect(again).toMatchObject({ status: 200, body: { ...first.body, repeated: true } });
    await policy({ productionBranch: null });
    expect((await deliver("push", push(), { id: "same" })).body.deploymentId).toBe(first.body.deploymentId);
    expect(stand.triggers).toHaveLength(1);
  });

  it("ten times at once makes one deployment, and all ten name it", async () => {
    await policy({ productionBranch: "master" });
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => deliver("push", push(), { id: "at-once" })),
    );
    const deployments = await stand.deploymentsOf(project);
    expect(deployments).toHaveLength(1);
    expect(new Set(answers.map(({ body }) => body.deploymentId))).toEqual(new Set([deployments[0]?.id]));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(9).fill(200), 202]);
    expect(stand.triggers).toHaveLength(1);
  });

  it("after a process that died between the deployment and its outcome finds that deployment", async () => {
    await policy({ productionBranch: "master" });
    const first = await deliver("push", push(), { id: "died" });
    await stand.db
      .updateTable("webhook_deliveries")
      .set({ outcome: null, claimed_at: new Date(0) })
      .where("delivery_id", "=", "died")
      .execute();
    expect((await deliver("push", push(), { id: "died" })).body.deploymentId).toBe(first.body.deploymentId);
    expect(await stand.deploymentsOf(project)).toHaveLength(1);
  });

  it("after one that failed is acted upon anew", async () => {
    await policy({ productionBranch: "master" });
    stand.fail.trigger = new AppError("unavailable", "The database is away.");
    expect((await deliver("push", push(), { id: "failed" })).status).toBe(503);
    stand.fail.trigger = null;
    expect(await deliver("push", push(), { id: "failed" })).toMatchObject({
      status: 202,
      body: { repeated: false },
    });
  });

  it("for another project is another delivery", async () => {
    await policy({ productionBranch: "master" });
    await deliver("push", push(), { id: "shared" });
    const before = { name, secret };
    name = `w${++count}`;
    await stand.makeProject(name);
    secret = (await stand.request(AS.owner, "POST", `/api/projects/${name}/webhook`)).body.secret;
    await policy({ productionBranch: "master" });
    expect((await deliver("push", push(), { id: "shared" })).body).toMatchObject({
      did: "deploy",
      repeated: false,
    });
    expect((await deliver("push", push(), { to: before.name })).status).toBe(401);
  });
});

describe("what is no delivery of ours", () => {
  it.each([
    ["another secret", { key: "whs_wrong" }, 401],
    ["no signature", { headers: { "x-hub-signature-256": null } }, 400],
    ["a signature of another kind", { headers: { "x-hub-signature-256": "sha1=abc" } }, 401],
    ["no delivery id", { headers: { "x-github-delivery": null } }, 400],
    ["an endless delivery id", { headers: { "x-github-delivery": "x".repeat(201) } }, 400],
    ["no event", { headers: { "x-github-event": null } }, 400],
    ["a project that is not there", { to: "nope" }, 401],
  ])("is refused: %s", async (_name, sending, status) => {
    await policy({ productionBranch: "master" });
    const answer = await deliver("push", push(), sending as Sending);
    expect([answer.status, answer.body.error.hint]).toEqual([status, expect.any(String)]);
    expect(stand.triggers).toEqual([]);
  });

  it.each([
    ["an empty body", ""],
    ["half a JSON text", '{"ref": '],
    ["a form", "payload=%7B%7D"],
    ["a push without a branch", '{"after": "x"}'],
  ])("is 400: %s", async (_name, body) => {
    const answer = await deliver("push", body);
    expect([answer.status, answer.body.error.hint]).toEqual([400, expect.any(String)]);
  });

  it("is 400: bytes that are no text, even when they are signed", async () => {
    const headers = { "x-github-event": "push", "x-github-delivery": "b", "x-hub-signature-256": "sha256=0" };
    const response = await stand.deliver(
      `/api/webhooks/github/${name}`,
      headers,
      new Uint8Array([0xff, 0xfe]),
    );
    expect(response.status).toBe(400);
  });

  it("is 413: a body that is larger than GitHub's largest", async () => {
    const headers = { "x-github-event": "push", "x-github-delivery": "b", "x-hub-signature-256": "sha256=0" };
    const body = new Uint8Array(25 * 2 ** 20 + 1);
    const response = await stand.deliver(`/api/webhooks/github/${name}`, headers, body);
    expect(response.status).toBe(413);
  });

  it("is signed over its very bytes: one blank more and it is another", async () => {
    const body = JSON.stringify(push());
    const headers = { "x-hub-signature-256": await sign(secret, body) };
    expect((await deliver("push", `${body} `, { headers })).status).toBe(401);
  });
});

describe("the secret", () => {
  it("is made by an owner only, audited, shown once and kept sealed; a new one ends the one before", async () => {
    for (const as of [AS.viewer, AS.deployer]) {
      expect((await stand.request(as, "POST", `/api/projects/${name}/webhook`)).status).toBe(403);
    }
    const answer = await stand.request(AS.owner, "POST", `/api/projects/${name}/webhook`);
    expect(answer).toMatchObject({ status: 201, body: { path: `/api/webhooks/github/${name}` } });
    expect((await deliver("ping", recorded("ping"))).status).toBe(401);
    expect((await deliver("ping", recorded("ping"), { key: answer.body.secret })).status).toBe(200);
    const entries = (await stand.audited("webhook.create_secret")).filter(
      (each) => each.subject_id === project,
    );
    expect(entries).toEqual(Array(2).fill({ actor_name: "owner", subject_id: project }));
    const rows = JSON.stringify([
      await stand.db.selectFrom("webhook_secrets").selectAll().execute(),
      await stand.db.selectFrom("audit_log").selectAll().execute(),
    ]);
    expect(rows).not.toContain(answer.body.secret);
    const sealed = await stand.db
      .selectFrom("webhook_secrets")
      .select("sealed")
      .where("project_id", "=", project)
      .executeTakeFirstOrThrow();
    expect(sealed.sealed.includes(answer.body.secret)).toBe(false);
    expect(stand.deps.box.open(sealed.sealed, `webhook:${project}`)).toBe(answer.body.secret);
  });

  it("of a project that is not there is not made", async () => {
    expect((await stand.request(AS.owner, "POST", "/api/projects/nope/webhook")).status).toBe(404);
  });
});

it("the latest deliveries are shown with what became of them", async () => {
  await policy({ productionBranch: "master" });
  await deliver("push", push(), { id: "shown" });
  stand.clock.move(1_000);
  await deliver("star", recorded("star"), { id: "starred" });
  const { body } = await stand.request(AS.viewer, "GET", `/api/projects/${name}/webhook`);
  expect(body.deliveries).toMatchObject([
    { id: "starred", event: "star", outcome: { did: "ignored" } },
    { id: "shown", event: "push", outcome: { did: "deploy", deploymentId: expect.any(String) } },
  ]);
});
