import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerType, serve } from "@hono/node-server";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type ControlDouble, startControlDouble, TOKEN } from "../../../test/support/control-double.ts";
import { type FreshDatabase, freshDatabase } from "../../../test/support/database.ts";
import type { Actor, ActorEnv } from "../../access/index.ts";
import { readConfig } from "../../config.ts";
import { systemClock } from "../../foundation/clock.ts";
import { createDatabase } from "../../foundation/db.ts";
import { createApi } from "../../foundation/http.ts";
import { randomIds } from "../../foundation/ids.ts";
import { silentLog } from "../../foundation/log.ts";
import { type GateDeps, type GateTables, gateRoutes } from "../../gates/index.ts";
import { getProject, type ProjectTables } from "../../projects/index.ts";
import { type Io, type Processes, runCli } from "../index.ts";

const DIGEST = "a".repeat(64);
const ROLES: Record<string, Actor["role"]> = {
  vic: "viewer",
  ann: "deployer",
  bob: "deployer",
  olga: "owner",
};

let fresh: FreshDatabase;
let server: ServerType;
let url: string;
let home: string;
let state: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "signalbox-gates-"));
  fresh = await freshDatabase({ migrations: ["control"] });
  const at = systemClock.now();
  await fresh.pool.query("insert into projects (id, name, created_at) values ('prj_1', 'shop', $1)", [at]);
  const app = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  app.use(async (c, next) => {
    const name = c.req.header("authorization")?.slice("Bearer ".length) ?? "";
    c.set("actor", { kind: "token", id: `tok_${name}`, name, role: ROLES[name] ?? "viewer" });
    await next();
  });
  app.route("/api", gateRoutes(gateDeps(at)));
  server = await new Promise<ServerType>((resolve) => {
    const started: ServerType = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () =>
      resolve(started),
    );
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await fresh[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(async () => {
  state = "awaiting_approval";
  const tables = ["deployment_approvals", "break_glass", "deploy_locks", "freeze_windows", "deployments"];
  for (const table of tables) await fresh.pool.query(`delete from ${table}`);
  await fresh.pool.query(
    `insert into deployments (id, project_id, environment, slot, dirty, source, force, state, state_since,
      actor_name, created_at, updated_at)
     values ('dep_1', 'prj_1', 'production', 'production', false, '{}', false, 'live', $1, 'dan', $1, $1)`,
    [systemClock.now()],
  );
});

function gateDeps(askedAt: Date): GateDeps {
  const db = createDatabase<GateTables & ProjectTables>(fresh.pool);
  return {
    db,
    clock: systemClock,
    ids: randomIds,
    wake: async () => {},
    projectIdOf: async (name) => (await getProject(db, name)).id,
    readSubject: async (_tx, id) =>
      id === "dep_1"
        ? {
            projectId: "prj_1",
            environment: "production",
            state,
            digest: DIGEST,
            requestedBy: { id: "tok_dan", name: "dan" },
            policy: {
              approvals: { required: 2, reviewers: [], selfApproval: false, expiresMs: 3_600_000 },
              waitMs: 0,
            },
            askedAt,
          }
        : null,
  };
}

const noProcesses: Processes = {
  up: async () => ({ url: "", dockUrl: "", gatewayUrl: "", token: null, pids: {} }),
  down: async () => ({ stopped: [] }),
  dockAccess: async () => Promise.reject(new Error("no dock here")),
};

async function cli(who: string, argv: string[], at: string = url) {
  let stdout = "";
  let stderr = "";
  const io: Io = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), columns: 100 },
    isTTY: false,
    cwd: home,
    onSignal: () => () => {},
  };
  const config = readConfig({ XDG_CONFIG_HOME: home, SIGNALBOX_URL: at, SIGNALBOX_TOKEN: who }, home);
  const code = await runCli(argv, io, config, systemClock, noProcesses);
  return { code, stdout, stderr };
}

