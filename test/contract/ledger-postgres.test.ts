import fc from "fast-check";
import { expect, it } from "vitest";
import { createLedger } from "../../src/deployments/ledger-postgres.ts";
import type { EngineTables } from "../../src/deployments/tables.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { createDatabase } from "../../src/foundation/db.ts";
import { createMemoryLedger } from "../scenarios/memory-ledger.ts";
import { freshDatabase } from "../support/database.ts";
import { type LedgerUnderTest, ledgerContract, operations, runBoth } from "./ledger.ts";

async function start(): Promise<LedgerUnderTest> {
  const database = await freshDatabase({ migrations: ["control"] });
  const db = createDatabase<EngineTables>(database.pool);
  let projects = 0;
  return {
    ledger: createLedger({ db, clock: systemClock, jobs: { add: async () => {} } }),
    async newProject() {
      const id = `prj_${++projects}`;
      await database.pool.query("insert into projects (id, name, created_at) values ($1, $1, $2)", [
        id,
        new Date(),
      ]);
      return id;
    },
    async auditOf(subject) {
      const { rows } = await database.pool.query(
        "select action from audit_log where subject_id = $1 order by id",
        [subject],
      );
      return rows.map((row: { action: string }) => row.action);
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

ledgerContract("PostgreSQL", start);

it("whatever is called in whatever order: the ledger in memory answers as the one in PostgreSQL", async () => {
  await using postgres = await start();
  const projects: { id: string; name: string }[] = [];
  // One for all runs, so that what earlier ones left counts for both.
  const memory = createMemoryLedger(projects);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(operations(), async (ops) => {
      run += 1;
      const project = await postgres.newProject();
      projects.push({ id: project, name: project });
      await runBoth(postgres.ledger, memory, run, project, ops);
    }),
    { numRuns: 150 },
  );
  expect(run).toBeGreaterThanOrEqual(150);
}, 180_000);
