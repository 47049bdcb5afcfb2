import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { type DockPlatform, startPlatform, TOKEN } from "../dock-platform.ts";

const CLI = resolve(import.meta.dirname, "../../vercel-cli/node_modules/vercel/dist/vc.js");
/** How the dock says that it has no such resource at all. */
const UNKNOWN = /The dock has no ([A-Z]+ [^"\s]+)\."/;

export type Ran = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** `METHOD path` of everything that the CLI asked for, in order. */
  readonly requests: readonly string[];
  /** Those that the dock does not have. */
  readonly unknown: readonly string[];
};

export type RunOptions = {
  readonly cwd?: string;
  /** What is typed. Default: nothing, and the end of the input. */
  readonly input?: string;
  /** The API and the token from a configuration directory instead of flags. */
  readonly flagFree?: boolean;
  readonly env?: Readonly<Record<string, string>>;
};

/** A dock with a gateway and the official CLI, unmodified, as a child process that knows nothing but its address. */
export type CliStand = {
  readonly platform: DockPlatform;
  /** An empty directory, or one with these files. */
  directory(name: string, files?: Readonly<Record<string, string>>): Promise<string>;
  /** What `vercel link` leaves, without the seconds of one more start of the CLI: the project and its file. */
  link(directory: string, project: string): Promise<void>;
  vercel(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Starts the CLI and hands it to `work` while it runs; ends it then. */
  whileRunning(
    args: readonly string[],
    options: RunOptions,
    work: (live: Live) => Promise<void>,
  ): Promise<Ran>;
  close(): Promise<void>;
};

export type Live = {
  /** Resolves once the CLI has asked for something that matches. */
  asked(pattern: RegExp): Promise<void>;
  /** Resolves once its stdout matches. */
  printed(pattern: RegExp): Promise<void>;
};

export async function startCliStand(): Promise<CliStand> {
  const dir = await mkdtemp(join(tmpdir(), "vercel-cli-"));
  const platform = await startPlatform();
  return {
    platform,
    async directory(name, files = {}) {
      const path = join(dir, name);
      await mkdir(path, { recursive: true });
      for (const [file, text] of Object.entries(files)) {
        await mkdir(dirname(join(path, file)), { recursive: true });
        await writeFile(join(path, file), text);
      }
      return path;
    },
    async link(directory, name) {
      const body = JSON.stringify({ name });
      await platform.fetch("/v11/projects", { method: "POST", body });
      const found = await platform.fetch(`/v9/projects/${name}`);
      const { id, accountId } = (await found.json()) as { id: string; accountId: string };
      await mkdir(join(directory, ".vercel"), { recursive: true });
      const linked = JSON.stringify({ projectId: id, orgId: accountId, projectName: name });
      await writeFile(join(directory, ".vercel/project.json"), linked);
    },
    vercel: (args, options = {}) => run(platform, dir, args, options),
    whileRunning: (args, options, work) => run(platform, dir, args, options, work),
    async close() {
      await platform.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function run(
  platform: DockPlatform,
  dir: string,
  args: readonly string[],
  options: RunOptions,
  work?: (live: Live) => Promise<void>,
): Promise<Ran> {
  const home = await mkdtemp(join(dir, "home-"));
  const witness = await startWitness(platform);
  const child = spawn(process.execPath, [CLI, ...args, ...(await access(home, witness.url, options))], {
    cwd: options.cwd ?? home,
    env: environment(home, {
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(dir, "compiled"),
      ...options.env,
    }),
    stdio: ["pipe", "pipe", "pipe"],
  });
  const printed = collect(child);
  const ended = once(child, "close");
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  try {
    if (work) await work({ asked: witness.asked, printed: printed.matches });
  } finally {
    if (work) child.kill("SIGKILL");
    await ended;
    await witness.close();
  }
  const { stdout, stderr } = printed;
  const { requests, unknown } = witness;
  return { code: child.exitCode, stdout: stdout(), stderr: stderr(), requests, unknown };
}

async function access(home: string, api: string, { flagFree }: RunOptions): Promise<string[]> {
  if (!flagFree) return ["--api", api, "--token", TOKEN];
  const config = join(home, "config");
  await mkdir(config);
  await writeFile(join(config, "config.json"), JSON.stringify({ api }));
  await writeFile(join(config, "auth.json"), JSON.stringify({ token: TOKEN }));
  return ["-Q", config];
}

/** Nothing of whoever runs the tests: the CLI looks for a home, for CI systems and for agents that drive it. */
function environment(home: string, extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return {
    PATH: [dirname(process.execPath), "/usr/local/bin", "/usr/bin", "/bin"].join(delimiter),
    HOME: home,
    XDG_CONFIG_HOME: join(home, "c"),
    XDG_DATA_HOME: join(home, "d"),
    XDG_CACHE_HOME: join(home, "k"),
    VERCEL_TELEMETRY_DISABLED: "1",
    NO_UPDATE_NOTIFIER: "1",
    NO_COLOR: "1",
    ...extra,
  };
}

function collect(child: ChildProcess) {
  const text = { stdout: "", stderr: "" };
  const waiting = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      for (const look of waiting) look();
    });
  }
  return {
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    matches: (pattern: RegExp) => until(waiting, () => pattern.test(text.stdout)),
  };
}

/** Stands between the CLI and the dock and notes what is asked. */
async function startWitness(platform: DockPlatform) {
  const requests: string[] = [];
  const unknown: string[] = [];
  const waiting = new Set<() => void>();
  const server = http.createServer((request, response) => {
    const { port } = new URL(platform.url);
    const { method = "GET", url: path = "/", headers } = request;
    const onward = http.request(
      { host: "127.0.0.1", port, method, path, headers, agent: false },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        requests.push(`${method} ${path.replace(/\?.*$/, "")}`);
        for (const look of waiting) look();
        if (answer.statusCode === 404) answer.on("data", (chunk) => note(String(chunk)));
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  const note = (body: string) => {
    const asked = UNKNOWN.exec(body)?.[1];
    if (asked) unknown.push(asked);
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    unknown,
    asked: (pattern: RegExp) => until(waiting, () => requests.some((request) => pattern.test(request))),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function until(waiting: Set<() => void>, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!holds()) return;
      waiting.delete(look);
      resolve();
    };
    waiting.add(look);
    look();
  });
}
