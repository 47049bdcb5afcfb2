/**
 * Projects: what is deployed, and what its repository says about how.
 *
 * - **Project**: one application; its name is the first label of its hosts.
 * - **Configuration**: `signalbox.yaml` in the commit that is deployed. Data, never executed.
 * - **Plan**: what the configuration means for one environment, defaults filled in.
 */
export type { SignalboxConfig } from "./config.ts";
export { type CreateProjectDeps, createProject } from "./create-project.ts";
export { type MigrateSchemaDeps, migrateSchema } from "./migrate-schema.ts";
export { migrationDirs } from "./migration-dirs.ts";
export { checkProjectName, suggestProjectName } from "./names.ts";
export {
  CONFIG_FILE,
  type ConfigProblem,
  type ParsedConfig,
  parseConfig,
  requireConfig,
} from "./parse-config.ts";
export { type ConfigPlan, resolvePlan } from "./plan.ts";
export { type PrepareDeps, prepare, reupload } from "./prepare.ts";
export { prepareStandby, resupplyStandby } from "./prepare-standby.ts";
export { getProject, listProjects, type Project } from "./queries.ts";
export { readChecks } from "./read-checks.ts";
export { readSchema } from "./read-schema.ts";
export { projectRoutes } from "./routes.ts";
export type { ProjectTables } from "./tables.ts";
