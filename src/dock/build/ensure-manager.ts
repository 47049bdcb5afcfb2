import { execFile } from "node:child_process";
import { access, constants, mkdir } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../../foundation/errors.ts";
import { BuildFailure } from "./build.ts";
import type { PackageManager } from "./package-manager.ts";

const run = promisify(execFile);

/**
 * Makes sure that the package manager can be called: it is on the path, or corepack puts a shim for it into `shims`.
 * @throws BuildFailure when neither is so.
 */
export async function ensureManager(
  manager: PackageManager,
  shims: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const path = env.PATH ?? "";
  if (await isOnPath(manager.name, path)) return;
  const hasCorepack = ["pnpm", "yarn"].includes(manager.name) && (await isOnPath("corepack", path));
  if (!hasCorepack) throw absent(manager);
  await mkdir(shims, { recursive: true });
  try {
    await run("corepack", ["enable", "--install-directory", shims, manager.name], {
      cwd: dirname(shims),
      env,
    });
  } catch (error) {
    throw absent(manager, messageOf(error));
  }
}

function absent(manager: PackageManager, detail?: string): BuildFailure {
  const why =
    manager.lockfile === null ? "package.json asks for it" : `the repository has a ${manager.lockfile}`;
  const more = detail ? `: ${detail.split("\n")[0]}` : "";
  return new BuildFailure(
    "BUILD_FAILED",
    `The build needs ${manager.name} (${why}), which is not installed here${more}.`,
    `Install ${manager.name} on this machine, or use npm and commit its package-lock.json.`,
  );
}

async function isOnPath(program: string, path: string): Promise<boolean> {
  for (const directory of path.split(delimiter)) {
    const found = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
