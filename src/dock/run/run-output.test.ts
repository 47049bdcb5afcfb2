import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { writeOutput } from "../../../test/support/build-output.ts";
import { ask, MACHINE_PATH, NETWORK_ENV, temporaryDirectory } from "../../../test/support/trees.ts";
import { systemClock } from "../../foundation/clock.ts";
import { silentLog } from "../../foundation/log.ts";
import { isAlive } from "../../foundation/process.ts";
import { OUTPUT_SERVER } from "../output/command.ts";
import { createRunner } from "./index.ts";
import type { Runner } from "./run.ts";

let runner: Runner | null = null;

afterEach(async () => {
  await runner?.stop("dpl_1", { graceMs: 0 });
  await runner?.close();
  runner = null;
});

test("a Build Output runs as a release: functions answer, their lines are in its log, stopping ends them", async () => {
  await using place = await temporaryDirectory();
  const directory = join(place.path, "built");
  const source = `module.exports = (req, res) => {
    console.log("from the function");
    res.json([process.pid, process.env.NAME, process.env.PORT ?? null]);
  };`;
  await writeOutput(directory, { files: { "index.html": "home" }, functions: { "api/who": source } });
  const options = {
    dir: place.path,
    path: MACHINE_PATH,
    networkEnv: NETWORK_ENV,
    clock: systemClock,
    log: silentLog,
  };
  runner = createRunner({ ...options, startDeadlineMs: 60_000 });
  const spec = {
    deploymentId: "dpl_1",
    server: { directory, command: OUTPUT_SERVER },
    env: { NAME: "release" },
  };
  await runner.start(spec, new AbortController().signal);
  const socket = runner.socketPath("dpl_1");
  expect((await ask(socket)).body).toBe("home");
  const [pid, name, port] = JSON.parse((await ask(socket, "/api/who")).body);
  expect([name, port, isAlive(pid)]).toEqual(["release", null, true]);
  const lines = await runner.tail("dpl_1", 10);
  const line = lines.map((text) => JSON.parse(text)).find(({ message }) => message === "from the function");
  expect(line).toMatchObject({ signalbox: "runtime", path: "/api/who", level: "info" });
  await runner.stop("dpl_1");
  expect(isAlive(pid)).toBe(false);
});

test("a Build Output reaches what the dock allows and its own variables do not; functions see neither", async () => {
  await using place = await temporaryDirectory();
  await using outside = await listen();
  const directory = join(place.path, "built");
  const routes = [{ src: "/outside", dest: `http://127.0.0.1:${outside.port}/` }];
  const source = "module.exports = (req, res) => res.json(process.env.SIGNALBOX_ALLOW_NETWORKS ?? null);";
  await writeOutput(directory, { config: { routes }, functions: { "api/env": source } });
  const options = { dir: place.path, path: MACHINE_PATH, networkEnv: NETWORK_ENV, clock: systemClock };
  const answers = async (allowNetworks: readonly string[]) => {
    const one = createRunner({ ...options, log: silentLog, allowNetworks });
    runner = one;
    const server = { directory, command: OUTPUT_SERVER };
    const env = { SIGNALBOX_ALLOW_NETWORKS: "0.0.0.0/0" };
    await one.start({ deploymentId: "dpl_1", server, env }, new AbortController().signal);
    const [rewrite, seen] = await Promise.all(
      ["/outside", "/api/env"].map((path) => ask(one.socketPath("dpl_1"), path)),
    );
    await one.stop("dpl_1");
    await one.close();
    return [rewrite?.status, seen?.body];
  };
  expect(await answers(["127.0.0.0/8"])).toEqual([200, "null"]);
  expect(await answers([])).toEqual([502, "null"]);
});

async function listen(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((_req, res) => void res.end("outside"));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((done) => server.close(() => done())),
  };
}
