import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../../test/support/database.ts";
import type { Actor, ActorEnv } from "../../access/index.ts";
import { systemClock } from "../../foundation/clock.ts";
import { createDatabase, type Database } from "../../foundation/db.ts";
import { createApi } from "../../foundation/http.ts";
import { randomIds } from "../../foundation/ids.ts";
import { silentLog } from "../../foundation/log.ts";
import { createSecretBox } from "../../foundation/secret-box.ts";
import { DEFAULT_POLICY } from "../model.ts";
import { sealSettings } from "../sealed-settings.ts";
import { agentWork } from "./agent-work.ts";
import { receiveResults } from "./receive-results.ts";
import { agentRoutes, proberRoutes } from "./routes.ts";
import type { AgentTables } from "./tables.ts";

const box = createSecretBox(new Uint8Array(32).fill(7));
const POLICY = { ...DEFAULT_POLICY, intervalMs: 1_000, timeoutMs: 500, failures: 1, successes: 1 };
let fresh: FreshDatabase;
let db: Database<AgentTables>;
let changes = 0;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  const now = systemClock.now();
  await fresh.pool.query("insert into projects (id, name, created_at) values ('prj_1', 'shop', $1)", [now]);
  await makeCheck("chk_here", ["local"]);
  await makeCheck("chk_far", ["local", "fra"]);
});
afterAll(() => fresh[Symbol.asyncDispose]());

async function makeCheck(
  id: string,
  locations: readonly string[],
  type: "http" | "command" = "http",
): Promise<void> {
  const now = systemClock.now();
  const settings = sealSettings(box, id, { url: "https://shop.example" });
  await db
    .insertInto("checks")
    .values({
      id,
      project_id: "prj_1",
      environment: "production",
      name: id,
      type,
      source: "api",
      subject: "https://shop.example",
      settings,
      policy: JSON.stringify({ ...POLICY, locations }),
      deployment_id: null,
      shard: 0,
      created_at: now,
      updated_at: now,
      retired_at: null,
    })
    .execute();
}

function agentDeps() {
  return { db, box, clock: systemClock, ids: randomIds, changed: async () => void changes++ };
}

function api(role: Actor["role"]) {
  const root = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  const deps = agentDeps();
  root.route("/api/agent", agentRoutes<ActorEnv>(deps));
  root.use("/api/*", async (c, next) => {
    c.set("actor", { kind: "token", id: `tok_${role}`, name: role, role });
    await next();
  });
  root.route("/api", proberRoutes(deps));
  return root;
}

