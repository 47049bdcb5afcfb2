import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { aPolicy, foldAll } from "../../test/support/check-rounds.ts";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, createPool, type Database } from "../foundation/db.ts";
import { CHECK_STATE_CHANNEL } from "./channels.ts";
import { judgeDue } from "./judge-due.ts";
import type { Policy } from "./model.ts";
import { judgeSoon } from "./queries.ts";
import { readEvents, readStates } from "./read-states.ts";
import { type FoldedRound, recordRounds } from "./record-rounds.ts";
import type { CheckTables } from "./tables.ts";

const T0 = Date.parse("2026-11-24T12:00:00Z");
const SECOND = 1_000;
const tick = (n: number, isUp: boolean) => [T0 + n * 10 * SECOND, isUp] as const;

let fresh: FreshDatabase;
let pool: ReturnType<typeof createPool>;
let db: Database<CheckTables>;
let now: number;
const clock = { ...systemClock, now: () => new Date(now) };
let deps: { db: Database<CheckTables>; clock: typeof clock };

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  pool = createPool({ databaseUrl: fresh.databaseUrl, applicationName: "test" });
  db = createDatabase(pool);
  deps = { db, clock };
  await fresh.pool.query("insert into projects (id, name, created_at) values ('prj_shop', 'shop', $1)", [
    new Date(T0),
  ]);
});
afterAll(async () => {
  await pool.end();
  await fresh[Symbol.asyncDispose]();
});

beforeEach(async () => {
  now = T0;
  for (const table of ["events", "spans", "locations", "states", "samples", "shards"]) {
    await fresh.pool.query(`delete from check_${table}`);
  }
  await fresh.pool.query("delete from maintenance_windows");
  await fresh.pool.query("delete from checks");
  await addCheck("chk_1", "web");
});

