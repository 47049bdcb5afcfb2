import { constants } from "node:fs";
import { chmod, copyFile, link, mkdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorCodeOf } from "../../foundation/errors.ts";
import { BuildFailure } from "./build.ts";
import { inParallel } from "./in-parallel.ts";
import type { OutputEntry } from "./output-tree.ts";

/**
 * Writes what `readBuildOutput` found good into an empty directory. Files of the store are copied, because what runs
 * there may write to them; files of a build that is thrown away next are linked. Links come last: nothing is written
 * through one.
 */
export async function writeOutput(
  entries: ReadonlyMap<string, OutputEntry>,
  directory: string,
): Promise<void> {
  const folders = new Set([...entries.keys()].map((path) => dirname(join(directory, path))));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  const all = [...entries];
  await inParallel(all, 16, async ([path, entry]) => {
    if (entry.kind === "file") await writeFile(entry, join(directory, path));
  });
  for (const [path, entry] of all) {
    if (entry.kind === "link") await symlink(entry.target, join(directory, path));
  }
}

async function writeFile(entry: OutputEntry & { kind: "file" }, path: string): Promise<void> {
  try {
    if (entry.sha1 === null) return await linkOrCopy(entry.location, path);
    await copyFile(entry.location, path, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  } catch (error) {
    if (errorCodeOf(error) !== "ENOENT") throw error;
    throw new BuildFailure(
      "BUILD_FAILED",
      `A file of the output (${entry.sha1 ?? entry.location}) is not in the store.`,
      "Deploy again: what is missing is sent then.",
    );
  }
  await chmod(path, entry.executable ? 0o755 : 0o644);
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") throw error;
    // Another file system, or more links than it allows.
    await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  }
}
