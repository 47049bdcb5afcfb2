import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type ServerType, serve } from "@hono/node-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CheckStand, checkStand } from "../../../test/support/check-stand.ts";
import { aService } from "../../../test/support/deployment-row.ts";
import { readConfig } from "../../config.ts";
import { systemClock } from "../../foundation/clock.ts";
import { type Io, type Processes, runCli } from "../index.ts";

let stand: CheckStand;
let server: ServerType;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "signalbox-check-"));
  stand = await checkStand();
  await stand.makeProject("shop");
  await stand.goLive("dep_1", "shop", { services: [aService("app")] });
  await stand.sync();
  // The token is the role's name: who has which is tested elsewhere.
  const fetch = async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    const role = (request.headers.get("authorization") ?? "").replace("Bearer ", "") as "owner";
    const hasBody = !["GET", "HEAD"].includes(request.method);
    const headers = { "content-type": "application/json" };
    const body = hasBody ? await request.text() : null;
    return stand.fetch(role, pathname + search, {
      method: request.method,
      headers,
      ...(body ? { body } : {}),
    });
  };
  server = await new Promise<ServerType>((resolve) => {
    const started: ServerType = serve({ fetch, port: 0, hostname: "127.0.0.1" }, () => resolve(started));
  });
});
afterAll(async () => {
  await new Promise((resolve) => {
    server.close(resolve);
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
  await stand[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

async function cli(argv: string[], { who = "owner", input = "" } = {}) {
  let stdout = "";
  let stderr = "";
  const io: Io = {
    stdin: Readable.from([input]),
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), columns: 100 },
    isTTY: false,
    cwd: home,
    onSignal: () => () => {},
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = readConfig({ XDG_CONFIG_HOME: home, SIGNALBOX_URL: url, SIGNALBOX_TOKEN: who }, home);
  const code = await runCli(argv, io, config, systemClock, {} as Processes);
  return { code, stdout, stderr };
}

const shop = ["--project", "shop"];

/** In a prober's place. */
async function answer(attempt: object): Promise<void> {
  const open = () => stand.rows("select id from check_requests where answered_at is null");
  await expect.poll(async () => (await open()).length).toBe(1);
  const round = { attempts: [{ startedAt: 1, ...attempt }], untrusted: null };
  const set = "update check_requests set answered_at = $1, round = $2 where id = $3";
  await stand.rows(set, [stand.clock.now(), JSON.stringify(round), (await open())[0]?.id]);
}

test("what is down is explained, with where the time went and what to do; the exit code says so", async () => {
  const failure = { class: "refused", message: "Nobody listens at shop.localhost:80." };
  const [run] = await Promise.all([
    cli(["check", "app", ...shop]),
    answer({ status: "down", latencyMs: 700, failure, phases: { dnsMs: 600 } }),
  ]);
  expect(run.code, run.stderr).toBe(1);
  expect(run.stdout).toContain("production/app*  down  700 ms");
  expect(run.stdout).toContain("refused: Nobody listens at shop.localhost:80.");
  expect(run.stdout).toContain("→ See whether the service runs");
  expect(run.stdout).toContain("Time went into: name 600 ms.");
});

test("all good ends with 0", async () => {
  const [run] = await Promise.all([
    cli(["check", "--json", ...shop]),
    answer({ status: "up", latencyMs: 3 }),
  ]);
  expect(run.code).toBe(0);
  expect(JSON.parse(run.stdout)).toMatchObject({ ok: true, results: [{ status: "up" }] });
});

test("states are listed; who may not run them is told so", async () => {
  const { code, stdout } = await cli(["checks"], { who: "viewer" });
  expect(code).toBe(0);
  expect(stdout).toMatch(/shop +production +app\* +unknown/);
  expect((await cli(["check", ...shop], { who: "viewer" })).code).toBe(4);
  expect((await cli(["check", "nobody", ...shop])).code).toBe(6);
});

test("a secret's value comes from stdin, without its last newline, and is shown nowhere", async () => {
  const set = await cli(["secret", "set", "KEY", ...shop], { input: "s3cr3t\n" });
  expect(set.code, set.stderr).toBe(0);
  const listed = await cli(["secret", "list", ...shop]);
  expect(listed.stdout).toMatch(/KEY +all/);
  expect(JSON.stringify([set, listed])).not.toContain("s3cr3t");
  const { sealed } = (await stand.rows("select sealed from project_secrets"))[0] ?? {};
  expect(stand.deps.box.open(sealed as Buffer, "secret:prj_shop::KEY")).toBe("s3cr3t");
  expect((await cli(["secret", "set", "KEY", ...shop], { input: "" })).code).toBe(2);
  expect((await cli(["secret", "set", "KEY", "value", ...shop])).code).toBe(2);
  expect((await cli(["secret", "delete", "KEY", ...shop])).code).toBe(0);
});

test("a network is allowed with a reason, listed, and taken back", async () => {
  expect((await cli(["network", "allow", "10.1.0.0/16", ...shop])).code).toBe(2);
  const allow = ["network", "allow", "10.1.0.0/16", "--reason", "the databases", ...shop];
  expect((await cli(allow, { who: "deployer" })).code).toBe(4);
  expect((await cli(allow)).stdout).toContain("may reach 10.1.0.0/16");
  expect((await cli(["network", "list", ...shop])).stdout).toMatch(/10\.1\.0\.0\/16 +owner .*the databases/);
  expect((await cli(["network", "deny", "10.1.0.0/16", ...shop])).code).toBe(0);
});
