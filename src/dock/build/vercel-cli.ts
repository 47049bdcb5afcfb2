import { accessSync, constants, readFileSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { AppError } from "../../foundation/errors.ts";
import { foreignPath } from "./command-env.ts";

/** The official `vercel` program of this machine. */
export type VercelCli = {
  /** Absolute. */
  readonly path: string;
  /** Two versions may build the same source differently. `unknown` for a wrapper that hides it. */
  readonly version: string;
};

/** @throws AppError when it is not there or cannot be run */
export function vercelCliAt(path: string): VercelCli {
  try {
    accessSync(path, constants.X_OK);
    return { path, version: versionOf(realpathSync(path)) };
  } catch (cause) {
    throw new AppError(
      "bad_request",
      `SIGNALBOX_VERCEL_CLI is ${path}, which is no program that can be run.`,
      {
        hint: "Install the CLI (`npm install --global vercel`) and give the path of `vercel`, or `none`.",
        cause,
      },
    );
  }
}

/** Where `vercel` is on this PATH; null when it is not. What npm put there for the running package does not count. */
export function vercelOnPath(path: string): string | null {
  for (const directory of foreignPath(path).split(delimiter)) {
    const candidate = join(directory, "vercel");
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

/** From the package.json of the package that the program belongs to. */
function versionOf(program: string): string {
  for (let at = dirname(program); at !== dirname(at); at = dirname(at)) {
    try {
      const facts = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
      const { name, version } = facts as { name?: unknown; version?: unknown };
      if (name === "vercel" && typeof version === "string") return version;
    } catch {
      // No package there.
    }
  }
  return "unknown";
}
