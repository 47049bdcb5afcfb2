/**
 * Sources: the code that is deployed, as trees of files by content.
 *
 * - **Tree**: a list of paths with the SHA-1 of each content; its digest names it.
 * - **Upload**: a content on its way through us to the target; we keep none but texts.
 * - **Text**: the content of a migration, which we run ourselves and so keep.
 * - **Source**: a place where commits come from, such as a git repository.
 */
export { type CreateTreeDeps, createTree } from "./create-tree.ts";
export { LIMITS, pathProblem } from "./manifest.ts";
export { migrationFiles } from "./migration-files.ts";
export {
  forgetUploaded,
  missingFiles,
  readTree,
  rememberUploaded,
  requireTree,
  type StoredTree,
} from "./queries.ts";
export { type ReadMigrationsDeps, readMigrationFiles } from "./read-migrations.ts";
export { sourceRoutes } from "./routes.ts";
export type { FetchedCommit, FileContent, Source, Wanted } from "./source.ts";
export type { SourceTables } from "./tables.ts";
export { type UploadFileDeps, uploadFile } from "./upload-file.ts";
