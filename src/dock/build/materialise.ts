import { constants } from "node:fs";
import { chmod, copyFile, mkdir, readFile, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorCodeOf } from "../../foundation/errors.ts";
import type { FileStore, TreeFile } from "../store/store.ts";
import { BuildFailure } from "./build.ts";
import { inParallel } from "./in-parallel.ts";
import { assertSafeTree, isSymlink, linkTarget, refused } from "./tree-paths.ts";

/**
 * Writes a tree into an empty directory. Files are copies (cheap ones where the file system can), never links: a
 * build writes into its tree, and the store must not change. Links come last, so nothing is written through one.
 * @throws BuildFailure when the tree is unsafe, or the store lacks a file.
 */
export async function materialise(
  files: readonly TreeFile[],
  directory: string,
  store: FileStore,
): Promise<void> {
  assertSafeTree(files);
  const folders = new Set(files.map((file) => dirname(join(directory, file.path))));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  await inParallel(
    files.filter((file) => !isSymlink(file)),
    16,
    (file) => writeFileCopy(file, directory, store),
  );
  for (const file of files) {
    if (!isSymlink(file)) continue;
    const target = await readFile(store.path(file.sha1), "utf8").catch((error) => {
      throw unreadable(file, error);
    });
    if (linkTarget(file.path, target) === null) throw refused(file.path, "is a link that leaves the tree");
    await symlink(target, join(directory, file.path));
  }
}

async function writeFileCopy(file: TreeFile, directory: string, store: FileStore): Promise<void> {
  const path = join(directory, file.path);
  try {
    await copyFile(store.path(file.sha1), path, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  } catch (error) {
    throw unreadable(file, error);
  }
  await chmod(path, file.mode & 0o100 ? 0o755 : 0o644);
}

function unreadable(file: TreeFile, error: unknown): unknown {
  if (errorCodeOf(error) !== "ENOENT") return error;
  return new BuildFailure(
    "BUILD_FAILED",
    `The file ${JSON.stringify(file.path)} (${file.sha1}) is not in the store.`,
    "Deploy again: what is missing is sent then.",
  );
}
