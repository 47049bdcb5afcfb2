import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { constants, gunzip, gzip } from "node:zlib";
import type { Clock } from "../../foundation/clock.ts";
import { AppError } from "../../foundation/errors.ts";
import type { DockDatabase } from "../rows.ts";
import type { FileStore, TreeFile } from "../store/store.ts";
import { checkedPath, type RequestedFile } from "./deployment-request.ts";

const compress = promisify(gzip);
const expand = promisify(gunzip);
const REGULAR = 0o100644;

/** The tree of a request; inline files are stored on the way. @throws AppError `bad_request` for a bad path. */
export async function readTree(store: FileStore, files: readonly RequestedFile[]): Promise<TreeFile[]> {
  const seen = new Set<string>();
  const tree: TreeFile[] = [];
  for (const file of files) {
    const path = checkedPath(file.file);
    if (seen.has(path)) throw new AppError("bad_request", `The file "${path}" is named twice.`);
    seen.add(path);
    const mode = normalMode(file.mode);
    if ("data" in file) {
      const bytes = Buffer.from(file.data, file.encoding === "base64" ? "base64" : "utf8");
      const sha1 = createHash("sha1").update(bytes).digest("hex");
      await store.put(sha1, bytes);
      tree.push({ path, sha1, size: bytes.length, mode });
    } else {
      tree.push({ path, sha1: file.sha, size: file.size, mode });
    }
  }
  return tree.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** As git sees modes: a symlink, or a regular file that may be run or not. */
function normalMode(mode: number | undefined): number {
  if (mode === undefined) return REGULAR;
  if ((mode & 0o170000) === 0o120000) return 0o120000;
  return mode & 0o111 ? 0o100755 : REGULAR;
}

export function treeDigest(files: readonly TreeFile[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file.mode.toString(8)} ${file.sha1} ${file.size} ${file.path}\0`);
  return hash.digest("hex");
}

/** Keeps a tree, unless it is kept already. Returns its digest. */
export async function saveTree(
  deps: { db: DockDatabase; clock: Clock },
  files: readonly TreeFile[],
): Promise<string> {
  const digest = treeDigest(files);
  const known = await deps.db
    .selectFrom("trees")
    .select("digest")
    .where("digest", "=", digest)
    .executeTakeFirst();
  if (known) return digest;
  const row = {
    digest,
    files: await compress(JSON.stringify(files), { level: constants.Z_BEST_SPEED }),
    file_count: files.length,
    created_at: deps.clock.now(),
  };
  await deps.db
    .insertInto("trees")
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return digest;
}

export async function loadTree(db: DockDatabase, digest: string): Promise<TreeFile[]> {
  const row = await db
    .selectFrom("trees")
    .select("files")
    .where("digest", "=", digest)
    .executeTakeFirstOrThrow();
  return JSON.parse((await expand(row.files)).toString("utf8"));
}
