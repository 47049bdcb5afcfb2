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
