import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { aPolicy } from "../../../test/support/check-rounds.ts";
import { type FreshDatabase, freshDatabase } from "../../../test/support/database.ts";
import type { Actor, ActorEnv } from "../../access/index.ts";
import { systemClock } from "../../foundation/clock.ts";
import { createDatabase } from "../../foundation/db.ts";
import { createApi } from "../../foundation/http.ts";
import { randomIds } from "../../foundation/ids.ts";
import { silentLog } from "../../foundation/log.ts";
import { beatRoutes, type HeartbeatDeps, heartbeatRoutes, placeHeartbeat, sweepHeartbeats } from "./index.ts";
import { sayListening } from "./listening.ts";
import { readOutput } from "./output.ts";
import { findByCheck } from "./queries.ts";
import { receiveBeat } from "./receive-beat.ts";
import type { HeartbeatSchedule } from "./schedule.ts";

const T0 = Date.parse("2026-11-24T12:00:00Z");
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const HOURLY: HeartbeatSchedule = {
  every: HOUR,
  cron: null,
  zone: "UTC",
  graceMs: 5 * MINUTE,
  maxRuntimeMs: null,
};

let fresh: FreshDatabase;
let deps: HeartbeatDeps;
let now = T0;
let count = 0;
let checkId = "";
const clock = { ...systemClock, now: () => new Date(now), monotonicMs: () => now };
const logged: unknown[] = [];

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  const log = { ...silentLog, error: (...given: unknown[]) => void logged.push(given) } as typeof silentLog;
  deps = { db: createDatabase(fresh.pool), clock, log };
  await fresh.pool.query("insert into projects (id, name, created_at) values ('prj_shop', 'shop', now())");
});
afterAll(() => fresh[Symbol.asyncDispose]());
beforeEach(async () => {
  now = T0;
  checkId = `chk_${++count}`;
  await fresh.pool.query(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
       created_at, updated_at)
     values ($1, 'prj_shop', 'production', $1, 'heartbeat', 'api', '', '', $2, 0, $3, $3)`,
    [checkId, JSON.stringify(aPolicy({ intervalMs: 2 * HOUR })), new Date(T0)],
  );
  await fresh.pool.query("delete from heartbeat_listening");
  await fresh.pool.query("insert into heartbeat_listening values ($1, $1)", [new Date(T0 - HOUR)]);
});

const actor = (role: Actor["role"]) => ({ kind: "token", id: `tok_${role}`, name: role, role }) as Actor;

function request(method: string, path: string, options: { as?: Actor["role"]; body?: string } = {}) {
  const api = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  api.route("/api/heartbeats", beatRoutes(deps));
  api.use(async (c, next) => {
    c.set("actor", actor(options.as ?? "viewer"));
    await next();
  });
  api.route("/api", heartbeatRoutes(deps));
  return api.request(path, { method, ...(options.body === undefined ? {} : { body: options.body }) });
}

async function place(change: Partial<HeartbeatSchedule> = {}): Promise<string> {
  await placeHeartbeat(deps.db, checkId, { ...HOURLY, ...change }, new Date(now));
  const answer = await request("POST", `/api/checks/${checkId}/heartbeat/key`, { as: "deployer" });
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { path: string }).path;
}

/** Time passes with somebody listening, as a process that lives says it once a second. */
async function listenUntil(at: number): Promise<void> {
  now = at;
  await fresh.pool.query("update heartbeat_listening set until = $1", [new Date(at)]);
}

const sweep = () => sweepHeartbeats(deps, new Date(now));
const get = async () =>
  // biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
  (await (await request("GET", `/api/checks/${checkId}/heartbeat`)).json()) as any;
const shown = async () => {
  const { rows } = await fresh.pool.query(
    "select state, since, displayed->'failure'->>'class' as class from check_states where check_id = $1",
    [checkId],
  );
  return rows[0] ? { ...rows[0], since: rows[0].since.getTime() - T0 } : null;
};
const events = async () => {
  const { rows } = await fresh.pool.query(
    "select to_state, at from check_events where check_id = $1 order by id",
    [checkId],
  );
  return rows.map(({ to_state, at }) => [to_state, at.getTime() - T0]);
};

describe("a deadline", () => {
  it("is silence's from the moment that it passed, and a beat ends it at once", async () => {
    const path = await place();
    expect(await shown()).toBeNull();
    expect(await (await request("GET", path)).text()).toBe("ok\n");
    expect(await shown()).toMatchObject({ state: "up", since: 0 });
    await listenUntil(T0 + HOUR + 5 * MINUTE + 1_001);
    await sweep();
    expect(await shown()).toEqual({ state: "down", since: HOUR + 5 * MINUTE, class: "missing" });
    now += 10 * SECOND;
    expect((await request("POST", path)).status).toBe(200);
    expect(await shown()).toMatchObject({ state: "up", since: HOUR + 5 * MINUTE + 11_001 });
    expect((await events()).map(([state]) => state)).toEqual(["up", "down", "up"]);
  });

  it("is not silence's where a beat arrived at it, and loses to one that is stored while it is looked at", async () => {
    const path = await place();
    await request("GET", path);
    await listenUntil(T0 + HOUR + 5 * MINUTE);
    await sweep();
    expect((await shown())?.state).toBe("up");
    await listenUntil(now + 1_001);
    await Promise.all([sweep(), request("GET", path), sweep()]);
    expect(await get()).toMatchObject({ state: "up", failure: null });
    expect((await shown())?.state).toBe("up");
  });

  it("is found once by many who sweep, and by none who sweeps with an old clock", async () => {
    const path = await place();
    await request("GET", path);
    await listenUntil(T0 + 2 * HOUR);
    await Promise.all(Array.from({ length: 5 }, sweep));
    expect((await events()).map(([state]) => state)).toEqual(["up", "down"]);
  });

  it("and what a beat said are told by the next sweep where whoever took it died before", async () => {
    const path = await place();
    await request("GET", path);
    const dying = new Proxy(deps.db, {
      get: (db, name) => {
        if (name === "transaction") throw new Error("killed");
        const value = Reflect.get(db, name);
        return typeof value === "function" ? value.bind(db) : value;
      },
    });
    const beat = { kind: "fail", exitCode: null, runId: "", output: null } as const;
    now += SECOND;
    const taken = receiveBeat({ ...deps, db: dying }, path.split("/").at(-1) ?? "", beat, new Date(now));
    await expect(taken).rejects.toThrow("killed");
    now += SECOND;
    await sweep();
    expect(await shown()).toEqual({ state: "down", since: SECOND, class: "status" });
  });

  it("counts where its policy names other places only", async () => {
    const path = await place();
    const policy = { ...aPolicy({ intervalMs: 30_000 }), locations: ["fra"] };
    await fresh.pool.query("update checks set policy = $1 where id = $2", [JSON.stringify(policy), checkId]);
    await request("GET", path);
    expect((await shown())?.state).toBe("up");
  });

  it("keeps the word of those that are well fresh, once an interval", async () => {
    const path = await place();
    await fresh.pool.query("update checks set policy = $1 where id = $2", [
      JSON.stringify(aPolicy({ intervalMs: 30_000 })),
      checkId,
    ]);
    await request("GET", path);
    for (let at = 10; at <= 90; at += 10) {
      await listenUntil(T0 + at * SECOND);
      await sweep();
    }
    const { rows } = await fresh.pool.query(
      "select scheduled_at, status from check_samples where check_id = $1 order by scheduled_at",
      [checkId],
    );
    expect(rows.map((row) => [(row.scheduled_at.getTime() - T0) / SECOND, row.status])).toEqual([
      [0, "up"],
      [30, "up"],
      [60, "up"],
      [90, "up"],
    ]);
  });
});

describe("another schedule", () => {
  it("is what is waited for from then on, and the same again puts nothing off", async () => {
    const path = await place();
    await request("GET", path);
    await listenUntil(T0 + 30 * MINUTE);
    await placeHeartbeat(deps.db, checkId, { ...HOURLY, every: 24 * HOUR }, new Date(now));
    await listenUntil(T0 + 2 * HOUR);
    await sweep();
    expect(await get()).toMatchObject({ state: "up", alertAfter: "2026-11-25T12:05:00.000Z" });
    await placeHeartbeat(deps.db, checkId, { ...HOURLY, every: 24 * HOUR }, new Date(now));
    expect((await get()).alertAfter).toBe("2026-11-25T12:05:00.000Z");
    await placeHeartbeat(deps.db, checkId, HOURLY, new Date(now));
    expect((await get()).alertAfter).toBe("2026-11-24T15:05:00.000Z");
  });
});

describe("a time in which we ourselves were down", () => {
  it("is unknown, and the next beat is waited for from then on", async () => {
    const path = await place();
    await request("GET", path);
    await listenUntil(T0 + 30 * MINUTE);
    // Everything stands still, and comes back long after the deadline.
    now = T0 + 3 * HOUR;
    await sayListening(deps);
    await sweep();
    expect(await get()).toMatchObject({ state: "unknown", failure: { class: "fault" } });
    expect((await shown())?.state).not.toBe("down");
    const back = now;
    expect((await findByCheck(deps.db, checkId))?.alert_after?.getTime()).toBe(back + HOUR + 5 * MINUTE);
    await fresh.pool.query("update heartbeat_listening set until = $1 where since = $2", [
      new Date(back + 2 * HOUR),
      new Date(back),
    ]);
    now = back + 2 * HOUR;
    await sweep();
    expect(await shown()).toMatchObject({ state: "down", class: "missing" });
  });

  it("does not matter by the clock where it was over before the beat was due", async () => {
    const path = await place({ every: null, cron: "0 15 * * *" });
    await request("GET", path);
    await listenUntil(T0 + MINUTE);
    now = T0 + 10 * MINUTE;
    await sayListening(deps);
    await fresh.pool.query("update heartbeat_listening set until = $1 where since = $2", [
      new Date(T0 + 4 * HOUR),
      new Date(now),
    ]);
    now = T0 + 4 * HOUR;
    await sweep();
    expect(await shown()).toMatchObject({ state: "down", class: "missing", since: 3 * HOUR + 5 * MINUTE });
  });

  it("is not yet known while those who listen have not said so of the deadline", async () => {
    const path = await place();
    await request("GET", path);
    await listenUntil(T0 + HOUR + 5 * MINUTE - SECOND);
    now = T0 + HOUR + 5 * MINUTE + 2 * SECOND;
    await sweep();
    expect((await shown())?.state).toBe("up");
    await listenUntil(now);
    await sweep();
    expect((await shown())?.state).toBe("down");
  });
});

describe("runs", () => {
  it("have their runtime told, and are late by themselves", async () => {
    const path = await place({ maxRuntimeMs: 10 * MINUTE });
    await request("GET", `${path}/start?rid=a`);
    await listenUntil(T0 + MINUTE);
    await request("GET", `${path}/start?rid=b`);
    await listenUntil(T0 + 3 * MINUTE);
    await request("POST", `${path}?rid=a`);
    expect(await get()).toMatchObject({
      state: "up",
      last: { runtimeMs: 3 * MINUTE },
      running: [{ runId: "b" }],
    });
    await listenUntil(T0 + 11 * MINUTE + 1_001);
    await sweep();
    expect(await shown()).toEqual({ state: "down", since: 11 * MINUTE, class: "timeout" });
    expect((await get()).failure.message).toContain("The run b that started at 2026-11-24T12:01:00.000Z");
  });

  it("that begin again and again, and never end, are found", async () => {
    const path = await place({ maxRuntimeMs: 2 * HOUR });
    await request("GET", path);
    for (let at = HOUR; at <= 3 * HOUR; at += HOUR / 2) {
      await listenUntil(T0 + at);
      await request("GET", `${path}/start`);
    }
    await listenUntil(T0 + 3 * HOUR + 5 * MINUTE + 1_001);
    await sweep();
    expect(await shown()).toMatchObject({ state: "down", class: "missing" });
  });

  it("whose first only ever began are waited for, too", async () => {
    const path = await place();
    await request("GET", `${path}/start`);
    await listenUntil(T0 + HOUR + 5 * MINUTE + 1_001);
    await sweep();
    expect(await shown()).toEqual({ state: "down", since: HOUR + 5 * MINUTE, class: "missing" });
  });

  it("fail at once, by word or by exit code, and 0 is a success", async () => {
    const path = await place();
    await request("POST", `${path}/0`);
    expect((await shown())?.state).toBe("up");
    now += SECOND;
    await request("POST", `${path}/3`);
    expect(await shown()).toEqual({ state: "down", since: SECOND, class: "status" });
    expect((await get()).failure.message).toBe("It ended with exit code 3.");
    now += SECOND;
    await request("POST", path);
    now += SECOND;
    await request("GET", `${path}/fail`);
    expect((await events()).map(([state]) => state)).toEqual(["up", "down", "up", "down"]);
  });
});

describe("the address", () => {
  it("is shown once, stored as a hash, and ends with the next one", async () => {
    const first = await place();
    const key = first.split("/").at(-1) ?? "";
    const { rows } = await fresh.pool.query("select heartbeats::text as row from heartbeats");
    expect(JSON.stringify(rows)).not.toContain(key);
    const second = await place();
    expect((await request("GET", first)).status).toBe(404);
    expect((await request("GET", second)).status).toBe(200);
    const audited = await fresh.pool.query("select action, actor_name from audit_log where subject_id = $1", [
      checkId,
    ]);
    expect(audited.rows).toEqual(Array(2).fill({ action: "heartbeat.rotate_key", actor_name: "deployer" }));
  });

  it("is not made for a viewer, and then nothing is changed", async () => {
    await placeHeartbeat(deps.db, checkId, HOURLY, new Date(now));
    const answer = await request("POST", `/api/checks/${checkId}/heartbeat/key`, { as: "viewer" });
    expect(answer.status).toBe(403);
    expect(await get()).toMatchObject({ hasKey: false, state: "new" });
  });

  it.each(["/nonsense", "/256", "/-1", "/start/again", "?rid=a%20b"])("takes no %s", async (rest) => {
    const path = await place();
    expect((await request("GET", `${path}${rest}`)).status).toBe(404);
    expect((await get()).state).toBe("new");
  });

  it("takes a burst and then one every two seconds", async () => {
    const path = await place();
    const api = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
    api.route("/api/heartbeats", beatRoutes(deps));
    const statuses: number[] = [];
    for (let times = 0; times < 11; times++) statuses.push((await api.request(path)).status);
    expect(statuses).toEqual([...Array(10).fill(200), 429]);
    now += 2 * SECOND;
    expect((await api.request(path)).status).toBe(200);
  });

  it("keeps the first 10 KiB of the output, whatever is in it", async () => {
    const path = await place();
    await request("POST", path, { body: `a\0b${"é".repeat(9_000)}` });
    const { output } = (await get()).last;
    expect(output.startsWith("abé")).toBe(true);
    expect(Buffer.byteLength(output)).toBe(10 * 1_024 - 2);
    expect(output).not.toContain("\ufffd");
  });

  it("takes a beat whose output breaks off, or does not end, with what came of it", async () => {
    const broken = new ReadableStream<Uint8Array>({
      start: (stream) => stream.enqueue(Buffer.from("so far")),
      pull: (stream) => stream.error(new Error("reset")),
    });
    expect(await readOutput(broken, systemClock)).toBe("so far");
    const endless = new ReadableStream<Uint8Array>({
      start: (stream) => stream.enqueue(Buffer.from("so slow")),
      cancel: () => new Promise(() => {}),
    });
    const passing = { sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };
    expect(await readOutput(endless, passing)).toBe("so slow");
  });

  it("hears a long output out, so that whoever sends it is not cut off", async () => {
    let left = 20;
    let wasCut = false;
    const long = new ReadableStream<Uint8Array>({
      pull: (stream) => (left-- > 0 ? stream.enqueue(Buffer.alloc(10_240, "x")) : stream.close()),
      cancel: () => {
        wasCut = true;
      },
    });
    expect(await readOutput(long, systemClock)).toHaveLength(10_240);
    expect(wasCut).toBe(false);
  });

  it("stays out of the log when the database is away", async () => {
    const path = await place();
    const broken = { ...deps, db: createDatabase<never>(fresh.pool).withSchema("nowhere") } as never;
    const api = createApi<ActorEnv>({ ids: randomIds, log: deps.log });
    api.route("/api/heartbeats", beatRoutes(broken));
    expect((await api.request(path)).status).toBe(500);
    expect(logged.length).toBeGreaterThan(0);
    expect(JSON.stringify(logged)).not.toContain(path.split("/").at(-1));
  });
});
