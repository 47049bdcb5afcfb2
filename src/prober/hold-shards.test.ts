import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { type CheckTables, DEFAULT_POLICY, type LoadedCheck, type ProbeKind } from "../checks/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, createPool, type Database } from "../foundation/db.ts";
import { silentLog } from "../foundation/log.ts";
import { type HeldShards, holdShards } from "./hold-shards.ts";
import { startProber } from "./start.ts";

let fresh: FreshDatabase;
let pool: ReturnType<typeof createPool>;
let db: Database<CheckTables>;
let held: HeldShards | null = null;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  pool = createPool({ databaseUrl: fresh.databaseUrl, applicationName: "test" });
  db = createDatabase(pool);
});
afterAll(async () => {
  await pool.end();
  await fresh[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await fresh.pool.query("delete from check_shards");
});
afterEach(async () => {
  await held?.close();
  held = null;
});

async function putShards(owner: string) {
  const until = new Date(systemClock.now().getTime() + 60_000);
  await fresh.pool.query(
    `insert into check_shards (location, shard, owner, lease_until, token)
     select 'local', n, $1, $2, 7 from generate_series(0, 63) n`,
    [owner, until],
  );
}

const PROBE = {
  settings: z.object({}),
  subject: () => "it",
  host: () => null,
  run: async () => ({ status: "up" }),
} as unknown as ProbeKind;
const NO_CHORES = {
  judgeDue: async () => {},
  sweepHeartbeats: async () => {},
  rollUp: async () => {},
  keepPartitions: async () => {},
};

/** Resolves with the tokens, once so many shards are held. */
function hold(count: number): Promise<ReadonlyMap<number, number>> {
  return new Promise((resolve) => {
    held = holdShards({
      db,
      clock: systemClock,
      log: silentLog,
      location: "local",
      owner: "me",
      beat: async () => {},
      onClaimed: () => {
        if (held?.tokens().size === count) resolve(held.tokens());
      },
      onLost: () => {},
      drain: async () => {},
    });
  });
}

test("a share that is ours by its row, though the answer to the claim was lost, is taken again", async () => {
  await putShards("me");
  const tokens = await hold(64);
  // What was written with the lost tokens is void.
  expect(new Set(tokens.values())).toEqual(new Set([8]));
});

test("a round of a check that was retired meanwhile costs the others of its shard nothing", async () => {
  const policy = { ...DEFAULT_POLICY, intervalMs: 100, timeoutMs: 100 };
  const checks = ["chk_gone", "chk_kept"].map(
    (id) =>
      ({ id, type: "tcp", settings: {}, policy, shard: 3, network: null, problem: null }) as LoadedCheck,
  );
  const kept = Promise.withResolvers<void>();
  let isRefused = false;
  const prober = await startProber({
    db,
    notifier: { listen: () => () => {}, close: async () => {} },
    clock: systemClock,
    log: silentLog,
    share: () => 0,
    id: "me",
    location: "local",
    canaries: [],
    loadChecks: async (shards) =>
      checks.filter(({ id, shard }) => shards.includes(shard) && !(isRefused && id === "chk_gone")),
    loadProbe: async () => PROBE,
    chores: NO_CHORES,
    async record(batch) {
      const gone = batch.some(({ check }) => check.id === "chk_gone");
      if (isRefused && !gone) kept.resolve();
      isRefused ||= gone;
      return { refused: gone ? ["chk_gone"] : [] };
    },
  });
  try {
    await kept.promise;
    const { rows } = await fresh.pool.query("select token from check_shards where shard = 3");
    expect(rows).toEqual([{ token: 1 }]);
    expect(prober.report().checks).toBe(1);
  } finally {
    await prober.close();
  }
});
