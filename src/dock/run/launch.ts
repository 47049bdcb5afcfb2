import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, dirname, extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Clock } from "../../foundation/clock.ts";
import { NICE, prioritise } from "../../foundation/priority.ts";
import { OUTPUT_SERVER } from "../output/command.ts";
import { withLogDescriptor } from "./app-log.ts";
import { APP_MARKER } from "./app-paths.ts";
import { type AppRecord, writeRecord } from "./app-record.ts";
import { isAlive, readProcess } from "./process-table.ts";
import type { AppSpec } from "./run.ts";

/** A process of a release that runs now, started by this dock process or an earlier one. */
export type Running = {
  readonly pid: number;
  readonly startTime: string;
  /** Resolves when it has ended, with how: `exited with code 1`. For an adopted one, never after its watch ended. */
  readonly exited: Promise<string>;
};

export type LaunchOptions = {
  readonly spec: AppSpec;
  readonly socket: string;
  readonly folder: string;
  readonly path: string;
  readonly networkEnv: Readonly<Record<string, string>>;
  /** Networks (CIDR) that rewrites and remote images of a Build Output may reach beside the public ones. */
  readonly allowNetworks: readonly string[];
  readonly clock: Clock;
};

const PORT = "3000";
const WATCH_MS = 300;
// Beside this file, in the form that this file has: TypeScript in a clone, JavaScript in the published package.
const OUTPUT_MAIN = join(import.meta.dirname, "..", "output", `main${extname(import.meta.filename)}`);
const PRELOAD = pathToFileURL(join(import.meta.dirname, "listen-preload.mjs")).href;

/** Starts the release's command in a session of its own, writing to its log file, so that it outlives the dock. */
export function launch(options: LaunchOptions): Running | { readonly failed: string } {
  const { spec, socket, folder, clock } = options;
  for (const stale of [socket, `${socket}.owner`]) rmSync(stale, { force: true });
  mkdirSync(join(folder, "home"), { recursive: true, mode: 0o700 });
  const child = withLogDescriptor(folder, (log) =>
    spawn(...programOf(spec.server.command), {
      cwd: spec.server.directory,
      env: appEnv(options),
      detached: true,
      stdio: ["ignore", log, log],
    }),
  );
  const exited = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => resolve(describeExit(code, signal)));
    child.once("error", (error) => resolve(`could not be started (${error.message})`));
  });
  child.unref();
  prioritise(child.pid, NICE.app);
  if (child.pid === undefined) return { failed: `could not be started in ${spec.server.directory}` };
  const startTime = readProcess(child.pid)?.startTime ?? "0";
  const startedAt = clock.now().toISOString();
  writeRecord(folder, { deploymentId: spec.deploymentId, pid: child.pid, startTime, startedAt });
  return { pid: child.pid, startTime, exited };
}

/** What is started for a command: a shell for the release's own, this installation's program for a Build Output. */
export function programOf(command: string): [program: string, args: string[]] {
  return command === OUTPUT_SERVER
    ? [process.execPath, [OUTPUT_MAIN]]
    : ["sh", ["-c", withoutShell(command)]];
}

/** A plain command replaces its shell: one process less, and signals and exit codes are the program's own. */
export function withoutShell(command: string): string {
  const plain = /^[\w./@:+,-]+( [\w./@:=+,-]+)*$/.test(command.trim());
  return plain ? `exec ${command.trim()}` : command;
}

/** Watches a process that an earlier dock process started: the kernel tells only a parent, so it is looked at. */
export function watchAdopted(record: AppRecord, clock: Clock, signal: AbortSignal): Running {
  const { pid, startTime } = record;
  const watch = async () => {
    while (isAlive(pid, startTime)) await clock.sleep(WATCH_MS, signal);
    return "ended (its exit code went to an earlier dock process)";
  };
  const exited = new Promise<string>((resolve) => {
    watch().then(resolve, () => {});
  });
  return { pid, startTime, exited };
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `was killed by ${signal}`;
  // What `sh` says when a signal ended the program it ran.
  if (code !== null && code > 128 && code < 160) return `exited with code ${code} (signal ${code - 128})`;
  return `exited with code ${code}`;
}

/** The release's own variables and what a program needs to run; nothing of the dock's environment. */
export function appEnv(options: LaunchOptions): Record<string, string> {
  const { spec, socket, folder, path, networkEnv, allowNetworks } = options;
  const { directory, command } = spec.server;
  const own = Object.fromEntries(
    Object.entries(spec.env).filter(([name]) => name !== "SIGNALBOX_START_COMMAND"),
  );
  return {
    LANG: "C.UTF-8",
    ...networkEnv,
    NODE_ENV: "production",
    ...packageFacts(directory),
    ...own,
    PATH: [join(directory, "node_modules", ".bin"), dirname(process.execPath), path].join(delimiter),
    HOME: join(folder, "home"),
    PORT,
    NODE_OPTIONS: [own.NODE_OPTIONS, `--import=${PRELOAD}`].filter(Boolean).join(" "),
    // After the release's own: it must not let itself into this machine's networks.
    ...(command === OUTPUT_SERVER ? { SIGNALBOX_ALLOW_NETWORKS: allowNetworks.join(",") } : {}),
    [APP_MARKER]: socket,
  };
}

/** What `npm start` would tell the program about its package; version endpoints read it. */
function packageFacts(directory: string): Record<string, string> {
  try {
    const facts = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    const { name, version } = facts as { name?: unknown; version?: unknown };
    return {
      ...(typeof name === "string" ? { npm_package_name: name } : {}),
      ...(typeof version === "string" ? { npm_package_version: version } : {}),
    };
  } catch {
    return {};
  }
}
