import { readdir, realpath, stat } from "node:fs/promises";
import { join, posix, sep } from "node:path";
import { BuildFailure } from "./build.ts";
import type { Plan } from "./plan.ts";

/**
 * The directory to serve after a build, absolute. Null for a server release that has no files beside its process.
 * @throws BuildFailure `BUILD_NO_OUTPUT` naming the directory looked for and what is there instead.
 */
export async function findOutput(plan: Plan, directory: string): Promise<string | null> {
  const name = await outputName(plan, directory);
  const path = join(directory, name);
  const there = await isDirectory(path);
  if (plan.server !== null && !(there && servesBeside(plan, name, await names(path)))) {
    if (plan.output.from !== "settings") return null;
    if (there) return inside(path, directory, name);
  }
  if (!there) throw noOutput(name, await names(directory), plan);
  const files = await names(path);
  if (files.length === 0) throw emptyOutput(name, plan);
  return inside(path, directory, name);
}

/**
 * A framework's output beside a server is served from the store only when it is a finished site. Without an
 * index.html it may be a server's bundle (`dist/server/entry.js`), and a start command that runs from inside it says
 * that it is: neither may be published.
 */
function servesBeside(plan: Plan, name: string, files: readonly string[]): boolean {
  if (plan.output.from === "settings") return true;
  if (plan.output.from === "default" || !files.includes("index.html")) return false;
  const inCommand = new RegExp(`(^|[\\s"'=./])${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}/`);
  return !inCommand.test(plan.server ?? "");
}

async function outputName(plan: Plan, directory: string): Promise<string> {
  if (plan.output.from !== "framework" || !plan.framework) return plan.output.directory;
  // Some frameworks name their output in a file that exists only now.
  const name = await plan.framework.getOutputDirName(directory).catch(() => plan.output.directory);
  const normal = posix.normalize(name);
  return normal.startsWith("..") || normal.startsWith("/") ? plan.output.directory : normal;
}

async function inside(path: string, directory: string, name: string): Promise<string> {
  const [real, boundary] = await Promise.all([realpath(path), realpath(directory)]);
  if (real === boundary || real.startsWith(boundary + sep)) return real;
  throw new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `The output directory "${name}" is a link that leaves the repository.`,
    "Let the build write its files into a directory of the repository.",
  );
}

function noOutput(name: string, there: readonly string[], plan: Plan): BuildFailure {
  const candidates = there.filter((entry) =>
    ["dist", "build", "out", "_site", "www", "public"].includes(entry),
  );
  const visible = there.filter((entry) => entry !== "node_modules" && !entry.startsWith("."));
  const ran = plan.build === null ? "" : ` after \`${plan.build}\``;
  return new BuildFailure(
    "BUILD_NO_OUTPUT",
    `There is no output directory "${name}"${ran}; there are: ${shorten(visible)}.`,
    candidates.length > 0
      ? `If "${candidates[0]}" is it, set \`build.output: ${candidates[0]}\` in signalbox.yaml.`
      : "Set `build.output` in signalbox.yaml to what the build writes, or add a `start` script for a server.",
  );
}

function emptyOutput(name: string, plan: Plan): BuildFailure {
  const ran = plan.build === null ? "" : ` after \`${plan.build}\``;
  return new BuildFailure(
    "BUILD_NO_OUTPUT",
    `The output directory "${name}" is empty${ran}.`,
    "Look in the build log for why nothing was written, or set `build.output` in signalbox.yaml.",
  );
}

function shorten(entries: readonly string[]): string {
  if (entries.length === 0) return "no files";
  const shown = entries.slice(0, 12).join(", ");
  return entries.length > 12 ? `${shown} and ${entries.length - 12} more` : shown;
}

async function names(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).sort();
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}
