import { AppError } from "../../foundation/errors.ts";
import { pathProblem } from "../../sources/index.ts";
import type { GitRun } from "./git-run.ts";
import { git } from "./git-run.ts";

export type TreeEntry = {
  readonly path: string;
  /** As git keeps it: 100644, 100755 or 120000 (octal). */
  readonly mode: number;
  /** git's own id of the content, which is not the SHA-1 of the content. */
  readonly blob: string;
  readonly size: number;
};

const SUBMODULE = "160000";

/** All files of a commit. @throws AppError `unprocessable` for submodules and for paths that cannot be deployed. */
export async function listTree(run: Omit<GitRun, "args">, sha: string): Promise<TreeEntry[]> {
  const output = await git({ ...run, args: ["ls-tree", "-r", "-l", "-z", "--full-tree", sha] });
  const entries: TreeEntry[] = [];
  const submodules: string[] = [];
  for (const record of output.toString("utf8").split("\0")) {
    const match = /^(\d{6}) \w+ ([0-9a-f]+) +(\d+|-)\t(.+)$/s.exec(record);
    if (!match) continue;
    const [, mode = "", blob = "", size = "", path = ""] = match;
    if (mode === SUBMODULE) submodules.push(path);
    else entries.push({ path, mode: plainMode(mode), blob, size: Number(size) });
  }
  if (submodules.length > 0) {
    const shown = submodules.slice(0, 3).join(", ");
    throw new AppError("unprocessable", `The commit has submodules (${shown}), which are not fetched.`, {
      hint: "Deploy a checkout that has them (`signalbox deploy .`), or put the files into the repository.",
    });
  }
  for (const { path } of entries) {
    const problem = pathProblem(path);
    if (problem === null) continue;
    throw new AppError("unprocessable", `The path ${JSON.stringify(path.slice(0, 200))} ${problem}.`, {
      hint: "Rename it in the repository.",
    });
  }
  return entries;
}

/** Old repositories have 100664 too. */
function plainMode(mode: string): number {
  if (mode === "120000") return 0o120000;
  return (Number.parseInt(mode, 8) & 0o100) === 0 ? 0o100644 : 0o100755;
}

const LFS_POINTER = Buffer.from("version https://git-lfs.github.com/spec/v1\n");

/** True for the beginning of a file that stands for one in Git LFS. */
export function isLfsPointer(content: Buffer): boolean {
  return content.subarray(0, LFS_POINTER.length).equals(LFS_POINTER);
}
