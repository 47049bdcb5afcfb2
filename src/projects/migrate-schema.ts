import type { MigrateSchema } from "../deployments/index.ts";
import { slotOf } from "../deployments/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { type Migrator, runMigrations, type SchemaTables } from "../schema/index.ts";
import { readMigrationFiles, type SourceTables } from "../sources/index.ts";
import { CONFIG_FILE } from "./parse-config.ts";
import type { MigrationsPlan } from "./plan.ts";
import { type PrepareDeps, planFor, readCode } from "./prepare.ts";
import { getProject } from "./queries.ts";
import type { ProjectTables } from "./tables.ts";

export type MigrateSchemaDeps = PrepareDeps & {
  readonly db: Database<ProjectTables & SourceTables & SchemaTables>;
  readonly clock: Clock;
  readonly migrator: Migrator;
};

/**
 * Applies one phase of a commit's migrations: its own files, to the database that its own configuration names.
 * Idempotent by key. @throws AppError `unprocessable` for what the user has to mend, anything else may be retried.
 */
export function migrateSchema(deps: MigrateSchemaDeps): MigrateSchema {
  return async (input, signal) => {
    const project = await getProject(deps.db, input.project);
    const code = await readCode(deps, project, input, signal);
    const { migrations, env } = planFor(code, input);
    if (!migrations) return { applied: [], version: null };
    const { phase, key, deploymentId, projectId, environment, branch, pullRequest } = input;
    const dir = phase === "expand" ? migrations.expandDir : migrations.contractDir;
    const files = await readMigrationFiles(
      deps,
      { source: input.source, sha: code.commit.sha, files: code.files, dir },
      signal,
    );
    const { timeoutMs, lockTimeoutMs } = migrations;
    const { applied, schemaVersion } = await runMigrations(
      deps,
      {
        key,
        deploymentId,
        projectId,
        project: input.project,
        // Each preview may have a database of its own.
        environment: slotOf(environment, branch, pullRequest),
        phase,
        plan: { databaseUrl: addressOf(migrations, env), timeoutMs, lockTimeoutMs },
        files,
      },
      signal,
    );
    return { applied, version: schemaVersion[phase] };
  };
}

/** @throws AppError `unprocessable` when the variable that holds it is not set for the environment. */
function addressOf({ databaseVariable }: MigrationsPlan, env: Readonly<Record<string, string>>): string {
  const address = env[databaseVariable];
  if (address) return address;
  throw new AppError(
    "unprocessable",
    `The variable ${databaseVariable} is not set, so nothing can be migrated.`,
    {
      hint: `Set it under "env" in ${CONFIG_FILE}, or name another with migrations.database.`,
    },
  );
}