async function call(role: Actor["role"], method: string, path: string, body?: unknown, token?: string) {
  const response = await api(role).request(`/api${path}`, {
    method,
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? null : JSON.parse(text) };
}

const REPORT = {
  checks: 1,
  rounds: 1,
  missed: 0,
  latenessP50Ms: 0,
  latenessP99Ms: 1,
  lateness: { "3": 1 },
  unwritten: 0,
  writeLagMs: 0,
  eventLoopLagP99Ms: 1,
  connected: null,
};

function round(checkId: string, at: number, status: "up" | "down", late = 0) {
  const failure = { class: "refused", message: "Nobody listens." };
  const attempt = { status, startedAt: at, latencyMs: 3, ...(status === "down" ? { failure } : {}) };
  const times = { scheduledAt: at - late, startedAt: at, endedAt: at + 3, lateMs: late };
  return { checkId, ...times, attempts: [attempt], untrusted: null };
}

const push = (token: string, rounds: readonly unknown[], sentAt = systemClock.now().getTime()) =>
  call("viewer", "POST", "/agent/results", { sentAt, report: REPORT, rounds }, token);

const samples = async (id: string) =>
  (await db.selectFrom("check_samples").selectAll().where("check_id", "=", id).execute()).length;
const events = async (id: string) =>
  (
    await db.selectFrom("check_events").select("to_state").where("check_id", "=", id).orderBy("id").execute()
  ).map((row) => row.to_state);

test("an owner makes one token a place, shown once, on record, and ends it", async () => {
  const place = { location: "ams" };
  expect((await call("deployer", "POST", "/probers", place)).status).toBe(403);
  const made = await call("owner", "POST", "/probers", place);
  expect(made).toMatchObject({
    status: 201,
    body: { location: "ams", token: expect.stringMatching(/^sbp_/) },
  });
  expect((await call("owner", "POST", "/probers", place)).status).toBe(409);
  for (const location of ["local", "", "Über", "a".repeat(41), "-a"]) {
    expect((await call("owner", "POST", "/probers", { location })).status).toBe(400);
  }
  const { rows } = await fresh.pool.query("select * from audit_log where action like 'prober_agent.%'");
  expect(JSON.stringify([rows, await db.selectFrom("prober_agents").selectAll().execute()])).not.toContain(
    made.body.token,
  );
  expect(rows).toMatchObject([{ action: "prober_agent.create", details: place }]);
  const listed = await call("viewer", "GET", "/probers");
  expect(listed.body.probers).toMatchObject([
    { location: "ams", kind: "agent", isSeen: false, seenAt: null, report: null },
  ]);
  expect((await call("deployer", "DELETE", `/probers/${made.body.id}`)).status).toBe(403);
  expect((await call("owner", "DELETE", `/probers/${made.body.id}`)).status).toBe(204);
  expect((await call("owner", "DELETE", `/probers/${made.body.id}`)).status).toBe(404);
  expect((await push(made.body.token, [])).status).toBe(401);
  expect(changes).toBe(2);
});

test("an agent is given the checks of its place, and told when nothing has changed", async () => {
  const { token } = (await call("owner", "POST", "/probers", { location: "fra" })).body;
  for (const bad of [undefined, "sbp_wrong", "sbx_owner"]) {
    expect((await call("owner", "GET", "/agent/work", undefined, bad)).status).toBe(401);
  }
  const work = await call("viewer", "GET", "/agent/work", undefined, token);
  expect(work.body).toMatchObject({
    location: "fra",
    checks: [{ id: "chk_far", settings: { url: "https://shop.example" }, problem: null }],
  });
  expect(work.body.checks).toHaveLength(1);
  const again = await api("viewer").request("/api/agent/work", {
    headers: { authorization: `Bearer ${token}`, "if-none-match": work.headers.get("etag") ?? "" },
  });
  expect(again.status).toBe(304);
  const now = systemClock.now().getTime();
  const up = round("chk_far", now - 200, "up");
  const down = round("chk_far", now - 100, "down");
  expect((await push(token, [down, up])).body).toEqual({ recorded: 2, ignored: 0 });
  // The answer was lost: the same again. And what is none of its business, too old, or not yet.
  const none = [round("chk_here", now, "down"), round("chk_gone", now, "down")];
  const times = [round("chk_far", now + 60_000, "up")];
  expect((await push(token, [up, down, ...none, ...times])).body).toEqual({ recorded: 0, ignored: 5 });
  expect([await samples("chk_far"), await samples("chk_here")]).toEqual([2, 0]);
  expect(await events("chk_far")).toEqual(["up", "down"]);
  const listed = await call("viewer", "GET", "/probers");
  expect(listed.body.probers).toMatchObject([{ location: "fra", isSeen: true, report: REPORT }]);
});

test("what comes too late is kept and changes nothing; a wrong clock is put right", async () => {
  await makeCheck("chk_late", ["lon"]);
  const { token } = (await call("owner", "POST", "/probers", { location: "lon" })).body;
  const now = systemClock.now().getTime();
  await push(token, [round("chk_late", now - 50, "up")]);
  expect((await push(token, [round("chk_late", now - 60_000, "down")])).body.recorded).toBe(1);
  expect([await samples("chk_late"), await events("chk_late")]).toEqual([2, ["up"]]);
  const wrong = now + 3_600_000;
  expect((await push(token, [round("chk_late", wrong - 1, "down")], wrong)).body.recorded).toBe(1);
  const [event] = (
    await db.selectFrom("check_events").selectAll().where("to_state", "=", "down").execute()
  ).slice(-1);
  expect(Math.abs((event?.at.getTime() ?? 0) - now)).toBeLessThan(30_000);
});

test("rubbish is told apart, and nothing of it is kept", async () => {
  const { token } = (await call("owner", "POST", "/probers", { location: "nyc" })).body;
  const good = round("chk_far", systemClock.now().getTime(), "up");
  const rubbish = [
    { ...good, attempts: [{ ...good.attempts[0], status: "fine" }] },
    { ...good, scheduledAt: "yesterday" },
    { ...good, location: "local" },
    { ...good, lateMs: Number.NaN },
    { ...good, startedAt: good.startedAt + 86_400_000 },
    { ...good, scheduledAt: good.scheduledAt + 86_400_000 },
    { ...good, attempts: [{ ...good.attempts[0], startedAt: good.startedAt + 86_400_000 }] },
    null,
  ];
  for (const each of rubbish) expect((await push(token, [each])).status).toBe(400);
  expect((await call("viewer", "POST", "/agent/results", "[]", token)).status).toBe(400);
  const many = Array.from({ length: 5_001 }, () => good);
  expect((await push(token, many)).status).toBe(400);
});

test("with a wrong clock, too, the same push counts once, however long it was on its way", async () => {
  await makeCheck("chk_skew", ["sgp"]);
  const { token } = (await call("owner", "POST", "/probers", { location: "sgp" })).body;
  const wrong = systemClock.now().getTime() - 60_000;
  const rounds = [round("chk_skew", wrong - 100, "down")];
  expect((await push(token, rounds, wrong)).body).toEqual({ recorded: 1, ignored: 0 });
  expect((await push(token, rounds, wrong - 400)).body).toEqual({ recorded: 0, ignored: 1 });
  expect([await samples("chk_skew"), await events("chk_skew")]).toEqual([1, ["down"]]);
});

test("what began long ago says since when nothing is so", async () => {
  await makeCheck("chk_long", ["lis"]);
  const { token } = (await call("owner", "POST", "/probers", { location: "lis" })).body;
  const now = systemClock.now().getTime();
  const long = { ...round("chk_long", now, "down"), startedAt: now - 86_400_000 };
  expect((await push(token, [long])).body).toEqual({ recorded: 0, ignored: 1 });
  await push(token, [round("chk_long", now + 10, "up")]);
  expect((await push(token, [{ ...long, scheduledAt: now + 20, endedAt: now + 20 }])).body.recorded).toBe(1);
  expect([await samples("chk_long"), await events("chk_long")]).toEqual([2, ["up"]]);
});

test("as many attempts as a policy asks for, and a tick missed for a month, are taken", async () => {
  await makeCheck("chk_many", ["gru"]);
  const { token } = (await call("owner", "POST", "/probers", { location: "gru" })).body;
  const one = round("chk_many", systemClock.now().getTime(), "down");
  const many = { ...one, attempts: Array.from({ length: 100 }, () => one.attempts[0]) };
  const missed = { ...one, scheduledAt: one.scheduledAt - 30 * 86_400_000, lateMs: 30 * 86_400_000 };
  const rounds = [{ ...missed, attempts: [], untrusted: "missed" }, many];
  expect((await push(token, rounds)).body).toEqual({ recorded: 2, ignored: 0 });
});

test("an agent that was ended while its push waited, or that runs what no agent is given, is not heard", async () => {
  await makeCheck("chk_run", ["sao"], "command");
  const { id, token } = (await call("owner", "POST", "/probers", { location: "sao" })).body;
  const now = systemClock.now().getTime();
  const rounds = [round("chk_run", now, "up")];
  expect((await push(token, rounds)).body).toEqual({ recorded: 0, ignored: 1 });
  await call("owner", "DELETE", `/probers/${id}`);
  const late = receiveResults(
    agentDeps(),
    { id, location: "sao" },
    { sentAt: now, report: REPORT, rounds: [] },
  );
  await expect(late).rejects.toMatchObject({ code: "unauthorized" });
});

test("for an agent no secret of another place is opened", async () => {
  const opened: string[] = [];
  const open = (sealed: Uint8Array, context: string) => {
    opened.push(context);
    return box.open(sealed, context);
  };
  const deps = { ...agentDeps(), box: { ...box, open } };
  expect((await agentWork(deps, { id: "agt_x", location: "fra" })).checks).toHaveLength(1);
  expect(opened).toEqual(["check:chk_far"]);
});

test("nothing is read of a push without a token", async () => {
  let pulled = 0;
  const body = new ReadableStream({
    pull: (stream) => {
      pulled++;
      stream.enqueue(Buffer.alloc(65_536, " "));
    },
  });
  const answer = await api("viewer").request("/api/agent/results", {
    method: "POST",
    body,
    duplex: "half",
  } as RequestInit);
  expect(answer.status).toBe(401);
  // One is read ahead by every stream.
  expect(pulled).toBeLessThan(3);
  await body.cancel().catch(() => {});
});
