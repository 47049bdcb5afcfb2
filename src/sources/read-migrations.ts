import { buffer } from "node:stream/consumers";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { MigrationFile } from "../schema/index.ts";
import type { TreeFile } from "../targets/target.ts";
import { migrationFiles } from "./migration-files.ts";
import type { Source } from "./source.ts";
import type { SourceTables } from "./tables.ts";
import { checkTextSize, keepText, readTexts, toText } from "./texts.ts";

export type ReadMigrationsDeps = {
  readonly db: Database<SourceTables>;
  readonly clock: Clock;
  readonly git: Pick<Source, "readFiles">;
};

/**
 * The migrations in a folder of a commit, in the order of their names. Once read, those of a git source are kept here
 * too, so that a contract that is due weeks later needs no repository.
 * @param input.files the commit's manifest. `sha`: the full commit id of a git source that was fetched before.
 * @throws AppError `unprocessable` for files that are no migrations, and where a tree's were never sent.
 */
export async function readMigrationFiles(
  deps: ReadMigrationsDeps,
  input: {
    readonly source: { readonly tree: string } | { readonly git: string };
    readonly sha: string | null;
    readonly files: readonly TreeFile[];
    readonly dir: string | null;
  },
  signal: AbortSignal,
): Promise<MigrationFile[]> {
  if (input.dir === null) return [];
  const files = migrationFiles(input.files, [input.dir]);
  const digests = files.map(({ sha1 }) => sha1);
  const texts = await readTexts(deps.db, digests, deps.clock.now());
  const missing = files.filter(({ sha1 }) => !texts.has(sha1));
  const { source, sha } = input;
  if (missing.length > 0 && "git" in source && sha !== null) {
    for (const [sha1, text] of await readFromGit(deps, { url: source.git, sha }, missing, signal)) {
      texts.set(sha1, text);
    }
  }
  return files.map(({ path, sha1 }) => {
    const sql = texts.get(sha1);
    if (sql === undefined) throw notSent(path);
    return { name: path.slice(path.lastIndexOf("/") + 1), sha1, sql };
  });
}

async function readFromGit(
  deps: ReadMigrationsDeps,
  at: { readonly url: string; readonly sha: string },
  missing: readonly TreeFile[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const paths = new Map(missing.map(({ sha1, path }) => [sha1, path]));
  const texts = new Map<string, string>();
  await deps.git.readFiles(
    { ...at, sha1s: new Set(paths.keys()) },
    async ({ sha1, size, body }) => {
      const path = paths.get(sha1) ?? sha1;
      checkTextSize(path, size);
      const text = toText(path, await buffer(body));
      texts.set(sha1, text);
      await keepText(deps.db, { sha1, path, size, text }, deps.clock.now());
    },
    signal,
  );
  return texts;
}

function notSent(path: string): AppError {
  return new AppError("unprocessable", `The text of ${path} is not here.`, {
    hint: "Run `signalbox deploy` again; it sends what is missing.",
  });
}