test("approve says what is still missing, then who approved; --json is the gate", async () => {
  expect(await cli("ann", ["approve", "dep_1", "--comment", "tried it"])).toMatchObject({
    code: 0,
    stdout: "✓ Noted for dep_1. Waits for 1 of 2 approvals.\n",
  });
  const second = await cli("bob", ["approve", "dep_1", "--digest", DIGEST, "--json"]);
  expect(JSON.parse(second.stdout)).toMatchObject({
    digest: DIGEST,
    approvals: [{ actor: "ann", comment: "tried it" }, { actor: "bob" }],
    verdict: { is: "open", because: "Approved by ann, bob." },
  });
});

test("reject needs a comment and tells it", async () => {
  expect(await cli("ann", ["reject", "dep_1"])).toMatchObject({ code: 2, stdout: "" });
  const done = await cli("ann", ["reject", "dep_1", "--comment", "the price is wrong"]);
  expect(done).toMatchObject({ code: 0, stdout: "✓ Noted for dep_1. Rejected by ann: the price is wrong\n" });
});

test("break-glass is an owner's, with a reason", async () => {
  expect(await cli("olga", ["break-glass", "dep_1"])).toMatchObject({ code: 2 });
  expect(await cli("olga", ["break-glass", "dep_1", "--reason", "fire"])).toMatchObject({ code: 2 });
  const command = ["break-glass", "dep_1", "--reason", "checkout is down"];
  expect(await cli("ann", command)).toMatchObject({ code: 4 });
  expect(await cli("olga", command)).toMatchObject({
    code: 0,
    stdout: "✓ Noted for dep_1. Break-glass by olga: checkout is down\n",
  });
});

test.each([
  ["what has changed", "ann", ["approve", "dep_1", "--digest", "b".repeat(64)], 5],
  ["by a viewer", "vic", ["approve", "dep_1"], 4],
  ["of nothing", "ann", ["approve"], 2],
  ["of an unknown one", "ann", ["approve", "dep_2"], 6],
])("an approval %s is refused", async (_name, who, argv, code) => {
  expect((await cli(who, argv)).code).toBe(code);
});

test("an approval of what does not wait exits 5 and tells its state", async () => {
  state = "building";
  expect(await cli("ann", ["approve", "dep_1"])).toMatchObject({
    code: 5,
    stderr: expect.stringContaining("it is building"),
  });
});

test("lock, locks, unlock", async () => {
  expect(await cli("vic", ["locks"])).toMatchObject({ code: 0, stderr: "Nothing is locked.\n" });
  const made = await cli("ann", [
    "lock",
    "--env",
    "production",
    "--project",
    "shop",
    "--reason",
    "move",
    "--ttl",
    "2h",
  ]);
  const [, id = ""] =
    /✓ (lck_\w+) locks shop in production until \d{4}-\d\d-\d\d \d\d:\d\d UTC\.\n/.exec(made.stdout) ?? [];
  expect(made.stderr).toContain(`signalbox unlock ${id}`);
  const table = await cli("vic", ["locks"]);
  expect(table.stdout).toMatch(
    /^LOCK +PROJECT +ENV +OWNER +UNTIL +REASON\nlck_\w+ +shop +production +ann .* move\n$/,
  );
  const { locks } = JSON.parse((await cli("vic", ["locks", "--json"])).stdout);
  const hours = (Date.parse(locks[0].expiresAt) - Date.parse(locks[0].createdAt)) / 3_600_000;
  expect([locks[0].id, hours]).toEqual([id, 2]);
  expect(await cli("bob", ["unlock", id])).toMatchObject({ code: 4 });
  expect(await cli("olga", ["unlock", id, "--reason", "moved"])).toMatchObject({
    code: 0,
    stdout: `✓ ${id} no longer locks shop in production.\n`,
  });
  expect((await cli("vic", ["locks", "--json"])).stdout).toBe('{"locks":[]}\n');
});

