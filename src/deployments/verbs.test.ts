import { expect, test } from "vitest";
import { reached, ship, trigger, withStrategy } from "../../test/scenarios/engine-stand.ts";
import { useProjects } from "../../test/scenarios/project-stand.ts";
import { ANALYSIS } from "../../test/scenarios/stories.ts";
import type { Strategy } from "../rollouts/index.ts";

const s = useProjects();
const { stand, name, here, api, stateOf, traffic, audited, eventually, holdBuilds } = s;

test("a deployment goes live, every phase on record, and is audited", async () => {
  const done = await ship(stand(), here({ commit: "abc", message: "first" }));
  expect(done).toMatchObject({
    state: "live",
    weight: 100,
    progress: 1,
    commit: "abc",
    message: "first",
    actor: "deployer",
    urls: [`http://${name()}-production.localhost:8080`],
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
  const first = await ship(stand(), here());
  const second = await ship(stand(), here());
  expect(await stateOf(first.id)).toBe("superseded");
  expect(traffic()).toEqual({ [second.targetDeploymentId ?? ""]: 100 });
});

test("every write verb refuses a viewer, and leaves nothing behind", async () => {
  const done = await ship(stand(), here());
  const viewer = stand().http(stand().as.viewer);
  const answers = await Promise.all([
    viewer.post("/trigger", { environment: "production", ...here(), source: { git: "https://x" } }),
    viewer.post("/rollback", { environment: "production", ...here() }),
    viewer.post(`/cancel/${done.id}`, {}),
  ]);
  expect(answers.map((answer) => [answer.status, answer.body.error.code])).toEqual(
    Array(3).fill([403, "forbidden"]),
  );
  expect((await viewer.get(`/list?project=${name()}`)).body.deployments).toHaveLength(1);
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
  await ship(stand(), here({ environment: "staging", commit: "abc123" }));
  const promoted = await api().post("/trigger", { environment: "production", commit: "abc", ...here() });
  expect(promoted.status).toBe(202);
  await reached(stand(), promoted.body.deploymentId, "live");
});

test("the same key and body get the same answer; another body is refused; another actor asks anew", async () => {
  const key = { "idempotency-key": `k${name()}` };
  const body = { environment: "production", ...here(), source: { git: "https://x" } };
  const first = await api().post("/trigger", body, key);
  expect(await api().post("/trigger", body, key)).toEqual(first);
  expect((await api().post("/trigger", { ...body, force: true }, key)).status).toBe(422);
  const other = await stand().http(stand().as.other).post("/trigger", body, key);
  expect(other.body.deploymentId).not.toBe(first.body.deploymentId);
});

test("a crash between the commit and the answer makes no second deployment", async () => {
  const key = { "idempotency-key": `crash${name()}` };
  const body = { environment: "production", ...here(), source: { git: "https://x" } };
  const first = await api().post("/trigger", body, key);
  // What such a crash leaves: the deployment is there, the claim on the key was never settled, and is old by now.
  await stand()
    .db.updateTable("idempotency_keys")
    .set({ status: null, body: null, created_at: new Date(0) })
    .where("key", "=", key["idempotency-key"])
    .execute();
  expect((await api().post("/trigger", body, key)).body.deploymentId).toBe(first.body.deploymentId);
  await stand()
    .db.updateTable("idempotency_keys")
    .set({ status: null, body: null })
    .where("key", "=", key["idempotency-key"])
    .execute();
  expect((await api().post("/trigger", body, key)).body.error.code).toBe("in_flight");
});

test("one at a time in an environment; the newest of a branch wins, others keep their turn", async () => {
  holdBuilds();
  const active = await trigger(stand(), here());
  await reached(stand(), active, "building");
  const older = await trigger(stand(), here());
  const otherBranch = await trigger(stand(), here({ branch: "fix" }));
  const newest = await trigger(stand(), here());
  expect(await Promise.all([older, otherBranch, newest].map(stateOf))).toEqual([
    "superseded",
    "queued",
    "queued",
  ]);
  stand().target.behaviour.build = "ready";
  await api().post(`/cancel/${active}`, {});
  await reached(stand(), newest, "live");
  expect(await stateOf(otherBranch)).toBe("superseded");
});

test("previews of different branches do not wait for each other", async () => {
  holdBuilds();
  const a = await trigger(stand(), here({ environment: "preview", branch: "a" }));
  const b = await trigger(stand(), here({ environment: "preview", branch: "b" }));
  await Promise.all([reached(stand(), a, "building"), reached(stand(), b, "building")]);
  for (const id of [a, b]) await api().post(`/cancel/${id}`, {});
});

test("canceling a build ends it at the target, cuts off a slow preparation, and is audited", async () => {
  holdBuilds();
  const building = await trigger(stand(), here());
  const { targetDeploymentId } = await waitForBuild(building);
  const canceled = await api().post(`/cancel/${building}`, {});
  expect(canceled.body.deployment).toMatchObject({ state: "canceled", reason: "Canceled by deployer." });
  await eventually(() => stand().target.effects).toContain(`cancel ${targetDeploymentId}`);
  expect(await audited("deployment.cancel", building)).toHaveLength(1);
  stand().world.prepareGate = new Promise(() => {});
  const preparing = await trigger(stand(), here());
  await reached(stand(), preparing, "preparing");
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
  const done = await ship(stand(), here());
  const answer = await api().post(`/cancel/${done.id}`, {});
  expect([answer.status, answer.body.error.hint]).toEqual([409, expect.stringContaining("/rollback")]);
  expect((await api().post("/cancel/dep_none", {})).status).toBe(404);
});

test("a failed build says what the build said last, and what to do; the release before it serves on", async () => {
  const good = await ship(stand(), here());
  Object.assign(stand().target.behaviour, {
    build: "error",
    log: ["compiling", "error: no such module ./cart"],
  });
  const id = await trigger(stand(), here());
  const failed = await reached(stand(), id, "failed");
  expect(failed.reason).toBe(
    "The build failed: npm run build ended with 1. Last output: error: no such module ./cart",
  );
  expect(failed.hint).toContain("build log");
  expect(traffic()).toEqual({ [good.targetDeploymentId ?? ""]: 100 });
});

test("a target that cannot split gets everything at once, and the result says so", async () => {
  await ship(stand(), here());
  const strategy: Strategy = { kind: "canary", steps: [{ weight: 10, bakeMs: 0 }], analysis: ANALYSIS };
  stand().world.preparation = withStrategy(strategy);
  stand().target.behaviour.splits = false;
  expect((await ship(stand(), here())).reason).toContain("cannot split");
});

test("the list is newest first and filtered", async () => {
  const a = await ship(stand(), here());
  const b = await ship(stand(), here({ environment: "staging" }));
  const ids = async (query: string) =>
    (await api().get(`/list?project=${name()}${query}`)).body.deployments.map(({ id }: { id: string }) => id);
  expect(await ids("")).toEqual([b.id, a.id]);
  expect(await ids("&environment=production")).toEqual([a.id]);
  expect(await ids("&state=failed")).toEqual([]);
  expect(await ids("&limit=1")).toEqual([b.id]);
  expect((await api().get("/list?state=gone")).status).toBe(400);
});
