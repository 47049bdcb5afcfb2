import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  engineStand,
  makeProject,
  PREPARATION,
  reached,
  type Stand,
  ship,
  trigger,
} from "../../test/scenarios/engine-stand.ts";

let stand: Stand;
let project = 0;

beforeAll(async () => {
  stand = await engineStand();
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(async () => {
  // A project of its own for each test: they share one database.
  project += 1;
  await makeProject(stand.pool, `p${project}`);
  Object.assign(stand.target.behaviour, {
    buildLooks: 0,
    build: "ready",
    kind: "static",
    splits: true,
    log: ["built"],
  });
  stand.world.preparation = { ...PREPARATION };
  stand.world.prepareGate = Promise.resolve();
});

const LONG_CANARY = {
  kind: "canary",
  steps: [{ weight: 10, bakeMs: 600_000 }],
  maxErrorRate: 0.02,
  minRequests: 20,
} as const;

/** Generous: only a hang fails. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 30_000, interval: 20 });
const here = (body: Record<string, unknown> = {}) => ({ project: `p${project}`, ...body });
const api = () => stand.http(stand.as.deployer);
const rollback = (body: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
  api().post("/rollback", { environment: "production", ...here(body) }, headers);
const stateOf = async (id: string) => (await api().get(`/status/${id}`)).body.deployment.state;
const traffic = () =>
  stand.target.trafficAt({ project: `p${project}`, environment: "production", branch: "main" });
const audited = (action: string, id: string) =>
  stand.db
    .selectFrom("audit_log")
    .select(["actor_name", "action"])
    .where("action", "=", action)
    .where("subject_id", "=", id)
    .execute();
/** Keeps the next deployment in `building` until it is told to go on. */
const holdBuilds = () => {
  stand.target.behaviour.build = "hangs";
};

test("a deployment goes live, every phase on record, and is audited", async () => {
  const done = await ship(stand, here({ commit: "abc", message: "first" }));
  expect(done).toMatchObject({
    state: "live",
    weight: 100,
    progress: 1,
    commit: "abc",
    message: "first",
    actor: "deployer",
    urls: [`http://p${project}-production.localhost:8080`],
  });
  expect(done.phases.map((phase) => phase.state)).toEqual([
    "queued",
    "preparing",
    "building",
    "verifying",
    "releasing",
    "shifting",
    "live",
  ]);
  expect(await audited("deployment.trigger", done.id)).toEqual([
    { actor_name: "deployer", action: "deployment.trigger" },
  ]);
});

test("the next one supersedes it", async () => {
  const first = await ship(stand, here());
  const second = await ship(stand, here());
  expect(await stateOf(first.id)).toBe("superseded");
  expect(traffic()).toEqual({ [second.targetDeploymentId ?? ""]: 100 });
});

test("every write verb refuses a viewer, and leaves nothing behind", async () => {
  const done = await ship(stand, here());
  const viewer = stand.http(stand.as.viewer);
  const answers = await Promise.all([
    viewer.post("/trigger", { environment: "production", ...here(), source: { git: "https://x" } }),
    viewer.post("/rollback", { environment: "production", ...here() }),
    viewer.post(`/cancel/${done.id}`, {}),
  ]);
  expect(answers.map((answer) => [answer.status, answer.body.error.code])).toEqual(
    Array(3).fill([403, "forbidden"]),
  );
  expect((await viewer.get(`/list?project=p${project}`)).body.deployments).toHaveLength(1);
});

test.each([
  ["an unknown environment", { environment: "prod" }, 400, /environment/],
  ["no JSON", "{", 400, /JSON/],
  ["an unknown field", { environment: "staging", brunch: "x" }, 400, /brunch/],
  ["an unknown project", { environment: "staging", project: "nope" }, 404, /no project "nope"/],
])("bad input gets one clear sentence: %s", async (_name, body, status, message) => {
  const answer = await api().post("/trigger", body);
  expect([answer.status, answer.body.error.message]).toEqual([status, expect.stringMatching(message)]);
});

test("with several projects the request must name one, and the answer lists them", async () => {
  const answer = await api().post("/trigger", { environment: "staging", source: { git: "https://x" } });
  expect(answer.status).toBe(400);
  expect(answer.body.error.hint).toContain("shop");
});

test("without a source the project's earlier one is used; with none there is a hint", async () => {
  const none = await api().post("/trigger", { environment: "production", ...here() });
  expect([none.status, none.body.error.hint]).toEqual([400, expect.stringContaining("git")]);
  await ship(stand, here({ environment: "staging", commit: "abc123" }));
  const promoted = await api().post("/trigger", { environment: "production", commit: "abc", ...here() });
  expect(promoted.status).toBe(202);
  await reached(stand, promoted.body.deploymentId, "live");
});

test("the same key and body get the same answer; another body is refused; another actor asks anew", async () => {
  const key = { "idempotency-key": `k${project}` };
  const body = { environment: "production", ...here(), source: { git: "https://x" } };
  const first = await api().post("/trigger", body, key);
  expect(await api().post("/trigger", body, key)).toEqual(first);
  expect((await api().post("/trigger", { ...body, force: true }, key)).status).toBe(422);
  const other = await stand.http(stand.as.other).post("/trigger", body, key);
  expect(other.body.deploymentId).not.toBe(first.body.deploymentId);
});

test("a crash between the commit and the answer makes no second deployment", async () => {
  const key = { "idempotency-key": `crash${project}` };
  const body = { environment: "production", ...here(), source: { git: "https://x" } };
  const first = await api().post("/trigger", body, key);
  // What such a crash leaves: the deployment is there, the claim on the key was never settled, and is old by now.
  await stand.db
    .updateTable("idempotency_keys")
    .set({ status: null, body: null, created_at: new Date(0) })
    .where("key", "=", key["idempotency-key"])
    .execute();
  expect((await api().post("/trigger", body, key)).body.deploymentId).toBe(first.body.deploymentId);
  await stand.db
    .updateTable("idempotency_keys")
    .set({ status: null, body: null })
    .where("key", "=", key["idempotency-key"])
    .execute();
  expect((await api().post("/trigger", body, key)).body.error.code).toBe("in_flight");
});

test("one at a time in an environment; the newest of a branch wins, others keep their turn", async () => {
  holdBuilds();
  const active = await trigger(stand, here());
  await reached(stand, active, "building");
  const older = await trigger(stand, here());
  const otherBranch = await trigger(stand, here({ branch: "fix" }));
  const newest = await trigger(stand, here());
  expect(await Promise.all([older, otherBranch, newest].map(stateOf))).toEqual([
    "superseded",
    "queued",
    "queued",
  ]);
  stand.target.behaviour.build = "ready";
  await api().post(`/cancel/${active}`, {});
  await reached(stand, newest, "live");
  expect(await stateOf(otherBranch)).toBe("superseded");
});

test("previews of different branches do not wait for each other", async () => {
  holdBuilds();
  const a = await trigger(stand, here({ environment: "preview", branch: "a" }));
  const b = await trigger(stand, here({ environment: "preview", branch: "b" }));
  await Promise.all([reached(stand, a, "building"), reached(stand, b, "building")]);
  for (const id of [a, b]) await api().post(`/cancel/${id}`, {});
});

test("canceling a build ends it at the target, cuts off a slow preparation, and is audited", async () => {
  holdBuilds();
  const building = await trigger(stand, here());
  const { targetDeploymentId } = await waitForBuild(building);
  const canceled = await api().post(`/cancel/${building}`, {});
  expect(canceled.body.deployment).toMatchObject({ state: "canceled", reason: "Canceled by deployer." });
  await eventually(() => stand.target.effects).toContain(`cancel ${targetDeploymentId}`);
  expect(await audited("deployment.cancel", building)).toHaveLength(1);
  stand.world.prepareGate = new Promise(() => {});
  const preparing = await trigger(stand, here());
  await reached(stand, preparing, "preparing");
  await api().post(`/cancel/${preparing}`, {});
  expect(await stateOf(preparing)).toBe("canceled");
  expect((await api().post(`/cancel/${preparing}`, {})).status).toBe(200);
});

async function waitForBuild(id: string) {
  await eventually(
    async () => (await api().get(`/status/${id}`)).body.deployment.targetDeploymentId,
  ).not.toBeNull();
  return (await api().get(`/status/${id}`)).body.deployment;
}

test("a live deployment is not canceled, and the hint names the rollback", async () => {
  const done = await ship(stand, here());
  const answer = await api().post(`/cancel/${done.id}`, {});
  expect([answer.status, answer.body.error.hint]).toEqual([409, expect.stringContaining("/rollback")]);
  expect((await api().post("/cancel/dep_none", {})).status).toBe(404);
});

test("a failed build says what the build said last, and what to do; the release before it serves on", async () => {
  const good = await ship(stand, here());
  Object.assign(stand.target.behaviour, {
    build: "error",
    log: ["compiling", "error: no such module ./cart"],
  });
  const id = await trigger(stand, here());
  const failed = await reached(stand, id, "failed");
  expect(failed.reason).toBe(
    "The build failed: npm run build ended with 1. Last output: error: no such module ./cart",
  );
  expect(failed.hint).toContain("build log");
  expect(traffic()).toEqual({ [good.targetDeploymentId ?? ""]: 100 });
});

test("a rollback goes back to the previous good one, and again further back, never in a circle", async () => {
  const [a, b, c] = [await ship(stand, here()), await ship(stand, here()), await ship(stand, here())];
  const first = await rollback({ reason: "checkout is broken" });
  expect(first).toMatchObject({
    status: 200,
    body: { deploymentId: b.id, rolledBack: [c.id], state: "live" },
  });
  expect(await Promise.all([a, b, c].map(({ id }) => stateOf(id)))).toEqual([
    "superseded",
    "live",
    "rolled_back",
  ]);
  expect(traffic()).toEqual({ [b.targetDeploymentId ?? ""]: 100 });
  expect((await api().get(`/status/${b.id}`)).body.deployment).toMatchObject({
    rollbackOf: c.id,
    weight: 100,
  });
  expect((await api().get(`/status/${c.id}`)).body.deployment.reason).toContain("checkout is broken");
  expect(await audited("deployment.rollback", b.id)).toHaveLength(1);
  expect((await rollback()).body).toMatchObject({ deploymentId: a.id, rolledBack: [b.id] });
  const nothing = await rollback();
  expect([nothing.status, nothing.body.error.hint]).toEqual([409, expect.any(String)]);
});

test("a rollback to a named one; not to the one that serves, nor to one that never was live", async () => {
  const [a, b, c] = [await ship(stand, here()), await ship(stand, here()), await ship(stand, here())];
  expect((await rollback({ targetDeploymentId: c.id })).status).toBe(409);
  expect((await rollback({ targetDeploymentId: a.id })).body).toMatchObject({
    deploymentId: a.id,
    rolledBack: [c.id],
  });
  expect((await rollback({ targetDeploymentId: c.id })).body).toMatchObject({
    deploymentId: c.id,
    rolledBack: [a.id],
  });
  stand.target.behaviour.build = "error";
  const failed = await trigger(stand, here());
  await reached(stand, failed, "failed");
  expect((await rollback({ targetDeploymentId: failed })).body.error.message).toContain("never was live");
  expect((await rollback({ targetDeploymentId: "dep_none" })).status).toBe(404);
  expect(await stateOf(b.id)).toBe("superseded");
});

test("a rollback repeated with its key, answered or not, happens once", async () => {
  const [, b, c] = [await ship(stand, here()), await ship(stand, here()), await ship(stand, here())];
  const key = { "idempotency-key": `rb${project}` };
  await rollback({}, key);
  const settled = { status: null, body: null, created_at: new Date(0) };
  await stand.db.updateTable("idempotency_keys").set(settled).where("key", "=", `rb${project}`).execute();
  expect((await rollback({}, key)).body).toMatchObject({ deploymentId: b.id, rolledBack: [c.id] });
  expect(await stateOf(b.id)).toBe("live");
});

test("a rollback stops what is being built and what waits, and leaves the live one alone", async () => {
  const live = await ship(stand, here());
  holdBuilds();
  const building = await trigger(stand, here());
  await reached(stand, building, "building");
  const waiting = await trigger(stand, here());
  expect((await rollback()).body).toMatchObject({ deploymentId: live.id, rolledBack: [building, waiting] });
  expect(await Promise.all([building, waiting, live.id].map(stateOf))).toEqual([
    "canceled",
    "canceled",
    "live",
  ]);
});

test("a rollback takes back a canary that has some of the traffic", async () => {
  const live = await ship(stand, here());
  stand.world.preparation = { ...PREPARATION, strategy: LONG_CANARY };
  const canary = await trigger(stand, here());
  await eventually(traffic).toHaveProperty(live.targetDeploymentId ?? "", 90);
  expect((await rollback()).body).toMatchObject({ deploymentId: live.id, rolledBack: [canary] });
  expect(traffic()).toEqual({ [live.targetDeploymentId ?? ""]: 100 });
  await reached(stand, canary, "rolled_back");
  expect(await stateOf(live.id)).toBe("live");
});

test("a rollback to a named one while a canary is under way leaves the named one as the only live one", async () => {
  const [named, live] = [await ship(stand, here()), await ship(stand, here())];
  stand.world.preparation = { ...PREPARATION, strategy: LONG_CANARY };
  const canary = await trigger(stand, here());
  await eventually(traffic).toHaveProperty(live.targetDeploymentId ?? "", 90);
  expect((await rollback({ targetDeploymentId: named.id })).body).toMatchObject({
    deploymentId: named.id,
    rolledBack: [canary],
  });
  await reached(stand, canary, "rolled_back");
  expect(await Promise.all([named.id, live.id].map(stateOf))).toEqual(["live", "superseded"]);
  expect(traffic()).toEqual({ [named.targetDeploymentId ?? ""]: 100 });
});

test("a canary that answers 5xx to visitors is taken back by itself", async () => {
  const live = await ship(stand, here());
  stand.world.preparation = { ...PREPARATION, strategy: LONG_CANARY };
  const canary = await trigger(stand, here());
  await eventually(traffic).toHaveProperty(live.targetDeploymentId ?? "", 90);
  const { targetDeploymentId } = (await api().get(`/status/${canary}`)).body.deployment;
  stand.world.counters[targetDeploymentId] = { requests: 100, errors5xx: 50 };
  const back = await reached(stand, canary, "rolled_back");
  expect(back.reason).toContain("were 5xx");
  expect(back.hint).not.toBeNull();
  expect(traffic()).toEqual({ [live.targetDeploymentId ?? ""]: 100 });
});

test("a target that cannot split gets everything at once, and the result says so", async () => {
  await ship(stand, here());
  const strategy = {
    kind: "canary",
    steps: [{ weight: 10, bakeMs: 0 }],
    maxErrorRate: 0.02,
    minRequests: 0,
  } as const;
  stand.world.preparation = { ...PREPARATION, strategy };
  stand.target.behaviour.splits = false;
  expect((await ship(stand, here())).reason).toContain("cannot split");
});

test("releases too old to be rolled back to are let go at the target", async () => {
  const first = await ship(stand, here());
  for (let more = 0; more < 5; more++) await ship(stand, here());
  await eventually(() => stand.target.retired()).toContain(first.targetDeploymentId);
  const answer = await rollback({ targetDeploymentId: first.id });
  expect([answer.status, answer.body.error.message]).toEqual([
    409,
    expect.stringContaining("no longer kept"),
  ]);
});

test("the list is newest first and filtered", async () => {
  const a = await ship(stand, here());
  const b = await ship(stand, here({ environment: "staging" }));
  const ids = async (query: string) =>
    (await api().get(`/list?project=p${project}${query}`)).body.deployments.map(
      ({ id }: { id: string }) => id,
    );
  expect(await ids("")).toEqual([b.id, a.id]);
  expect(await ids("&environment=production")).toEqual([a.id]);
  expect(await ids("&state=failed")).toEqual([]);
  expect(await ids("&limit=1")).toEqual([b.id]);
  expect((await api().get("/list?state=gone")).status).toBe(400);
});
