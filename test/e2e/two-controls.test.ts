import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join, resolve } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Api, createApi, type Deployment } from "../../bench/support/api.ts";
import { databaseOf } from "../../bench/support/database-of.ts";
import { freePort } from "../../bench/support/instance.ts";
import { readTree } from "../../bench/support/tree.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { readState } from "../../src/supervisor/state.ts";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

/** A control plane: its API, its process, and the name under which its engine holds leases. */
type Control = { readonly api: Api; readonly url: string; readonly pid: number; worker: string };

let at: TestInstance;
let database: pg.Client;
let second: ChildProcess;
let controls: readonly [Control, Control];

beforeAll(async () => {
  at = await startTestInstance();
  const databaseUrl = await databaseOf(at.dir);
  database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  const first = { api: at.api, url: at.url, pid: (await readState(at.dir))?.processes.control?.pid ?? 0 };
  const worker = await workerOf(first.api, "first-alone");
  const other = await startSecondControl(databaseUrl);
  // The second one's name is whatever is not the first's.
  controls = [
    { ...first, worker },
    { ...other, worker: "" },
  ];
}, 120_000);

afterAll(async () => {
  for (const { pid } of controls) resume(pid);
  await controls[1].api.close();
  second.kill("SIGTERM");
  await once(second, "exit");
  await database.end();
  await at.remove();
});

async function startSecondControl(databaseUrl: string): Promise<Omit<Control, "worker">> {
  const port = await freePort();
  const log = openSync(join(at.dir, "log", "second-control.log"), "a", 0o600);
  second = spawn(process.execPath, [resolve("src/main.ts"), "start", "control"], {
    env: {
      ...process.env,
      ...at.environment,
      DATABASE_URL: databaseUrl,
      SIGNALBOX_PORT: String(port),
    },
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  const [message] = (await once(second, "message")) as [{ type: string; message?: string }];
  expect(message, message.message).toMatchObject({ type: "ready" });
  const url = `http://127.0.0.1:${port}`;
  return { url, api: createApi({ url, token: at.token }), pid: second.pid ?? 0 };
}

/** The name under which the only control plane holds leases: seen on a deployment that it works on. */
async function workerOf(api: Api, project: string): Promise<string> {
  const id = await deploy(api, project, "v0", INSTANT);
  const owner = await until(() => lease(id).then(({ owner }) => owner));
  await api.waitFor(id);
  return owner;
}

const INSTANT = "instant";
const CANARY = "{ canary: { steps: [{ weight: 50, bake: 3s }], min_requests: 0 } }";

async function deploy(api: Api, project: string, version: string, strategy: string): Promise<string> {
  await using app = await folderOf({
    "package.json": packageJson(project),
    "signalbox.yaml": `health: { interval: 100ms, min_healthy_time: 1s, deadline: 60s }
environments: { production: { strategy: ${strategy} } }
`,
    "server.js": `import http from "node:http";
http.createServer((q, s) => s.end("${version}")).listen(process.env.PORT ?? 3000);`,
  });
  await api.createProject(project);
  const { tree } = await api.sendTree(project, await readTree(app.path));
  return (await api.trigger({ environment: "production", project, source: { tree } })).deploymentId;
}

async function lease(id: string): Promise<{ owner: string | null; token: number }> {
  const { rows } = await database.query(
    "select lease_owner as owner, lease_token::int as token from deployments where id = $1",
    [id],
  );
  return rows[0];
}

async function eventsOf(id: string): Promise<{ to: string; token: number; weight: number | null }[]> {
  const { rows } = await database.query(
    `select to_state as "to", lease_token::int as token, weight from deployment_events where deployment_id = $1
     order by id`,
    [id],
  );
  return rows;
}

/** How often the dock made a deployment for this project, and was made to move its traffic. */
async function effectsAt(project: string): Promise<{ builds: number }> {
  const { rows } = await database.query(
    `select count(*)::int as builds from dock.deployments d join dock.projects p on p.id = d.project_id
     where p.name = $1`,
    [project],
  );
  return rows[0];
}

async function until<T>(look: () => Promise<T | null | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await systemClock.sleep(10);
  }
}

function stop(pid: number): void {
  process.kill(pid, "SIGSTOP");
}

function resume(pid: number): void {
  process.kill(pid, "SIGCONT");
}

/** Who holds a deployment's lease, and who does not. */
async function holderOf(id: string): Promise<{ holder: Control; other: Control; token: number }> {
  const { owner, token } = await until(() => lease(id).then((found) => (found.owner ? found : null)));
  const [first, other] = controls;
  return owner === first.worker ? { holder: first, other, token } : { holder: other, other: first, token };
}

const serves = async (project: string) => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => at.get(`http://${project}.localhost:${at.gatewayPort}`)),
  );
  return [...new Set(answers.map(({ body }) => body))].sort();
};