test.each([
  ["no reason", ["lock"], 2],
  ["a time that is none", ["lock", "--reason", "x", "--ttl", "soon"], 2],
  ["too long a time", ["lock", "--reason", "x", "--ttl", "31d"], 2],
  ["an unknown project", ["lock", "--reason", "x", "--project", "shp"], 6],
])("a lock with %s is refused", async (_name, argv, code) => {
  expect((await cli("ann", argv)).code).toBe(code);
});

test("freeze add, list, remove", async () => {
  const weekend = ["--days", "Friday", "--from", "17:00", "--until", "mon 08:00", "--zone", "Europe/Berlin"];
  const made = await cli("olga", ["freeze", "add", "Weekend", ...weekend]);
  expect(made).toMatchObject({ code: 0 });
  expect(made.stdout).toContain(
    "freezes every project in every environment: fri 17:00 to mon 08:00 Europe/Berlin.",
  );
  const once = ["--from", "2100-12-24T13:00+01:00", "--until", "2101-01-02T08:00Z", "--env", "production"];
  const json = await cli("olga", ["freeze", "add", "Holidays", ...once, "--json"]);
  const { freeze } = JSON.parse(json.stdout);
  expect(freeze).toMatchObject({ kind: "once", from: "2100-12-24T12:00:00.000Z", environment: "production" });
  const table = (await cli("vic", ["freeze", "list"])).stdout;
  expect(table).toMatch(
    /^FREEZE +NAME +PROJECT +ENV +WHEN +NOW\nfrz_\w+ +Weekend +all +all +fri 17:00 to mon/,
  );
  expect(table).toMatch(/Holidays +all +production +2100-12-24 12:00 UTC to 2101-01-02 08:00 UTC +open\n/);
  expect(await cli("olga", ["freeze", "remove", freeze.id])).toMatchObject({
    code: 0,
    stdout: `✓ ${freeze.id} ("Holidays") no longer freezes every project in production.\n`,
  });
});

test.each([
  ["by who is no owner", "ann", ["x", "--from", "2100-01-01T00:00Z", "--until", "2100-01-02T00:00Z"], 4],
  ["without a name", "olga", [], 2],
  ["without an end", "olga", ["x", "--from", "2100-01-01T00:00Z"], 2],
  [
    "with a time that has no zone",
    "olga",
    ["x", "--from", "2100-01-01T00:00", "--until", "2100-01-02T00:00"],
    2,
  ],
  [
    "on an unknown day",
    "olga",
    ["x", "--days", "fry", "--from", "17:00", "--until", "18:00", "--zone", "UTC"],
    2,
  ],
  [
    "in an unknown zone",
    "olga",
    ["x", "--days", "fri", "--from", "17:00", "--until", "18:00", "--zone", "Mars/X"],
    2,
  ],
])("a freeze %s is refused", async (_name, who, argv, code) => {
  expect((await cli(who, ["freeze", "add", ...argv])).code).toBe(code);
});

test("help tells of each; half a command is completed", async () => {
  const overview = (await cli("ann", ["help"])).stdout;
  for (const name of [
    "approve",
    "reject",
    "break-glass",
    "lock",
    "unlock",
    "locks",
    "freeze add",
    "freeze remove",
  ]) {
    expect(overview).toContain(`  ${name}`);
  }
  expect((await cli("ann", ["freeze", "add", "--help"])).stdout).toContain("--days <days>");
  expect(await cli("ann", ["freeze"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("freeze add"),
  });
});

let control: ControlDouble;
afterEach(() => control?.close());

test("a control plane that says no is heard, in its own words", async () => {
  control = await startControlDouble();
  const error = { code: "conflict", message: "What you looked at has changed.", hint: "Look at it again." };
  control.fixed.set("POST /api/deploy/approve/dep_9", [409, { error }]);
  const result = await cli(TOKEN, ["approve", "dep_9"], control.url);
  expect(result).toMatchObject({ code: 5, stderr: expect.stringContaining("→ Look at it again.") });
});
