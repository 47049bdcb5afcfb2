import type { Selectable } from "kysely";
import { sql } from "kysely";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import { type BoundedLog, createBoundedLog } from "./bounded-log.ts";
import { requireExpand } from "./lint-expand.ts";
import type {
  MigrationFile,
  MigrationResult,
  Migrator,
  Phase,
  SchemaPlan,
  SchemaVersion,
} from "./migrator.ts";
import type { SchemaTables } from "./tables.ts";

const MAX_LOG_BYTES = 64 * 1_024;
/** How far the log in the row may be behind: a person watches a migration that waits. */
const LOG_WRITE_MS = 1_000;

export type RunMigrationsDeps = {
  readonly db: Database<SchemaTables>;
  readonly clock: Clock;
  readonly migrator: Migrator;
};

export type RunMigrationsInput = {
  /** Of the side effect, as `effectKey` makes it. */
  readonly key: string;
  readonly deploymentId: string;
  readonly projectId: string;
  readonly project: string;
  readonly environment: string;
  readonly phase: Phase;
  readonly plan: Pick<SchemaPlan, "databaseUrl" | "timeoutMs" | "lockTimeoutMs">;
  readonly files: readonly MigrationFile[];
  /** Each line of the log as it comes, without secrets. */
  readonly onLine?: (line: string) => void;
};

export type MigrationOutcome = { readonly applied: readonly string[]; readonly schemaVersion: SchemaVersion };

/**
 * Runs a phase's migrations and keeps the account of it. Once for each key: of a run that is done the outcome is
 * answered again; one that was cut off or failed goes on in its row.
 * @throws AppError as `requireExpand` and the migrator; the row says the same.
 */
export async function runMigrations(
  deps: RunMigrationsDeps,
  input: RunMigrationsInput,
  signal: AbortSignal,
): Promise<MigrationOutcome> {
  const row = await begin(deps, input);
  if (row.state === "done") return outcomeOf(row);
  const log = createBoundedLog(MAX_LOG_BYTES);
  const onLine = (line: string) => {
    log.add(line);
    input.onLine?.(line);
  };
  const applied = new Set(row.applied);
  const keeping = keepLog(deps, input.key, log);
  try {
    if (input.phase === "expand") {
      for (const { file, line, message } of requireExpand(input.files))
        onLine(`${file}:${line} Note: ${message}`);
    }
    const { plan, phase, files, projectId, project, environment, deploymentId: release } = input;
    const place = { projectId, project, environment, release };
    const onApplied = (name: string) => void applied.add(name);
    const result = await deps.migrator.run({ ...plan, phase, files, ...place, onLine, onApplied }, signal);
    await keeping.stop();
    await finish(deps, input.key, log, result);
    return { applied: result.applied, schemaVersion: result.version };
  } catch (error) {
    await keeping.stop();
    for (const name of uncertainOf(error)) applied.add(name);
    // Should that fail too, the row stays `running`, which bars more rollbacks and never fewer.
    await fail(deps, input.key, log, [...applied], error).catch(() => {});
    throw error;
  }
}

type Row = Pick<
  Selectable<SchemaTables["migration_runs"]>,
  "state" | "applied" | "expand_version" | "contract_version"
>;

/** The row of this key, running unless it is done already. */
async function begin(deps: RunMigrationsDeps, input: RunMigrationsInput): Promise<Row> {
  const { key, deploymentId, projectId, environment, phase, files } = input;
  const columns = ["state", "applied", "expand_version", "contract_version"] as const;
  const begun = await deps.db
    .insertInto("migration_runs")
    .values({
      key,
      deployment_id: deploymentId,
      project_id: projectId,
      environment,
      phase,
      state: "running",
      files: JSON.stringify(files.map(({ name }) => name)),
      started_at: deps.clock.now(),
    })
    .onConflict((conflict) =>
      conflict
        .column("key")
        .doUpdateSet({
          state: "running",
          attempts: sql`migration_runs.attempts + 1`,
          error: null,
          hint: null,
          finished_at: null,
        })
        .where("migration_runs.state", "<>", "done"),
    )
    .returning(columns)
    .executeTakeFirst();
  if (begun) return begun;
  return deps.db
    .selectFrom("migration_runs")
    .select(columns)
    .where("key", "=", key)
    .executeTakeFirstOrThrow();
}

async function finish(
  deps: RunMigrationsDeps,
  key: string,
  log: BoundedLog,
  { applied, version }: MigrationResult,
): Promise<void> {
  await deps.db
    .updateTable("migration_runs")
    .set({
      state: "done",
      applied: JSON.stringify(applied),
      expand_version: version.expand,
      contract_version: version.contract,
      log: textOf(log),
      finished_at: deps.clock.now(),
    })
    .where("key", "=", key)
    .execute();
}

async function fail(
  deps: RunMigrationsDeps,
  key: string,
  log: BoundedLog,
  applied: readonly string[],
  error: unknown,
): Promise<void> {
  await deps.db
    .updateTable("migration_runs")
    .set({
      state: "failed",
      applied: JSON.stringify(applied),
      log: textOf(log),
      error: messageOf(error),
      hint: error instanceof AppError ? (error.hint ?? null) : null,
      finished_at: deps.clock.now(),
    })
    .where("key", "=", key)
    // One that another worker brought to its end meanwhile stays done.
    .where("state", "=", "running")
    .execute();
}

/** Writes the log into the row while the run is under way. */
function keepLog(deps: RunMigrationsDeps, key: string, log: BoundedLog): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const keep = async () => {
    for (let written = 0; ; ) {
      await deps.clock.sleep(LOG_WRITE_MS, stopped.signal);
      if (log.count() === written) continue;
      written = log.count();
      const running = deps.db
        .updateTable("migration_runs")
        .set({ log: textOf(log) })
        .where("key", "=", key);
      await running.where("state", "=", "running").execute();
    }
  };
  // It ends by being stopped. A write that fails loses nothing: the last one has the whole log.
  const kept = keep().catch(() => {});
  return {
    stop: () => {
      stopped.abort();
      return kept;
    },
  };
}

function textOf(log: BoundedLog): string {
  return log.lines().join("\n").replaceAll("\0", "");
}

/** The file of which the migrator cannot say whether it was applied. Until the next attempt it counts as applied. */
function uncertainOf(error: unknown): string[] {
  const details = error instanceof AppError ? error.details : null;
  if (typeof details !== "object" || details === null || !("uncertain" in details)) return [];
  return typeof details.uncertain === "string" ? [details.uncertain] : [];
}

function outcomeOf(row: Row): MigrationOutcome {
  const schemaVersion = { expand: row.expand_version, contract: row.contract_version };
  return { applied: row.applied, schemaVersion };
}
