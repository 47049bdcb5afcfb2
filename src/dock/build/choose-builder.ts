import { posix } from "node:path";
import { BuildFailure, type BuildRequest } from "./build.ts";
import { BUILD_OUTPUT, rootDirectoryOf } from "./plan.ts";
import type { VercelCli } from "./vercel-cli.ts";

/**
 * Who builds a source tree. An explicit start command asks for a process, which `vercel build` does not make; a tree
 * with nothing to build needs nobody; everything else comes out as on Vercel where the CLI is there.
 * `SIGNALBOX_BUILDER` (`dock` or `vercel`) among the build's variables decides against all of this.
 * @returns the CLI when it builds; null when the dock does, or nothing is built
 */
export function chooseBuilder(request: BuildRequest, cli: VercelCli | null): VercelCli | null {
  const asked = request.env.SIGNALBOX_BUILDER;
  if (asked !== undefined && asked !== "" && asked !== "dock" && asked !== "vercel") {
    throw new BuildFailure(
      "BUILD_INVALID_CONFIG",
      `SIGNALBOX_BUILDER is ${JSON.stringify(asked.slice(0, 60))}.`,
      "Set it to dock or vercel, or leave it out.",
    );
  }
  if (request.prebuilt || asked === "dock") return null;
  if (asked === "vercel") {
    if (cli) return cli;
    throw new BuildFailure(
      "BUILD_FAILED",
      "SIGNALBOX_BUILDER asks for `vercel build`, and the Vercel CLI is not installed here.",
      "Install it (`npm install --global vercel`) or set SIGNALBOX_VERCEL_CLI to its path.",
    );
  }
  if (cli === null || request.env.SIGNALBOX_START_COMMAND) return null;
  const root = rootDirectoryOf(request.settings);
  const paths = new Set(request.files.map((file) => file.path));
  if ([root, ""].some((place) => paths.has(posix.join(place, BUILD_OUTPUT, "config.json")))) return null;
  const named = ["package.json", "vercel.json"].some((name) => paths.has(posix.join(root, name)));
  const api = posix.join(root, "api/");
  return named || request.files.some((file) => file.path.startsWith(api)) ? cli : null;
}
