import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { readSecrets } from "../../src/supervisor/secrets.ts";
import { writeOutput } from "../../test/support/build-output.ts";
import type { Instance } from "./instance.ts";

const CLI = resolve("test/vercel-cli/node_modules/.bin/vercel");
const FILES = 200;

export type Deploys = { readonly startUpMs: number[]; readonly deployMs: number[]; readonly cli: string };

/**
 * `vercel deploy --prebuilt` of an output that the dock has already, and the CLI's own start-up, taken in turn.
 * @throws Error when the CLI is not installed: `npm ci` in test/vercel-cli
 */
export async function deployUnchanged(instance: Instance, rounds: number): Promise<Deploys> {
  if (!existsSync(CLI)) throw new Error("The official CLI is not installed: npm ci --prefix test/vercel-cli");
  const dir = await mkdtemp(join(tmpdir(), "bench-prebuilt-"));
  try {
    const app = join(dir, "app");
    const pages = Array.from({ length: FILES }, (_, at) => [`page-${at}.html`, `<h1>Page ${at}</h1>`]);
    await writeOutput(app, { files: { "index.html": "<h1>Home</h1>", ...Object.fromEntries(pages) } });
    const { dockToken } = await readSecrets(instance.dir);
    const cli = await useCli(dir, app, ["--api", instance.dockUrl, "--token", dockToken]);
    await cli(["link", "--yes", "--project", "bench-prebuilt"]);
    await cli(["deploy", "--prebuilt", "--yes"]);
    const [startUpMs, deployMs]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      startUpMs.push(await cli(["--version"]));
      deployMs.push(await cli(["deploy", "--prebuilt", "--yes"]));
    }
    const manifest = await readFile(resolve("test/vercel-cli/node_modules/vercel/package.json"), "utf8");
    return { startUpMs, deployMs, cli: JSON.parse(manifest).version };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The CLI with a home of its own. @returns how long a command took, in milliseconds */
async function useCli(dir: string, cwd: string, account: readonly string[]) {
  const home = join(dir, "home");
  await mkdir(home, { recursive: true });
  await writeFile(join(cwd, "vercel.json"), "{}");
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_DATA_HOME: home,
    XDG_CACHE_HOME: home,
    VERCEL_TELEMETRY_DISABLED: "1",
    NO_UPDATE_NOTIFIER: "1",
    CI: "1",
  };
  return async (args: readonly string[]): Promise<number> => {
    const started = performance.now();
    await promisify(execFile)(CLI, [...args, ...(args[0] === "--version" ? [] : account)], { cwd, env });
    return performance.now() - started;
  };
}