/** The one that slept is awake, and has had its turn: what was due in it comes before what it is asked now. */
async function awake({ api }: Control, project: string): Promise<void> {
  const id = await deploy(api, project, "awake", INSTANT);
  expect((await api.waitFor(id)).state).toBe("live");
}

/** Stops whoever works on `id` once it is where `when` says, and returns both, and the token of the stopped one. */
async function stopHolder(id: string, when: (deployment: Deployment) => boolean) {
  await at.api.waitFor(id, when, 10);
  const found = await holderOf(id);
  stop(found.holder.pid);
  return found;
}

test.each([
  { where: "verifying", strategy: INSTANT, when: ({ state }: Deployment) => state === "verifying" },
  {
    where: "a canary's shifting",
    strategy: CANARY,
    when: ({ state, weight }: Deployment) => state === "shifting" && weight === 50,
  },
])("a control plane that stops in the middle of $where is taken over, and does nothing when it wakes", async ({
  where,
  strategy,
  when,
}) => {
  const project = where === "verifying" ? "stopped-verifying" : "stopped-shifting";
  await at.api.waitFor(await deploy(at.api, project, "v1", strategy));
  const id = await deploy(at.api, project, "v2", strategy);
  const { holder, other, token } = await stopHolder(id, when);
  expect((await other.api.waitFor(id)).state).toBe("live");
  const after = await eventsOf(id);
  // The other one wrote the rest, under a token of its own.
  const tokens = after.map((event) => event.token);
  expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
  expect(tokens.at(-1)).toBeGreaterThan(token);

  resume(holder.pid);
  await awake(holder, `awake-${project}`);
  expect(await eventsOf(id)).toEqual(after);
  expect((await other.api.status(id)).deployment).toMatchObject({ state: "live", weight: 100 });
  expect(await serves(project)).toEqual(["v2"]);
  // Each state once: nothing was done twice.
  const states = after.map(({ to, weight }) => `${to} ${weight}`);
  expect(new Set(states).size).toBe(states.length);
  expect(await effectsAt(project)).toEqual({ builds: 2 });
});

test("a rollback at the other control plane need not wait for one that stopped while it shifted", async () => {
  const project = "rolled-back-meanwhile";
  await at.api.waitFor(await deploy(at.api, project, "v1", CANARY));
  const id = await deploy(at.api, project, "v2", CANARY);
  const { holder, other } = await stopHolder(
    id,
    ({ state, weight }) => state === "shifting" && weight === 50,
  );
  const asked = systemClock.monotonicMs();
  const answered = other.api.rollback({ environment: "production", project });
  await until(async () => (await serves(project)).join() === "v1");
  const movedMs = systemClock.monotonicMs() - asked;
  await answered;
  expect(movedMs).toBeLessThan(5_000);
  expect((await other.api.waitFor(id)).state).toBe("rolled_back");
  const after = await eventsOf(id);

  resume(holder.pid);
  await awake(holder, `awake-${project}`);
  expect(await eventsOf(id)).toEqual(after);
  expect(await serves(project)).toEqual(["v1"]);
  expect(await effectsAt(project)).toEqual({ builds: 2 });
});
