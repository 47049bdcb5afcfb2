import { createHmac } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type OutsideStand, outsideStand } from "../../test/support/outside-stand.ts";

let stand: OutsideStand;
let count = 0;
let project = "";
beforeAll(async () => {
  stand = await outsideStand();
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(async () => {
  project = `o${++count}`;
  await stand.makeProject(project, "dpl_ours");
  stand.woken.length = 0;
});

const SECRET = "a-secret-of-the-webhook";
const sign = (body: string, secret = SECRET) => createHmac("sha1", secret).update(body).digest("hex");

async function deliver(payload: unknown, signature?: string, to = project) {
  const body = typeof payload === "string" ? payload : JSON.stringify(payload);
  const headers = { "x-vercel-signature": signature ?? sign(body) };
  return stand.request("anybody", "POST", `/api/webhooks/vercel/${to}`, body, headers);
}

const delivery = (change: Record<string, unknown> = {}) => ({
  id: `uev_${++count}`,
  type: "deployment.promoted",
  createdAt: stand.clock.now().getTime(),
  payload: { deployment: { id: "dpl_other" } },
  ...change,
});

const kinds = async () => (await stand.events(project)).map(({ kind }) => kind);

describe("a delivery of Vercel", () => {
  beforeEach(async () => {
    const path = `/api/projects/${project}/outside/webhook`;
    expect((await stand.request("owner", "POST", path, { secret: SECRET })).status).toBe(201);
  });

  test("makes us look at once, once however often it comes", async () => {
    const one = delivery();
    expect(await deliver(one)).toMatchObject({ status: 202, body: { did: "look", repeated: false } });
    expect(await deliver(one)).toMatchObject({ status: 202, body: { repeated: true } });
    expect(stand.woken).toHaveLength(1);
  });

  test.each([
    ["another secret", () => deliver(delivery(), sign("x", "another-secret")), 401],
    [
      "a changed byte",
      () => deliver(`${JSON.stringify(delivery())} `, sign(JSON.stringify(delivery()))),
      401,
    ],
    ["a signature that is none", () => deliver(delivery(), "zz"), 401],
    ["an unknown project", () => deliver(delivery(), undefined, "nobody"), 401],
    [
      "an old recording",
      () => deliver(delivery({ createdAt: stand.clock.now().getTime() - 90_000_000 })),
      400,
    ],
    ["one of tomorrow", () => deliver(delivery({ createdAt: stand.clock.now().getTime() + 3_600_000 })), 400],
    ["a time that is none", () => deliver(delivery({ createdAt: 1e300 })), 400],
    ["no JSON", () => deliver("hello"), 400],
    ["more than a megabyte", () => deliver("x".repeat(2 ** 20 + 1)), 413],
    ["no id", () => deliver(delivery({ id: undefined })), 400],
  ])("with %s is refused, and nobody looks", async (_name, send, status) => {
    expect((await send()).status).toBe(status);
    expect(stand.woken).toEqual([]);
  });

  test("without a signature is refused", async () => {
    const path = `/api/webhooks/vercel/${project}`;
    expect((await stand.request("anybody", "POST", path, "{}")).status).toBe(400);
  });
});

test("a webhook whose secret does not open any more is refused with what to do, and can be set up anew", async () => {
  const path = `/api/projects/${project}/outside/webhook`;
  await stand.request("owner", "POST", path, { secret: SECRET });
  await stand.pool.query("update vercel_webhooks set sealed = $1 where project_id = $2", [
    Buffer.alloc(60),
    `prj_${project}`,
  ]);
  expect(await deliver(delivery())).toMatchObject({
    status: 401,
    body: { error: { hint: expect.stringContaining("outside webhook") } },
  });
  await stand.request("owner", "POST", path, { secret: SECRET });
  expect((await deliver(delivery())).status).toBe(202);
});

test("a promotion outside makes one event and one audit entry, whether a delivery or a look came first", async () => {
  await stand.look(project);
  stand.state.production = "dpl_other";
  stand.state.lastMove = {
    kind: "promote",
    from: "dpl_ours",
    to: "dpl_other",
    at: new Date(5),
    failed: false,
  };
  await Promise.all([stand.look(project), stand.look(project), stand.look(project)]);
  await stand.look(project);
  expect(await kinds()).toEqual(["promoted"]);
  expect(await stand.audited("outside.promoted", project)).toHaveLength(1);
  const { body } = await stand.request("viewer", "GET", `/api/projects/${project}/outside`);
  expect(body).toMatchObject({
    watches: [{ production: "dpl_other", isOurs: false }],
    events: [{ kind: "promoted", summary: expect.stringContaining("outside of Signalbox") }],
  });
});

test("a rollback outside to a release of ours names our deployment, and the pin is shown", async () => {
  await stand.look(project);
  Object.assign(stand.state, { production: "dpl_ours_before", pinned: true, autoAssign: false });
  await stand.look(project);
  expect(await kinds()).toEqual(["pinned", "moved"]);
  const { body } = await stand.request("viewer", "GET", "/api/outside");
  expect(body.watches.find((watch: { project: string }) => watch.project === project)).toMatchObject({
    pinned: true,
    isOurs: false,
  });
});

test("an outage is shown on the watch, and nothing is made of it", async () => {
  await stand.look(project);
  stand.failing = new Error("no answer");
  await stand.look(project).catch(() => {});
  stand.failing = null;
  const path = `/api/projects/${project}/outside`;
  expect((await stand.request("viewer", "GET", path)).body.watches).toMatchObject([{ failure: "no answer" }]);
  await stand.look(project);
  expect((await stand.request("viewer", "GET", path)).body.watches).toMatchObject([{ failure: null }]);
  expect(await kinds()).toEqual([]);
});

describe("a deployment that is not ours", () => {
  const other = () => ({
    id: `dpl_${project}`,
    ours: false,
    state: "ready" as const,
    environment: "production" as const,
    url: "https://other.vercel.app",
    createdAt: stand.clock.now(),
    by: null,
    commit: null,
    branch: null,
    error: null,
    inspectorUrl: null,
  });

  test("is held until it passes our own health gate, with a link back", async () => {
    await stand.check(project);
    stand.state.deployments = [other()];
    stand.status = 503;
    expect(await stand.look(project)).toMatchObject({ again: true });
    stand.status = 200;
    expect(await stand.look(project)).toMatchObject({ again: false });
    await stand.look(project);
    expect(stand.reports).toMatchObject([
      { state: "running", text: "Not healthy: /: status 503, expected 200 to 399." },
      { state: "succeeded", detailsUrl: `https://signalbox.example/api/projects/${project}/outside` },
    ]);
    expect(stand.probed).toMatchObject({ url: "https://other.vercel.app/", headers: { "x-bypass": "1" } });
  });

  test("fails the check when it stays unwell for the policy's deadline", async () => {
    await stand.check(project);
    stand.state.deployments = [other()];
    stand.status = 503;
    await stand.look(project);
    stand.clock.move(200_000);
    await stand.look(project);
    expect(stand.reports.map(({ state }) => state)).toEqual(["running", "failed"]);
  });

  test("whose check cannot be told, or a setting that cannot be put back, hides nothing that was seen", async () => {
    await stand.check(project);
    await stand.look(project);
    stand.state.deployments = [other()];
    stand.refusing = new Error("403");
    expect(await stand.look(project)).toMatchObject({ again: false });
    expect(await kinds()).toEqual(["deployed"]);
    const shown = await stand.request("viewer", "GET", `/api/projects/${project}/outside`);
    expect(shown.body.watches).toMatchObject([{ failure: "403", failingSince: expect.any(String) }]);
    stand.refusing = null;
    await stand.look(project);
    expect(stand.reports).toMatchObject([{ state: "succeeded" }]);
  });

  test("is left alone where nobody asked for checks", async () => {
    stand.state.deployments = [other()];
    await stand.look(project);
    expect(stand.reports).toEqual([]);
  });
});

describe("verbs", () => {
  const path = (verb: string) => `/api/projects/${project}/outside/${verb}`;

  test.each([
    ["look", "viewer"],
    ["unpin", "viewer"],
    ["webhook", "deployer"],
  ] as const)("%s is refused to a %s", async (verb, role) => {
    expect((await stand.request(role, "POST", path(verb), { secret: SECRET })).status).toBe(403);
  });

  test("unpin is written down, and answers what it did", async () => {
    const answer = await stand.request("deployer", "POST", path("unpin"), {});
    expect(answer.body).toEqual({ unpinned: [`prj_${project}`] });
    expect(await stand.audited("outside.unpin", project)).toHaveLength(1);
  });

  test("a webhook is made at Vercel, its secret is never shown, and the one before it goes", async () => {
    const made = await stand.request("owner", "POST", path("webhook"), {});
    const url = `https://signalbox.example/api/webhooks/vercel/${project}`;
    expect(made.body).toEqual({ url, path: `/api/webhooks/vercel/${project}`, made: true });
    expect(await deliver(delivery(), undefined)).toMatchObject({ status: 202 });
    await stand.request("owner", "POST", path("webhook"), {});
    expect(stand.deleted).toEqual(["hook_1"]);
    expect(await stand.audited("outside.set_up_webhook", project)).toHaveLength(2);
  });
});
