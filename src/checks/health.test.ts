import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { expect, it, onTestFinished } from "vitest";
import { freshDatabase } from "../../test/support/database.ts";
import { jumpingClock } from "../../test/support/jumping-clock.ts";
import { type ActorEnv, ensureOwnerToken } from "../access/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase } from "../foundation/db.ts";
import { createApi } from "../foundation/http.ts";
import { randomIds } from "../foundation/ids.ts";
import { silentLog } from "../foundation/log.ts";
import { DEFAULT_POLICY, type Displayed } from "./model.ts";
import { healthRoutes } from "./routes.ts";
import { startHealth } from "./start-health.ts";
import type { CheckTables } from "./tables.ts";

async function start() {
  const database = await freshDatabase({ migrations: ["control"] });
  const db = createDatabase<CheckTables>(database.pool);
  const { clock, jump } = jumpingClock();
  const deps = { db, clock, ids: randomIds, log: silentLog };
  const token = await ensureOwnerToken(deps);
  const health = await startHealth(database.databaseUrl, { ...deps, ping: async () => {} });
  const api = createApi<ActorEnv>(deps);
  api.route("/api/health", healthRoutes({ ...deps, ...health }));
  const answer = getRequestListener(api.fetch);
  const server = http.createServer((req, res) => health.board.handle(req, res) || answer(req, res));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await health.close();
    await database[Symbol.asyncDispose]();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/health`;
  const get = async (path = "", headers: Record<string, string> = {}) => {
    const response = await fetch(base + path, { headers });
    return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
  };
  const until = async (path: string, good: (answer: Awaited<ReturnType<typeof get>>) => boolean) => {
    for (;;) {
      const answer = await get(path);
      if (good(answer)) return answer;
      await systemClock.sleep(20, AbortSignal.timeout(10_000));
    }
  };
  return { db, jump, pool: database.pool, health, get, until, authorization: `Bearer ${token}` };
}

async function insertCheck(pool: Awaited<ReturnType<typeof start>>["pool"], state: string) {
  const policy = JSON.stringify({ ...DEFAULT_POLICY, critical: true });
  // As the judge writes it: what does not apply is there, and null.
  const shown: Omit<Displayed, "state" | "since"> = {
    failure: { class: "refused", message: "nobody listens at 10.0.0.7:80" },
    down: ["local"],
    reporting: ["local"],
    disputedSince: null,
    flappingSince: 1_000,
    suppressedBy: null,
    changes: [],
  };
  const displayed = JSON.stringify(shown);
  await pool.query("insert into projects (id, name, created_at) values ('prj_1', 'shop', $1)", [new Date()]);
  await pool.query(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
       created_at, updated_at)
     values ('chk_1', 'prj_1', 'production', 'web', 'http', 'api', 'http://10.0.0.7', '', $1, 0, $2, $2)`,
    [policy, new Date()],
  );
  await pool.query("insert into check_states values ('chk_1', $1, $2, $3, null)", [
    state,
    new Date(),
    displayed,
  ]);
  await pool.query("insert into check_spans values ('chk_1', $1, null, $2, null)", [new Date(0), state]);
  await pool.query("insert into check_locations values ('chk_1', 'local', '{}', $1, 4.5, $2)", [
    new Date(),
    state,
  ]);
  await pool.query("select pg_notify('check_state_changed', 'chk_1')");
}

it("tells everybody what is up, and those with a token why something is not", async () => {
  const { pool, get, until, authorization } = await start();
  await insertCheck(pool, "down");
  // What was read between two of the rows says that nothing is known.
  const open = await until("", ({ body }) => Boolean(body.services["shop/production/web"]?.lastCheck));
  expect(open.status).toBe(503);
  expect(Object.keys(open.body)).toEqual(["status", "timestamp", "services"]);
  expect(open.body.services).toMatchObject({ database: { status: "up" }, prober: { status: "down" } });
  expect(open.body.services["shop/production/web"]).toEqual({
    status: "down",
    latency: 4.5,
    lastCheck: expect.any(String),
  });
  // However it is written, it is the same question.
  expect(await get("/")).toMatchObject({ status: 503, body: { services: { "shop/production/web": {} } } });
  const own = await get("?project=shop&environment=production");
  expect(Object.keys(own.body.services)).toEqual(["web"]);
  const told = await get("?project=shop&environment=production", { authorization });
  expect(told.body.services.web).toMatchObject({
    class: "refused",
    message: "nobody listens at 10.0.0.7:80",
    uptime: 0,
    checks: { disputedSince: null, flappingSince: 1_000 },
  });
  expect((await get("", { authorization: "Bearer nobody" })).status).toBe(401);
  expect((await get("?project=shop&environment=staging")).status).toBe(404);
  expect((await get("?project=shop")).status).toBe(400);
  const draft = await get("", { accept: "application/health+json" });
  expect(draft.headers.get("content-type")).toBe("application/health+json");
  expect(draft.body).toMatchObject({ status: "fail" });
});

it("is ready by its own parts alone, whatever users run, and unready once it drains", async () => {
  const { pool, get, until, health } = await start();
  await insertCheck(pool, "down");
  const ready = await until("/ready", ({ status }) => status === 200);
  expect(ready.body).toMatchObject({
    status: "ready",
    checks: { database: { ok: true }, target: { ok: true } },
  });
  health.own.drain();
  expect((await get("/ready")).status).toBe(503);
  expect((await get("/live")).status).toBe(200);
});

it("lets what it knows grow old while the database hangs", async () => {
  const { pool, until, jump } = await start();
  await insertCheck(pool, "up");
  const web = (body: { services: Record<string, { status: string }> }) =>
    body.services["shop/production/web"];
  await until("", ({ body }) => web(body)?.status === "up");
  const client = await pool.connect();
  try {
    // Nobody can read the table now, and nobody is told so.
    await client.query("begin; lock table checks in access exclusive mode");
    jump(10 * 60_000);
    const stale = await until("", ({ body }) => web(body)?.status === "down");
    expect(stale.status).toBe(503);
  } finally {
    await client.query("rollback");
    client.release();
  }
});
