import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerType, serve } from "@hono/node-server";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  engineStand,
  makeProject,
  PLAN,
  PREPARATION,
  type Stand,
  withStrategy,
} from "../../../test/scenarios/engine-stand.ts";
import type { ActorEnv } from "../../access/index.ts";
import { readConfig } from "../../config.ts";
import { deploymentRoutes } from "../../deployments/index.ts";
import { systemClock } from "../../foundation/clock.ts";
import { createApi } from "../../foundation/http.ts";
import { randomIds } from "../../foundation/ids.ts";
import { silentLog } from "../../foundation/log.ts";
import type { AnalysisPolicy } from "../../rollouts/index.ts";
import { type Io, runCli } from "../index.ts";

let stand: Stand;
let server: ServerType;
let url: string;
let home: string;
let project = 0;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "signalbox-rollouts-"));
  stand = await engineStand();
  const app = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  app.use(async (c, next) => {
    const isViewer = c.req.header("authorization") === "Bearer viewer";
    c.set("actor", isViewer ? stand.as.viewer : stand.as.deployer);
    await next();
  });
  app.post("/api/projects", (c) => c.json({ project: {} }));
  app.route("/api/deploy", deploymentRoutes(stand.engine.deps));
  server = await new Promise<ServerType>((resolve) => {
    const started: ServerType = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () =>
      resolve(started),
    );
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((resolve) => {
    server.close(resolve);
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
  await stand[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(async () => {
  project += 1;
  await makeProject(stand.pool, `r${project}`);
  Object.assign(stand.target.behaviour, { buildLooks: 0, build: "ready", kind: "static", splits: true });
  stand.world.preparation = PREPARATION;
});

async function cli(argv: string[], who = "deployer") {
  let stdout = "";
  let stderr = "";
  const io: Io = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), columns: 100 },
    isTTY: false,
    cwd: home,
    onSignal: () => () => {},
  };
  const config = readConfig({ XDG_CONFIG_HOME: home, SIGNALBOX_URL: url, SIGNALBOX_TOKEN: who }, home);
  const processes = {
    up: async () => ({ url: "", dockUrl: "", gatewayUrl: "", token: null, pids: {} }),
    down: async () => ({ stopped: [] }),
    dockAccess: async () => Promise.reject(new Error("no dock here")),
  };
  const code = await runCli(argv, io, config, systemClock, processes);
  return { code, stdout, stderr, text: stdout + stderr };
}

const GIT = "https://git.example.com/acme/shop.git";
const here = () => ["--project", `r${project}`, "--env", "production"];
const deploy = (...more: string[]) => cli(["deploy", GIT, "--branch", "main", ...here(), ...more]);
const JUDGED: AnalysisPolicy = {
  intervalMs: 10_000,
  maxErrorRate: null,
  maxLatencyMs: null,
  compare: false,
  confidence: 0.95,
  tolerance: 0.25,
  effectSize: 1,
  minRequests: 0,
  failureLimit: 1,
  queries: [],
};
const BY_HAND = withStrategy({ kind: "canary", steps: [{ weight: 10, bakeMs: null }], analysis: JUDGED });

/** A canary at 10 % that a person has to move on. */
async function canary(): Promise<string> {
  expect(await deploy()).toMatchObject({ code: 0 });
  stand.world.preparation = BY_HAND;
  const left = await deploy("--json");
  expect(left.code).toBe(7);
  const { deploymentId, state } = JSON.parse(left.stdout);
  expect(state).toBe("shifting");
  expect(left.stderr).toContain("The rollout stays at 10 % until a person goes on.");
  expect(left.stderr).toContain(`→ signalbox advance ${deploymentId}`);
  expect(left.stderr).toContain("it goes on once somebody came");
  return deploymentId;
}

test("plan tells what would happen and where it hurts, to a viewer too, and deploys nothing", async () => {
  const told = await cli(["plan", GIT, "--branch", "main", ...here()], "viewer");
  expect(told.code).toBe(0);
  expect(told.stdout).toMatch(
    /^r1 to production\n\ndowntime {2}none\n {2}because nothing serves there yet\n/,
  );
  expect(told.stdout).toMatch(/SERVICE +CHANGE +AT\napp +new +http/);
  expect(told.stdout).toMatch(/verifying +app is healthy for 10 s: GET \/ answers 200 to 399/);
  expect(told.stdout).toContain("rollback  nothing to go back to");
  expect(told.stdout).toContain('! app is only asked for "/"');
  const asked = await cli(["plan", GIT, ...here(), "--json"]);
  expect(JSON.parse(asked.stdout)).toMatchObject({ downtime: { expected: "none" }, queue: { ahead: 0 } });
  expect(JSON.parse((await cli(["list", "--json"])).stdout).deployments).toEqual([]);
});

test("a rollout is paused, resumed and promoted by name, and each is on record", async () => {
  const id = await canary();
  expect(await cli(["pause", id], "viewer")).toMatchObject({ code: 4 });
  const paused = await cli(["pause", id, "--reason", "the checkout is slow"]);
  expect(paused).toMatchObject({ code: 0, stdout: `✓ ${id} was told to stay where it is.\n` });
  const status = async () => (await cli(["status", id])).stdout;
  await expect.poll(status, { timeout: 20_000 }).toMatch(/paused at 10 % by \w+: the checkout is slow\./);
  expect(await status()).toContain(`→ signalbox resume ${id}`);
  expect(await cli(["resume", id])).toMatchObject({ code: 0 });
  const promoted = await cli(["promote", id, "--json"]);
  expect(JSON.parse(promoted.stdout)).toMatchObject({ deployment: { id } });
  expect(await cli(["status", id, "--watch", "--wait"])).toMatchObject({ code: 0 });
  const { rows } = await stand.pool.query(
    "select action from audit_log where subject_id = $1 and action <> 'deployment.trigger' order by at, id",
    [id],
  );
  expect(rows.map(({ action }) => action)).toEqual([
    "deployment.pause",
    "deployment.resume",
    "deployment.promote",
  ]);
  const late = await cli(["abort", id]);
  expect(late.code).toBe(5);
  expect(late.stderr).toContain("`signalbox rollback`");
});

test("abort takes the traffic back, and who follows hears of it", async () => {
  const id = await canary();
  expect(await cli(["abort", id, "--reason", "wrong prices"])).toMatchObject({ code: 0 });
  const ended = await cli(["status", id, "--watch", "--wait"]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain("wrong prices");
});

test("rollback --stepped goes back by the canary's weights", async () => {
  const id = await canary();
  await cli(["advance", id]);
  await cli(["status", id, "--watch", "--wait"]);
  expect(await cli(["rollback", ...here(), "--stepped"], "viewer")).toMatchObject({ code: 4 });
  const back = await cli(["rollback", ...here(), "--stepped"]);
  expect(back.code).toBe(0);
  expect(back.stdout).toMatch(new RegExp(`production goes back to dep_\\w+ by steps, from ${id}`));
  expect(back.stderr).toContain(`signalbox status ${id} --watch`);
});

test("what waits for approval says so with its digest and the command, and nobody hangs", async () => {
  const approvals = { required: 1, reviewers: [], selfApproval: false, expiresMs: 3_600_000 };
  stand.world.preparation = { ...PREPARATION, plan: { ...PLAN, gate: { approvals, waitMs: 0 } } };
  const left = await deploy();
  expect(left).toMatchObject({ code: 7, stdout: "" });
  expect(left.stderr).toMatch(/! .*Waits for 1 approval\.\n {2}digest [0-9a-f]{64}\n/);
  expect(left.stderr).toMatch(/→ signalbox approve dep_\w+ --digest [0-9a-f]{64}/);
  expect(await deploy("--wait", "--no-wait")).toMatchObject({ code: 2 });
});
