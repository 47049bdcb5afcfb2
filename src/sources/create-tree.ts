import { createHash } from "node:crypto";
import { sql } from "kysely";
import { type AccessTables, type Actor, audit, requireRole } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { TreeFile } from "../targets/target.ts";
import { checkManifest, digestManifest } from "./manifest.ts";
import { migrationFiles } from "./migration-files.ts";
import { missingFiles, packFiles, sweepSources } from "./queries.ts";
import type { SourceTables } from "./tables.ts";
import { askForTexts } from "./texts.ts";

export type CreateTreeDeps = {
  readonly db: Database<SourceTables & AccessTables>;
  readonly clock: Clock;
  /** The id of a project by its name. @throws AppError `not_found` */
  readonly projectIdOf: (name: string) => Promise<string>;
  /** The file that configures a deployment, and its check. @throws AppError `unprocessable` with all problems. */
  readonly configFile: string;
  readonly checkConfig: (text: string) => void;
  /** Folders whose `*.sql` we read ourselves, by the configuration's text. Default: none. */
  readonly migrationDirs?: (config: string) => readonly string[];
};

/**
 * Takes the list of a tree's files and says which contents are still to be sent. Idempotent: the same tree is one row.
 * @throws AppError for a bad list or configuration, with all problems.
 */
export async function createTree(
  deps: CreateTreeDeps,
  actor: Actor,
  input: { project: string; files: readonly unknown[]; config?: string | undefined },
): Promise<{ tree: string; missing: string[] }> {
  requireRole(actor, "deployer");
  const projectId = await deps.projectIdOf(input.project);
  const files = checkManifest(input.files);
  const config = matchConfig(deps, files, input.config);
  const texts = config === null ? [] : migrationFiles(files, deps.migrationDirs?.(config) ?? []);
  const tree = digestManifest(files);
  const at = deps.clock.now();
  await store(deps, actor, { projectId, tree, files, config, at });
  await sweepSources(deps.db, at);
  const missing = new Set(await missingFiles(deps.db, files, at));
  for (const sha1 of await askForTexts(deps.db, texts, at)) missing.add(sha1);
  return { tree, missing: [...missing] };
}

/** The text that came along must be the file in the tree: what was checked is what is deployed. */
function matchConfig(
  deps: CreateTreeDeps,
  files: readonly TreeFile[],
  config: string | undefined,
): string | null {
  const listed = files.find((file) => file.path === deps.configFile);
  if (listed === undefined && config === undefined) return null;
  if (listed === undefined || config === undefined) {
    const where =
      listed === undefined ? "in `config`, but not in the tree" : "in the tree, but not in `config`";
    throw new AppError("bad_request", `${deps.configFile} is ${where}.`, {
      hint: `Send the text of the tree's ${deps.configFile} as \`config\`, or neither.`,
    });
  }
  if (createHash("sha1").update(config).digest("hex") !== listed.sha1) {
    throw new AppError(
      "bad_request",
      `\`config\` is not the ${deps.configFile} of the tree: its digest differs.`,
      {
        hint: "The file may have changed meanwhile; read it once and send the list again.",
      },
    );
  }
  deps.checkConfig(config);
  return config;
}

async function store(
  deps: CreateTreeDeps,
  actor: Actor,
  row: { projectId: string; tree: string; files: readonly TreeFile[]; config: string | null; at: Date },
): Promise<void> {
  const { projectId, tree, files, config, at } = row;
  const packed = await packFiles(files);
  await deps.db.transaction().execute(async (tx) => {
    const stored = await tx
      .insertInto("trees")
      .values({
        project_id: projectId,
        digest: tree,
        files: packed,
        file_count: files.length,
        size: files.reduce((sum, file) => sum + file.size, 0),
        config,
        created_at: at,
      })
      .onConflict((conflict) => conflict.columns(["project_id", "digest"]).doUpdateSet({ created_at: at }))
      // Zero for a row that was inserted, and the updater's own id for one that was there.
      .returning(sql<boolean>`xmax = 0`.as("inserted"))
      .executeTakeFirstOrThrow();
    if (!stored.inserted) return;
    const details = { projectId, files: files.length };
    await audit(tx, { actor, action: "tree.create", subject: { type: "tree", id: tree }, details, at });
  });
}