async function addCheck(id: string, name: string, change: Partial<Policy> = {}, shard = 1) {
  const values = [id, name, Buffer.alloc(0), JSON.stringify(aPolicy(change)), shard, new Date(T0)];
  await fresh.pool.query(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard, created_at,
       updated_at) values ($1, 'prj_shop', 'production', $2, 'http', 'api', 'http://x', $3, $4, $5, $6, $6)`,
    values,
  );
}

/** As of the end of its last round, as a prober would. */
async function record(batch: readonly FoldedRound[], fence: Parameters<typeof recordRounds>[2] = null) {
  now = Math.max(now, ...batch.map(({ round }) => round.endedAt));
  return recordRounds(deps, batch, fence);
}

const changes = async (id = "chk_1") =>
  (await readEvents(db, { checkId: id, limit: 100 }))
    .reverse()
    .map(({ from, to, at }) => [from, to, at.getTime() - T0]);

const spans = async (id = "chk_1") => {
  const { rows } = await fresh.pool.query(
    "select state, from_at, to_at from check_spans where check_id = $1 order by from_at",
    [id],
  );
  return rows.map((row) => [row.state, row.from_at - T0, row.to_at && row.to_at - T0]);
};
const count = async (table: string) =>
  Number((await fresh.pool.query(`select count(*) as n from ${table}`)).rows[0].n);

describe("what is recorded", () => {
  it("an outage begins and ends with the attempts that said so first, and spans leave nothing out", async () => {
    const all = foldAll(null, [tick(0, true), tick(1, false), tick(2, false), tick(3, true)]);
    for (const one of all) await record([one]);
    expect(await changes()).toEqual([
      ["unknown", "up", 0],
      ["up", "down", 10_000],
      ["down", "up", 30_000],
    ]);
    expect(await spans()).toEqual([
      ["up", 0, 10_000],
      ["down", 10_000, 30_000],
      ["up", 30_000, null],
    ]);
    expect(await count("check_samples")).toBe(4);
  });

  it("is the same in one late batch as in four timely ones", async () => {
    const all = foldAll(null, [tick(0, true), tick(1, false), tick(2, false), tick(3, true)]);
    const { written, transitions } = await record(all);
    expect(written).toBe(4);
    expect(transitions.map(({ to }) => to)).toEqual(["up", "down", "up"]);
    expect(await spans()).toHaveLength(3);
  });

  it("a round that comes again is counted once", async () => {
    const all = foldAll(null, [tick(0, true), tick(1, false)]);
    await record(all);
    const again = await record(all);
    expect(again).toMatchObject({ written: 0, transitions: [] });
    expect(await changes()).toHaveLength(2);
  });

  it("tells those who listen, in the transaction that changes it", async () => {
    const client = await fresh.pool.connect();
    const told: (string | undefined)[] = [];
    client.on("notification", ({ payload }) => told.push(payload));
    await client.query(`listen ${CHECK_STATE_CHANNEL}`);
    await record(foldAll(null, [tick(0, true), tick(1, true)]));
    await client.query("select 1");
    await client.query("unlisten *");
    client.release(true);
    expect(told).toEqual(["chk_1"]);
  });

  it("is nothing at all when its writer dies on the way", async () => {
    await record(foldAll(null, [tick(0, true)]));
    // Cut off in its last statement: what Postgres sees of a writer that is killed.
    await fresh.pool.query(`
      create function die() returns trigger language plpgsql as
        $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
      create trigger die before insert on check_locations for each row execute function die()`);
    const outage = foldAll(foldAll(null, [tick(0, true)])[0]?.after ?? null, [tick(1, false)]);
    await expect(record(outage)).rejects.toThrow();
    await fresh.pool.query("drop function die() cascade");
    expect([await count("check_samples"), (await changes()).length, (await spans()).length]).toEqual([
      1, 1, 1,
    ]);
    expect((await record(outage)).transitions).toHaveLength(1);
  });
});

describe("two writers", () => {
  const outages = Array.from({ length: 24 }, (_, n) => tick(n, Math.floor(n / 3) % 2 === 0));

  it.each([
    ["of the same rounds", 0],
    ["of rounds that overlap", 5],
  ])("%s make each transition once", async (_name, lag) => {
    await fresh.pool.query("update checks set policy = policy || '{\"flapChanges\": 0}'");
    const all = foldAll(null, outages);
    const write = async (from: number) => {
      for (let n = from; n < all.length; n += 2) await record(all.slice(Math.max(0, n - lag), n + 2));
    };
    await Promise.all([write(0), write(0), write(lag)]);
    expect((await changes()).map(([, to]) => to)).toEqual(
      Array.from({ length: 8 }, (_, n) => (n % 2 === 0 ? "up" : "down")),
    );
    expect(await count("check_samples")).toBe(24);
    const all8 = await spans();
    expect(all8).toHaveLength(8);
    for (const [n, [, from]] of all8.slice(1).entries()) expect(all8[n]?.[2]).toBe(from);
  });

  it("of two locations, each with its own rounds of many checks, do not wait in a circle", async () => {
    const policy = aPolicy({ locations: ["a", "b"] });
    await fresh.pool.query("delete from checks");
    const ids = Array.from({ length: 30 }, (_, n) => `chk_${n}`);
    for (const id of ids) await addCheck(id, id, { locations: ["a", "b"] });
    const of = (location: string, order: readonly string[]) => {
      const all = order.map((checkId) =>
        foldAll(null, [tick(0, true), tick(1, false)], policy, { checkId, location }),
      );
      return { ups: all.flatMap(([up]) => up ?? []), downs: all.flatMap(([, down]) => down ?? []) };
    };
    const [a, b] = [of("a", ids), of("b", [...ids].reverse())];
    await Promise.all([a.ups, b.ups, a.ups, b.ups].map((batch) => record(batch)));
    await Promise.all([a.downs, b.downs, a.downs, b.downs].map((batch) => record(batch)));
    const { rows } = await fresh.pool.query("select state, count(*) as n from check_states group by 1");
    expect(rows).toEqual([{ state: "down", n: 30 }]);
    expect((await fresh.pool.query("select 1 from check_events where to_state = 'down'")).rowCount).toBe(30);
  });
});

describe("a fence", () => {
  const fence = { location: "local", owner: "prb_1", tokens: new Map([[1, 7]]) };
  const claim = (owner: string, token: number) =>
    fresh.pool.query(
      `insert into check_shards values ('local', 1, $1, $2, $3)
       on conflict (location, shard) do update set owner = excluded.owner, token = excluded.token`,
      [owner, new Date(T0), token],
    );

  it("lets its owner write, and nobody after the shard was taken over", async () => {
    await claim("prb_1", 7);
    const [first, second] = foldAll(null, [tick(0, true), tick(1, false)]);
    expect(await record(first ? [first] : [], fence)).toMatchObject({ written: 1, refused: [] });
    await claim("prb_2", 8);
    expect(await record(second ? [second] : [], fence)).toEqual({
      written: 0,
      refused: ["chk_1"],
      transitions: [],
    });
    expect([await count("check_samples"), (await changes()).length]).toEqual([1, 1]);
  });

  it("an outage is found at once also after the clock was set back by an hour", async () => {
    await claim("prb_1", 7);
    const wrong = foldAll(null, [tick(360, true)]);
    await record(wrong, fence);
    now = T0;
    const all = foldAll(wrong[0]?.after ?? null, [
      tick(0, true),
      tick(1, false),
      tick(2, false),
      tick(3, true),
    ]);
    const found: string[] = [];
    for (const one of all) {
      now = one.round.endedAt;
      const { transitions } = await recordRounds(deps, [one], fence);
      found.push(transitions.map(({ to }) => to).join());
    }
    expect(found).toEqual(["", "down", "", "up"]);
    const { rows } = await fresh.pool.query("select last_at from check_locations");
    expect(rows).toEqual([{ last_at: new Date(now) }]);
  });

  it("refuses what is another location's, and what is no check any more", async () => {
    await claim("prb_1", 7);
    const elsewhere = foldAll(null, [tick(0, true)], aPolicy(), { location: "fra" });
    expect(await record(elsewhere, fence)).toMatchObject({ written: 0, refused: ["chk_1"] });
    await fresh.pool.query("update checks set retired_at = $1", [new Date(T0)]);
    expect(await record(foldAll(null, [tick(0, true)]), fence)).toMatchObject({
      written: 0,
      refused: ["chk_1"],
    });
  });
});

describe("when nothing is heard", () => {
  it("a sweep makes it unknown as of the end of its last word", async () => {
    await record(foldAll(null, [tick(0, true)]));
    now = T0 + 30_000;
    expect(await judgeDue(deps, null, new Date(now))).toBe(0);
    now = T0 + 900_000;
    expect(await judgeDue(deps, [2], new Date(now))).toBe(0);
    expect(await judgeDue(deps, [1], new Date(now))).toBe(1);
    expect(await spans()).toEqual([
      ["up", 0, 31_020],
      ["unknown", 31_020, null],
    ]);
  });

  it("and nobody was there to notice, the time until the next word is unknown", async () => {
    const [first, second] = foldAll(null, [tick(0, true), [T0 + 900_000, true]]);
    if (first) await record([first]);
    if (second) await record([second]);
    expect(await spans()).toEqual([
      ["up", 0, 31_020],
      ["unknown", 31_020, 900_000],
      ["up", 900_000, null],
    ]);
    expect(await changes()).toHaveLength(3);
  });

  it("a word that arrives while it expires is heard", async () => {
    const [first, second, third] = foldAll(null, [tick(0, true), tick(1, true), tick(2, true)]);
    if (first) await record([first]);
    now = T0 + 40_000;
    await judgeDue(deps, null, new Date(now));
    if (second && third) await record([second, third]);
    expect((await readStates(db, {}, new Date(now)))[0]?.displayed.state).toBe("up");
  });

  it("what is due is judged by one of two sweeps", async () => {
    for (let n = 2; n < 40; n++) await addCheck(`chk_${n}`, `web${n}`);
    const all = Array.from({ length: 39 }, (_, n) =>
      foldAll(null, [tick(0, true)], aPolicy(), { checkId: `chk_${n + 1}` }),
    );
    await record(all.flat());
    now = T0 + 900_000;
    await Promise.all([1, 2, 3].map(() => judgeDue(deps, null, new Date(now))));
    expect((await fresh.pool.query("select 1 from check_events where to_state = 'unknown'")).rowCount).toBe(
      39,
    );
  });
});

describe("what is around a check", () => {
  const events = async (id: string) =>
    (await readEvents(db, { checkId: id, limit: 10 })).map(({ to, suppressedBy }) => [to, suppressedBy]);

  it("the trouble below a parent that is down belongs to the parent, whichever was found first", async () => {
    await addCheck("chk_0", "api", { dependsOn: ["web"] });
    await addCheck("chk_2", "page", { dependsOn: ["web"] });
    const of = (checkId: string, ...ticks: (readonly [number, boolean])[]) =>
      foldAll(null, ticks, aPolicy(), { checkId });
    for (const id of ["chk_0", "chk_1"]) await record(of(id, tick(0, true), tick(1, false)));
    await record(of("chk_2", tick(0, true), tick(1, true), [T0 + 11_000, false]));
    expect(await events("chk_1")).toEqual([
      ["down", null],
      ["up", null],
    ]);
    expect(await events("chk_0")).toEqual([
      ["down", "chk_1"],
      ["up", null],
    ]);
    expect(await events("chk_2")).toEqual([
      ["down", "chk_1"],
      ["up", null],
    ]);
  });

  it("checks that depend on one another in a circle have incidents of their own", async () => {
    await addCheck("chk_0", "api", { dependsOn: ["page"] });
    await addCheck("chk_2", "page", { dependsOn: ["api", "page"] });
    for (const checkId of ["chk_0", "chk_2"]) {
      await record(foldAll(null, [tick(0, true), tick(1, false)], aPolicy(), { checkId }));
    }
    expect([...(await events("chk_0")), ...(await events("chk_2"))].map(([, by]) => by)).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  it("what fails in a window of maintenance carries it, and is looked at again when it ends", async () => {
    await fresh.pool.query(
      `insert into maintenance_windows
         values ('mnt_1', 'prj_shop', 'production', '["web"]', $1, $2, 'move', 'ann', $1)`,
      [new Date(T0), new Date(T0 + 15_000)],
    );
    await judgeSoon(db, { projectId: "prj_shop", environment: "production", names: null }, new Date(now));
    await record(foldAll(null, [tick(0, true), tick(1, false)]));
    expect((await events("chk_1"))[0]).toEqual(["down", "mnt_1"]);
    const [shown] = await readStates(db, { environment: "production" }, new Date(now));
    expect(shown).toMatchObject({ name: "web", project: "shop", maintenance: "mnt_1", lastLatencyMs: 5 });
    now = T0 + 16_000;
    expect(await judgeDue(deps, null, new Date(now))).toBe(1);
    expect((await readStates(db, {}, new Date(now)))[0]?.displayed).not.toHaveProperty("maintenance");
  });
});
