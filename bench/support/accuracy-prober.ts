import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type pg from "pg";
import {
  CHECK_REQUEST_CHANNEL,
  CHECKS_CHANNEL,
  type CheckTables,
  judgeDue,
  keepPartitions,
  type LoadedCheck,
  recordRounds,
  rollUp,
} from "../../src/checks/index.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/checks/model.ts";
import { systemClock as clock } from "../../src/foundation/clock.ts";
import { createDatabase, createPool, type Database } from "../../src/foundation/db.ts";
import { startEmbeddedPostgres } from "../../src/foundation/embedded-postgres.ts";
import { randomShare } from "../../src/foundation/ids.ts";
import { silentLog as log } from "../../src/foundation/log.ts";
import { migrate } from "../../src/foundation/migrate.ts";
import { startNotifier } from "../../src/foundation/notify.ts";
import { type RunningProber, startProber } from "../../src/prober/index.ts";
import { loadProbe } from "../../src/providers/probes/index.ts";

/** One HTTP check, of an address of this machine. */
export type Asked = { readonly name: string; readonly settings: object; readonly policy: Partial<Policy> };

export type Running = {
  readonly db: Database<CheckTables>;
  readonly pool: pg.Pool;
  readonly prober: RunningProber;
};

/** The prober's own loop with a throw-away PostgreSQL, asking these checks for the time of `use`. */
export async function withProber<T>(
  checks: readonly Asked[],
  use: (running: Running) => Promise<T>,
): Promise<T> {
  await using undo = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "signalbox-accuracy-"));
  undo.defer(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o755);
  const postgres = await startEmbeddedPostgres({ clock, log }, { dir });
  undo.defer(() => postgres.stop());
  const { databaseUrl } = postgres;
  const pool = createPool({ databaseUrl, applicationName: "accuracy" });
  undo.defer(() => pool.end());
  const directory = resolve(import.meta.dirname, "../../migrations/control");
  await migrate({ pool, clock, schema: "public", directory });
  const loaded = await insertChecks(pool, checks);
  const db = createDatabase<CheckTables>(pool);
  const notifier = await startNotifier({
    databaseUrl,
    channels: [CHECKS_CHANNEL, CHECK_REQUEST_CHANNEL],
    clock,
    log,
  });
  undo.defer(() => notifier.close());
  const prober = await startProber({
    db,
    notifier,
    clock,
    log,
    share: randomShare,
    id: "prober_accuracy",
    location: "local",
    canaries: [],
    // All targets are of one host here, and asked as if they were of many.
    limits: { running: 1_000, perHost: 1_000 },
    loadProbe,
    loadChecks: async (shards) => loaded.filter(({ shard }) => shards.includes(shard)),
    chores: {
      judgeDue: (shards, now) => judgeDue({ db }, shards, now),
      rollUp: (shards, now) => rollUp({ db, clock }, shards, now),
      keepPartitions: (now) => keepPartitions({ db, clock }, now),
      sweepHeartbeats: async () => {},
    },
    record: (batch, fence) => recordRounds({ db, clock }, batch, fence),
  });
  undo.defer(() => prober.close());
  return await use({ db, pool, prober });
}

async function insertChecks(pool: pg.Pool, checks: readonly Asked[]): Promise<LoadedCheck[]> {
  const now = clock.now();
  await pool.query("insert into projects (id, name, created_at) values ('prj_1', 'accuracy', $1)", [now]);
  const loaded = checks.map(({ name, settings, policy }, at): LoadedCheck => {
    return {
      id: `chk_${name.replaceAll(" ", "-")}`,
      projectId: "prj_1",
      environment: "production",
      name,
      type: "http",
      source: "api",
      settings,
      policy: { ...DEFAULT_POLICY, ...policy },
      shard: at % 64,
      network: { allowNetworks: ["127.0.0.0/8"] },
      problem: null,
    };
  });
  await pool.query(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
       created_at, updated_at)
     select id, 'prj_1', 'production', name, 'http', 'api', name, '', policy, shard, $2, $2
     from jsonb_to_recordset($1) as c (id text, name text, policy jsonb, shard int)`,
    [JSON.stringify(loaded), now],
  );
  return loaded;
}
