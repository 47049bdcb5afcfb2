import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { env } from "node:process";
import { type Api, createApi } from "./api.ts";

const root = join(import.meta.dirname, "../..");

/** A Signalbox that really runs: what `signalbox up --json` says of itself, and a client for it. */
export type Instance = {
  readonly dir: string;
  readonly url: string;
  readonly dockUrl: string;
  readonly gatewayUrl: string;
  readonly gatewayPort: number;
  readonly token: string;
  readonly api: Api;
  /** Variables for the CLI and its children that make them talk to this instance. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
};

export type Ports = { readonly control: number; readonly dock: number; readonly gateway: number };

export type InstanceOptions = {
  readonly dir: string;
  readonly ports: Ports;
  /** True: the user's own CLI gets the token too. Default: nothing outside `dir` is written. */
  readonly forTheUser?: boolean;
};

/** Starts Signalbox in `dir` by the command that a user types, on exactly these ports. */
export async function startInstance({ dir, ports, forTheUser = false }: InstanceOptions): Promise<Instance> {
  const settings = {
    ...(forTheUser ? {} : { XDG_CONFIG_HOME: join(dir, "config") }),
    SIGNALBOX_DIR: dir,
    SIGNALBOX_PORT: String(ports.control),
    SIGNALBOX_DOCK_PORT: String(ports.dock),
    SIGNALBOX_GATEWAY_PORT: String(ports.gateway),
  };
  const started = await signalbox(["up", "--json"], { environment: settings });
  if (started.code !== 0) throw new Error(`signalbox up ended with ${started.code}.\n${started.output}`);
  const line = started.stdout.trim().split("\n").at(-1) ?? "";
  const { url, dockUrl, gatewayUrl, token } = JSON.parse(line);
  const environment = { ...settings, SIGNALBOX_URL: url, SIGNALBOX_TOKEN: token };
  const api = createApi({ url, token });
  const stop = async () => {
    await api.close();
    const stopped = await signalbox(["down"], { environment });
    if (stopped.code !== 0) throw new Error(`signalbox down ended with ${stopped.code}.\n${stopped.output}`);
  };
  const gatewayPort = Number(new URL(gatewayUrl).port);
  return {
    dir,
    url,
    dockUrl,
    gatewayUrl,
    gatewayPort,
    token,
    api,
    environment,
    stop,
  };
}

/** A throw-away instance on free ports for the time of `use`; stopped and removed however that ends. */
export async function withInstance<T>(use: (instance: Instance) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "signalbox-bench-"));
  const [control, dock, gateway] = [await freePort(), await freePort(), await freePort()];
  const instance = await startInstance({ dir, ports: { control, dock, gateway } });
  try {
    return await use(instance);
  } finally {
    await instance.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

export type CommandResult = { readonly code: number; readonly stdout: string; readonly output: string };

/** Runs the real CLI. `onLine` gets every line of both streams as it is printed. */
export function signalbox(
  args: readonly string[],
  options: {
    environment: Readonly<Record<string, string>>;
    cwd?: string;
    onLine?: (line: string) => void;
  },
): Promise<CommandResult> {
  // The CLI's first line asks for "node": the one that runs this, not an older one of the machine.
  const path = `${dirname(process.execPath)}:${env.PATH ?? ""}`;
  const child = spawn(join(root, "bin/signalbox"), args, {
    cwd: options.cwd ?? root,
    env: { ...env, PATH: path, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  if (options.onLine) for (const stream of [child.stdout, child.stderr]) eachLine(stream, options.onLine);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, stdout, output }));
  });
}

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = "";
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  stream.on("end", () => rest && onLine(rest));
}

/** A TCP port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const port = await tryListen(0);
  if (port === null) throw new Error("No free TCP port on 127.0.0.1.");
  return port;
}

export const isFree = async (port: number): Promise<boolean> => (await tryListen(port)) !== null;

function tryListen(port: number): Promise<number | null> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(null));
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      const taken = typeof address === "object" && address ? address.port : port;
      server.close(() => resolve(taken));
    });
  });
}
