import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  engineStand,
  makeProject,
  PLAN,
  PREPARATION,
  SERVICE,
  type Stand,
  withStrategy,
} from "../../test/scenarios/engine-stand.ts";
import type { Actor } from "../access/index.ts";
import { planDeployment } from "./plan-deployment.ts";
import type { PlanPorts } from "./plan-deployment-ports.ts";

let stand: Stand;
let project = 0;

beforeAll(async () => {
  stand = await engineStand();
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(async () => {
  project += 1;
  await makeProject(stand.pool, `q${project}`);
  Object.assign(stand.target.behaviour, { buildLooks: 0, build: "ready", kind: "static", splits: true });
  stand.world.preparation = PREPARATION;
});

const NO_ANALYSIS = {
  intervalMs: 10_000,
  maxErrorRate: 1,
  maxLatencyMs: null,
  compare: false,
  confidence: 0.95,
  tolerance: 0.25,
  effectSize: 1,
  minRequests: 0,
  failureLimit: 1,
  queries: [],
};
const BODY = { environment: "production", branch: "main", source: { tree: "a".repeat(64) } };
const plan = async (body: object = {}, actor: Actor = stand.as.viewer) =>
  (await stand.http(actor).post("/plan", { ...BODY, project: `q${project}`, ...body })).body;
const list = async () =>
  (await stand.http(stand.as.viewer).get(`/list?project=q${project}`)).body.deployments;
const ship = async (body: object = {}) => {
  const api = stand.http(stand.as.deployer);
  const { deploymentId } = (await api.post("/trigger", { ...BODY, project: `q${project}`, ...body })).body;
  const state = async () => (await api.get(`/status/${deploymentId}`)).body.deployment.state;
  return { id: deploymentId as string, state };
};

test("a viewer is told what a first deployment does, and nothing is written or built", async () => {
  const told = await plan();
  expect(told).toMatchObject({
    place: "production",
    services: [{ name: "app", change: "new", targetProject: `q${project}` }],
    downtime: { expected: "none", because: ["nothing serves there yet"] },
    rollback: { to: null, barrier: null, window: "1 h" },
    queue: { ahead: 0, supersedes: [] },
    migrations: { expand: null, contract: null },
  });
  expect(told.steps.map(({ at }: { at: string }) => at)).toEqual([
    "preparing",
    "building",
    "verifying",
    "releasing",
    "shifting",
    "live",
  ]);
  expect(told.steps.at(-2).text).toBe("all traffic at once: nothing serves there yet");
  expect(await list()).toEqual([]);
});

test("services are compared with those that serve, which a rollback would go back to", async () => {
  const api = { ...SERVICE, name: "api" };
  stand.world.preparation = { plan: PLAN, services: [api, SERVICE] };
  const { id, state } = await ship();
  await expect.poll(state, { timeout: 30_000, interval: 20 }).toBe("live");
  stand.world.preparation = { plan: PLAN, services: [api, { ...SERVICE, inputs: "other" }] };
  const told = await plan();
  expect(told.services.map(({ name, change }: Record<string, string>) => `${name} ${change}`)).toEqual([
    "api unchanged",
    "app changed",
  ]);
  expect(told.downtime.because).toEqual([
    "api: its inputs are the same, so it keeps its release",
    "app: both releases are up and warm, and the switch moves a pointer",
  ]);
  expect(told.rollback.to).toBe(id);
});

test("who is before it, who gives way to it, and what holds it are told", async () => {
  stand.target.behaviour.build = "hangs";
  const first = await ship();
  await expect.poll(first.state, { timeout: 30_000, interval: 20 }).toBe("building");
  const second = await ship();
  await stand.pool.query(
    `insert into deploy_locks (id, project_id, environment, owner_name, reason, created_at)
     select 'lck_' || id, id, 'production', 'ann', 'moving', now() from projects where name = $1`,
    [`q${project}`],
  );
  const approvals = { required: 1, reviewers: ["bob"], selfApproval: false, expiresMs: 1_000 };
  stand.world.preparation = { ...PREPARATION, plan: { ...PLAN, gate: { approvals, waitMs: 0 } } };
  const told = await plan();
  expect(told.queue).toEqual({ ahead: 1, supersedes: [second.id] });
  expect(told.gate).toMatchObject({ startsNow: false, locks: [{ owner: "ann", reason: "moving" }] });
  expect(told.gate.waitsFor).toMatch(/1 approval \(by bob\).*lock by ann/);
  expect(told.steps[0]).toEqual({ at: "queued", text: "wait for 1 before it" });
});

const SCHEMA = {
  expand: ["0002.sql"],
  contract: ["0001_drop.sql"],
  timeoutMs: 1_000,
  hold: { maxMs: 5_000, maxRequests: 100 },
};
const planWith = (readSchema: PlanPorts["readSchema"]) =>
  planDeployment(
    { ...stand.engine.deps, planning: { readSchema } },
    stand.as.viewer,
    { environment: "production", branch: "main", project: `q${project}`, source: { tree: "a".repeat(64) } },
    AbortSignal.timeout(20_000),
  );

test("migrations are told with what bars the way back; a silent database leaves the rest of the plan", async () => {
  const { state } = await ship();
  await expect.poll(state, { timeout: 30_000, interval: 20 }).toBe("live");
  stand.world.preparation = { ...PREPARATION, plan: { ...PLAN, schema: SCHEMA } };
  stand.world.barrier = { name: "0000_old.sql", by: "dep_0", at: new Date(0) };
  const phase = { applied: [], problems: [] };
  const told = await planWith(async () => ({
    expand: { ...phase, pending: ["0002.sql"] },
    contract: { ...phase, pending: ["0001_drop.sql"] },
    locking: [],
    warnings: ["0002.sql:1 A note."],
  }));
  expect(told.downtime.expected).toBe("about 5 s");
  expect(told.migrations.expand?.pending).toEqual(["0002.sql"]);
  expect(told.steps).toContainEqual({ at: "migrating", text: "apply 0002.sql, while requests wait" });
  expect(told.warnings.join("\n")).toMatch(/A note[\s\S]*the contract runs \(0001_drop\.sql\)/);
  expect(told.rollback.barrier).toBe("0000_old.sql");
  stand.world.barrier = null;
  const silent = await planWith(() => Promise.reject(new Error("it refused.")));
  expect(silent.migrations).toEqual({ expand: null, contract: null });
  expect(silent.warnings[0]).toBe("The database could not be asked what it has: it refused.");
});

test("a canary that this target cannot split is told beforehand, with what will happen instead", async () => {
  const { state } = await ship();
  await expect.poll(state, { timeout: 30_000, interval: 20 }).toBe("live");
  const steps = [{ weight: 10, bakeMs: 1_000 }];
  stand.world.preparation = withStrategy({ kind: "canary", steps, analysis: NO_ANALYSIS });
  for (const [split, word] of [
    [false, /cannot split traffic, so it goes from 0 to 100 %/],
    ["unknown", /shows only then; without, it goes from 0 to 100 %/],
  ] as const) {
    const abilities = stand.target.abilities;
    Object.assign(stand.target, { abilities: async () => ({ split, hold: false }) });
    expect((await plan()).downtime.because.join("\n")).toMatch(word);
    Object.assign(stand.target, { abilities: () => Promise.reject(new Error("away")) });
    expect((await plan()).downtime.because.join("\n")).toMatch(/shows only then/);
    Object.assign(stand.target, { abilities });
  }
});

test("a mistake of the request is told as a trigger would tell it", async () => {
  expect(await plan({ environment: "production", pullRequest: 3 })).toMatchObject({
    error: { code: "bad_request" },
  });
  expect(await plan({ source: undefined })).toMatchObject({ error: { code: "bad_request" } });
});
