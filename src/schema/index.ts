/**
 * Schema: the database schema of the app that is deployed, and how it changes without hurting who is served.
 *
 * - **Migration**: an SQL file of the commit; applied once, recorded in the app's own database.
 * - **Expand**: the phase before traffic: adds what the new release needs and the old one does not mind.
 * - **Contract**: the phase after: removes what only older releases needed. No rollback goes back across it.
 * - **Migrator**: port: a kind of database that migrations can be applied to.
 */
export { type ContractTiming, type ContractWait, contractDue, contractWait } from "./contract-due.ts";
export { type Comparison, compareHistory, compareNames, requirePending } from "./history.ts";
export { type Finding, lintExpand, requireExpand, requireMigrations } from "./lint-expand.ts";
export {
  type AppliedMigration,
  type MigrationFile,
  type MigrationInput,
  type MigrationResult,
  type Migrator,
  type Phase,
  SCHEMA_DEFAULTS,
  type SchemaPlan,
  type SchemaStatus,
  type SchemaVersion,
} from "./migrator.ts";
export { contractsSince, type MigrationRun, readMigrationRuns } from "./queries.ts";
export { type AppliedContract, type RollbackBarrier, rollbackBarrier } from "./rollback-barrier.ts";
export {
  type MigrationOutcome,
  type RunMigrationsDeps,
  type RunMigrationsInput,
  runMigrations,
} from "./run-migrations.ts";
export { lineAt, type ParsedMigration, parseMigration, type Statement } from "./statements.ts";
export type { SchemaTables } from "./tables.ts";
