import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { sql } from "kysely";
import type { Database, Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { TreeFile } from "../targets/target.ts";
import type { SourceTables } from "./tables.ts";

/** The target keeps unused files for 24 h; trusted for less, so that none expires under a deployment. */
const UPLOAD_TRUSTED_MS = 20 * 3_600_000;
/** A tree is needed until its deployment has begun; sending one again costs a client only the list. */
const TREE_KEPT_MS = 7 * 24 * 3_600_000;
/** A contract file is read again once it is due, which a person may have put off; small texts, each kept once. */
const TEXT_KEPT_MS = 180 * 24 * 3_600_000;

export type StoredTree = { readonly files: readonly TreeFile[]; readonly config: string | null };

/** The manifest as it is stored. Level 1: a tenth of the size already, and 5,000 files take 10 ms. */
export async function packFiles(files: readonly TreeFile[]): Promise<Buffer> {
  const rows = files.map(({ path, sha1, size, mode }) => [path, sha1, size, mode]);
  return promisify(gzip)(JSON.stringify(rows), { level: 1 });
}

/** @throws AppError `not_found` when no such tree was sent for the project, or it is older than a week. */
export async function requireTree(db: Tx<SourceTables>, projectId: string, digest: string): Promise<void> {
  const row = await db
    .selectFrom("trees")
    .select("digest")
    .where("project_id", "=", projectId)
    .where("digest", "=", digest)
    .executeTakeFirst();
  if (!row) throw noSuchTree(digest);
}

function noSuchTree(digest: string): AppError {
  return new AppError("not_found", `The tree ${digest.slice(0, 12)} was not sent for this project.`, {
    hint: "Run `signalbox deploy` again; it sends what is missing.",
  });
}

/** A tree's files and configuration. @throws AppError `not_found`, as `requireTree`. */
export async function readTree(db: Tx<SourceTables>, projectId: string, digest: string): Promise<StoredTree> {
  const row = await db
    .selectFrom("trees")
    .select(["files", "config"])
    .where("project_id", "=", projectId)
    .where("digest", "=", digest)
    .executeTakeFirst();
  if (!row) throw noSuchTree(digest);
  const unpacked = await promisify(gunzip)(row.files);
  const rows = JSON.parse(unpacked.toString("utf8")) as [string, string, number, number][];
  return { files: rows.map(([path, sha1, size, mode]) => ({ path, sha1, size, mode })), config: row.config };
}

/** Those of `files` that the target is not known to have, each digest once. */
export async function missingFiles(
  db: Tx<SourceTables>,
  files: readonly TreeFile[],
  now: Date,
): Promise<string[]> {
  const wanted = [...new Set(files.map((file) => file.sha1))];
  if (wanted.length === 0) return [];
  const known = await db
    .selectFrom("uploaded_files")
    .select("sha1")
    .where("sha1", "=", sql<string>`any(${wanted}::text[])`)
    .where("uploaded_at", ">", new Date(now.getTime() - UPLOAD_TRUSTED_MS))
    .execute();
  const have = new Set(known.map((row) => row.sha1));
  return wanted.filter((sha1) => !have.has(sha1));
}

export async function rememberUploaded(
  db: Tx<SourceTables>,
  file: { sha1: string; size: number },
  at: Date,
): Promise<void> {
  await db
    .insertInto("uploaded_files")
    .values({ sha1: file.sha1, size: file.size, uploaded_at: at })
    .onConflict((conflict) => conflict.column("sha1").doUpdateSet({ uploaded_at: at }))
    .execute();
}

/** For files that the target says it does not have after all. */
export async function forgetUploaded(db: Tx<SourceTables>, sha1s: readonly string[]): Promise<void> {
  await db
    .deleteFrom("uploaded_files")
    .where("sha1", "=", sql<string>`any(${[...sha1s]}::text[])`)
    .execute();
}

/** Removes what is of no use any more. */
export async function sweepSources(db: Database<SourceTables>, now: Date): Promise<void> {
  const before = (ms: number) => new Date(now.getTime() - ms);
  await db.deleteFrom("uploaded_files").where("uploaded_at", "<", before(UPLOAD_TRUSTED_MS)).execute();
  await db.deleteFrom("trees").where("created_at", "<", before(TREE_KEPT_MS)).execute();
  await db.deleteFrom("source_texts").where("at", "<", before(TEXT_KEPT_MS)).execute();
}
