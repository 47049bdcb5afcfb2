import { afterAll, beforeAll, expect, test } from "vitest";
import { signalbox } from "../../bench/support/instance.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { isAlive } from "../../src/foundation/process.ts";
import { readState, type SupervisorState } from "../../src/supervisor/state.ts";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

const SERVER = `import http from "node:http";
http.createServer((q, s) => s.end("pid " + process.pid)).listen(process.env.PORT ?? 3000);`;

const state = async (): Promise<SupervisorState> => {
  const found = await readState(at.dir);
  if (!found) throw new Error("there is no supervisor.json");
  return found;
};
const pidOf = async (name: string) => (await state()).processes[name]?.pid ?? 0;

async function kill(name: string): Promise<void> {
  const pid = await pidOf(name);
  process.kill(pid, "SIGKILL");
  await until(async () => !isAlive(pid));
}

const ready = async () => (await fetch(`${at.url}/api/health/ready`)).ok;

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition().catch(() => false))) await systemClock.sleep(25);
}

test("with control, dock, prober and postgres killed, the gateway serves on and everything comes back", async () => {
  await using app = await folderOf({ "package.json": packageJson("sturdy"), "server.js": SERVER });
  const deployed = await at.deploy(app.path, "--env", "staging");
  expect(deployed, deployed.output).toMatchObject({ state: "live" });
  const url = deployed.urls[0] ?? "";
  const before = (await at.get(url)).body;
  for (const name of ["control", "dock", "prober", "postgres"]) {
    await kill(name);
    expect(await at.get(url)).toMatchObject({ status: 200, body: before });
  }
  await until(ready);
  await app.write({ "server.js": SERVER.replace("pid ", "second ") });
  const second = await at.deploy(app.path, "--env", "staging");
  expect(second, second.output).toMatchObject({ state: "live" });
  expect((await at.get(url)).body).toContain("second ");
  expect((await at.get(deployed.url ?? "")).body).toBe(before);
});

test("a deployment goes on where it was when the control plane is killed under it", async () => {
  await using app = await folderOf({
    "package.json": packageJson("resumed", {
      build: "node -e 'setTimeout(() => {}, 1500)'",
      start: "node server.js",
    }),
    "server.js": SERVER,
  });
  const started = await at.deploy(app.path, "--env", "staging", "--detach");
  await at.api.waitFor(started.id, (deployment) => deployment.state === "building");
  await kill("control");
  await until(ready);
  expect((await at.api.waitFor(started.id)).state).toBe("live");
});

test("an app that is killed is started again", async () => {
  await using app = await folderOf({ "package.json": packageJson("phoenix"), "server.js": SERVER });
  const deployed = await at.deploy(app.path, "--env", "staging");
  const url = deployed.urls[0] ?? "";
  const pid = Number(/pid (\d+)/.exec((await at.get(url)).body)?.[1]);
  process.kill(pid, "SIGKILL");
  await until(async () => {
    const answer = await at.get(url);
    return answer.status === 200 && !answer.body.includes(`pid ${pid}`);
  });
});

test("after a killed supervisor the next one adopts what lives, and nothing that served was interrupted", async () => {
  await using app = await folderOf({ "package.json": packageJson("adopted"), "server.js": SERVER });
  const deployed = await at.deploy(app.path, "--env", "staging");
  const url = deployed.urls[0] ?? "";
  const before = (await at.get(url)).body;
  const { supervisor, processes } = await state();
  process.kill(supervisor.pid, "SIGKILL");
  await until(async () => !isAlive(supervisor.pid));
  expect((await at.get(url)).body).toBe(before);
  const up = await signalbox(["up", "--json"], { environment: at.environment });
  expect(up.code, up.output).toBe(0);
  expect(JSON.parse(up.stdout.trim().split("\n").at(-1) ?? "").token).toBeNull();
  expect(await pidOf("gateway")).toBe(processes.gateway?.pid);
  expect(await pidOf("postgres")).toBe(processes.postgres?.pid);
  expect((await at.get(url)).body).toBe(before);

  // An adopted gateway is watched like one of our own.
  await kill("gateway");
  await until(async () => (await at.get(url)).body === before);
});

test("down leaves no process behind, and the next up finds everything as it was", async () => {
  await using app = await folderOf({ "package.json": packageJson("returning"), "server.js": SERVER });
  const deployed = await at.deploy(app.path, "--env", "staging");
  const app1 = Number(/pid (\d+)/.exec((await at.get(deployed.urls[0] ?? "")).body)?.[1]);
  const { supervisor, processes } = await state();
  const stopped = await signalbox(["down"], { environment: at.environment });
  expect(stopped.code, stopped.output).toBe(0);
  const pids = [supervisor.pid, app1, ...Object.values(processes).map(({ pid }) => pid)];
  expect(pids.filter(isAlive)).toEqual([]);

  const up = await signalbox(["up", "--json"], { environment: at.environment });
  expect(up.code, up.output).toBe(0);
  await until(async () => (await at.get(deployed.urls[0] ?? "")).body.startsWith("pid "));
  const [latest] = await at.api.list("project=returning");
  expect(latest).toMatchObject({ id: deployed.id, state: "live" });
});
