import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerType, serve } from "@hono/node-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../../../test/support/database.ts";
import {
  type FailoverStand,
  failoverStand,
  type SharedDatabase,
} from "../../../test/support/failover-stand.ts";
import { readConfig } from "../../config.ts";
import { systemClock } from "../../foundation/clock.ts";
import { type Io, type Processes, runCli } from "../index.ts";

let database: SharedDatabase;
let stand: FailoverStand;
let server: ServerType;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "signalbox-failover-"));
  database = await freshDatabase({ migrations: ["control"] });
  stand = await failoverStand(database);
  server = await new Promise<ServerType>((resolve) => {
    const started: ServerType = serve({ fetch: stand.fetch, port: 0, hostname: "127.0.0.1" }, () =>
      resolve(started),
    );
  });
  stand.world.variables = [{ key: "STRIPE_KEY", value: null }];
  await stand.goLive("dep_cli");
  await stand.run(async () => (await stand.status()).standby?.state === "ready");
});
afterAll(async () => {
  await new Promise((resolve) => {
    server.close(resolve);
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
  await database[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

async function cli(words: string, who = "deployer") {
  let stdout = "";
  let stderr = "";
  const io: Io = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), columns: 100 },
    isTTY: false,
    cwd: home,
    onSignal: () => () => {},
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = readConfig({ XDG_CONFIG_HOME: home, SIGNALBOX_URL: url, SIGNALBOX_TOKEN: who }, home);
  const argv = ["failover", ...words.split(" ").filter(Boolean), "--project", stand.project.name];
  const code = await runCli(argv, io, config, systemClock, {} as Processes);
  return { code, stdout, stderr };
}

test("tells who serves, what is ready, and what the standby lacks", async () => {
  const { code, stdout, stderr } = await cli("", "viewer");
  expect(code, stderr).toBe(0);
  expect(stdout).toContain(stand.policy.hostname);
  expect(stdout).toMatch(/Serving +Vercel/);
  expect(stdout).toMatch(/Standby +ready, shows dep_cli/);
  expect(stdout).toMatch(/Automatic +on; 0 of 4 switches today/);
  expect(stderr).toContain("The standby lacks variables that Vercel does not tell: STRIPE_KEY.");
  expect(JSON.parse((await cli("status --json")).stdout)).toMatchObject({ serving: "primary" });
});

test("waits until the hostname was read back on the other side", async () => {
  const moved = cli("to dock --reason drill");
  await stand.run(async () => {
    const found = await stand.status();
    return found.serving === "standby" && found.switch === null;
  });
  expect(await moved).toMatchObject({
    code: 0,
    stdout: `✓ ${stand.policy.hostname} is served by the dock.\n`,
  });
  expect((await cli("to dock")).code).toBe(0);
  expect((await cli("")).stdout).toMatch(/Serving +the dock, since .* moved by hand/);
});

test("says why it is refused, and what to do", async () => {
  expect(await cli("back", "viewer")).toMatchObject({ code: 4 });
  stand.world.up.primary = false;
  await stand.run(async () => (await stand.status()).primary.verdict === "away");
  const refused = await cli("back");
  expect(refused.code).toBe(5);
  expect(refused.stderr).toContain("--force");
  expect((await cli("back --force --detach")).code).toBe(0);
  await stand.run(async () => (await stand.status()).serving === "primary");
});

test("holds the automatic back and lets it go on", async () => {
  expect(await cli("auto off")).toMatchObject({ code: 0, stdout: expect.stringContaining("is off") });
  expect((await cli("")).stdout).toMatch(/Automatic +off, by a person/);
  expect(await cli("auto on")).toMatchObject({ code: 0, stdout: expect.stringContaining("is on") });
});

test.each([
  "to",
  "to vercel",
  "auto maybe",
  "status now",
  "forth",
])("does not know `failover %s`", async (words) => {
  const { code, stderr } = await cli(words);
  expect(code).toBe(2);
  expect(stderr).toContain("auto on");
});
