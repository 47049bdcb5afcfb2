import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import {
  contractsSince,
  type MigrationInput,
  type Migrator,
  readMigrationRuns,
  rollbackBarrier,
  runMigrations,
  type SchemaTables,
} from "./index.ts";

let fresh: FreshDatabase;
let db: Database<SchemaTables>;
const signal = new AbortController().signal;
const PLAN = { databaseUrl: "postgres://u:secret-of-the-app@db/x", timeoutMs: 1_000, lockTimeoutMs: 100 };

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  await fresh.pool.query("insert into projects (id, name, created_at) values ('prj_1', 'shop', $1)", [
    systemClock.now(),
  ]);
});
afterAll(() => fresh[Symbol.asyncDispose]());

let deployments = 0;

async function newDeployment(): Promise<string> {
  const id = `dep_${++deployments}`;
  await fresh.pool.query(
    `insert into deployments (id, project_id, environment, slot, dirty, source, force, state, state_since, actor_name,
       created_at, updated_at)
     values ($1, 'prj_1', 'production', 'production', false, '{}', false, 'superseded', $2, 'dan', $2, $2)`,
    [id, systemClock.now()],
  );
  return id;
}

/** A migrator that does what the test says; the real one has its own suites. */
function migrator(run: (input: MigrationInput) => Promise<void>): Migrator {
  return {
    name: "scripted",
    async run(input) {
      const applied: string[] = [];
      const onApplied = (name: string) => {
        applied.push(name);
        input.onApplied(name);
      };
      await run({ ...input, onApplied });
      return { applied, version: { expand: "0009.sql", contract: applied.at(-1) ?? null } };
    },
    status: async () => ({ applied: [], pending: [], problems: [] }),
  };
}

const applyAll = migrator(async ({ files, onApplied, onLine }) => {
  for (const { name } of files) {
    onLine(`${name}: applied`);
    onApplied(name);
  }
});

function start(
  deploymentId: string,
  sqls: Record<string, string>,
  options: { with?: Migrator; phase?: "expand" | "contract"; environment?: string } = {},
) {
  const phase = options.phase ?? "contract";
  const files = Object.entries(sqls).map(([name, sql]) => ({ name, sql, sha1: name }));
  const key = `${deploymentId}:1:migrate_${phase}`;
  const place = { projectId: "prj_1", project: "shop", environment: options.environment ?? "production" };
  const deps = { db, clock: systemClock, migrator: options.with ?? applyAll };
  return runMigrations(deps, { key, deploymentId, ...place, phase, plan: PLAN, files }, signal);
}

describe("a run", () => {
  it("is accounted for: what it applied, the schema's version, its log, and when", async () => {
    const id = await newDeployment();
    const outcome = await start(id, { "0001.sql": "select 1", "0002.sql": "select 2" });
    expect(outcome).toEqual({
      applied: ["0001.sql", "0002.sql"],
      schemaVersion: { expand: "0009.sql", contract: "0002.sql" },
    });
    const [run] = await readMigrationRuns(db, id);
    expect(run).toMatchObject({
      phase: "contract",
      state: "done",
      attempts: 1,
      applied: ["0001.sql", "0002.sql"],
      schemaVersion: outcome.schemaVersion,
      log: ["0001.sql: applied", "0002.sql: applied"],
      error: null,
    });
    const everything = await fresh.pool.query("select to_jsonb(m) as row from migration_runs m");
    expect(JSON.stringify(everything.rows)).not.toContain("secret-of-the-app");
  });

  it("that is done is not done again for the same key", async () => {
    const id = await newDeployment();
    const first = await start(id, { "a1.sql": "" });
    const never = migrator(() => Promise.reject(new Error("was called again")));
    expect(await start(id, { "a1.sql": "" }, { with: never })).toEqual(first);
  });

  it("that fails says why, and goes on in its row when it is repeated", async () => {
    const id = await newDeployment();
    const failing = migrator(async ({ onApplied, onLine }) => {
      onLine("half way");
      onApplied("b1.sql");
      throw new AppError("unavailable", "the connection broke", {
        hint: "again",
        details: { uncertain: "b2.sql" },
      });
    });
    const files = { "b1.sql": "", "b2.sql": "", "b3.sql": "" };
    await expect(start(id, files, { with: failing })).rejects.toThrow("the connection broke");
    expect(await readMigrationRuns(db, id)).toMatchObject([
      {
        state: "failed",
        error: "the connection broke",
        hint: "again",
        log: ["half way"],
        applied: ["b1.sql", "b2.sql"],
      },
    ]);
    await start(id, files);
    expect(await readMigrationRuns(db, id)).toMatchObject([
      { state: "done", attempts: 2, error: null, hint: null },
    ]);
  });

  it("shows its log while it waits", async () => {
    const id = await newDeployment();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const waiting = migrator(async ({ onLine }) => {
      onLine("Waiting for another one");
      await released;
    });
    const running = start(id, {}, { with: waiting });
    for (let log: readonly string[] = []; log.length === 0; ) {
      log = (await readMigrationRuns(db, id))[0]?.log ?? [];
      await systemClock.sleep(50);
    }
    expect(await readMigrationRuns(db, id)).toMatchObject([
      { state: "running", log: ["Waiting for another one"] },
    ]);
    release();
    await running;
  });

  it("of expand refuses a destructive file before anything is run, and notes what is doubtful", async () => {
    const id = await newDeployment();
    const never = migrator(() => Promise.reject(new Error("was run")));
    await expect(start(id, { "1.sql": "drop table a" }, { phase: "expand", with: never })).rejects.toThrow(
      /^1\.sql, line 1: DROP TABLE/,
    );
    expect(await readMigrationRuns(db, id)).toMatchObject([{ state: "failed", applied: [] }]);
    const other = await newDeployment();
    await start(other, { "1.sql": "create index on a (b)" }, { phase: "expand" });
    expect((await readMigrationRuns(db, other))[0]?.log[0]).toMatch(/^1\.sql:1 Note: CREATE INDEX/);
  });
});

describe("the contracts of a place", () => {
  it("are those that were applied, and those that a run cut off may have applied", async () => {
    const place = { projectId: "prj_1", environment: "staging" };
    const [first, second, third] = [await newDeployment(), await newDeployment(), await newDeployment()];
    await start(first, { "0001.sql": "" }, { environment: "staging" });
    await start(second, { "0001.sql": "", "0002.sql": "" }, { environment: "staging", phase: "expand" });
    const crashed = migrator(() => new Promise(() => {}));
    void start(third, { "0001.sql": "", "0003.sql": "" }, { environment: "staging", with: crashed });
    for (let found = 0; found < 1; ) found = (await readMigrationRuns(db, third)).length;
    const contracts = await contractsSince(db, place);
    expect(contracts.map(({ name, release, certain }) => [name, release, certain])).toEqual([
      ["0001.sql", first, true],
      ["0003.sql", third, false],
    ]);
    expect(rollbackBarrier(contracts, ["0001.sql"])).toMatchObject({ name: "0003.sql", by: third });
    await start(
      third,
      { "0001.sql": "", "0003.sql": "" },
      { environment: "staging", with: migrator(async () => {}) },
    );
    expect((await contractsSince(db, place)).map(({ name }) => name)).toEqual(["0001.sql"]);
    expect(await contractsSince(db, { ...place, environment: "preview" })).toEqual([]);
  });
});
