import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http, { type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type GatewayOptions,
  type HostRoute,
  type Manifest,
  pushSnapshot,
  type Snapshot,
} from "../../src/gateway/index.ts";

/** A gateway that really runs, as a process of its own in a folder of its own. */
export type TestGateway = {
  readonly dir: string;
  readonly adminSocket: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** Pids of its workers. */
  workers(): number[];
  /** Ends it and starts it again on the same folder. */
  restart(): Promise<void>;
  /** Pushes under the next generation. */
  push(
    hosts: Record<string, HostRoute>,
    releases: Record<string, Partial<Snapshot["releases"][string]>>,
  ): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const ENTRY = `
import { startGateway } from ${JSON.stringify(new URL("../../src/gateway/index.ts", import.meta.url).href)};
import { systemClock } from ${JSON.stringify(new URL("../../src/foundation/clock.ts", import.meta.url).href)};
const print = (fields, text) => process.stderr.write(text + " " + JSON.stringify(fields) + "\\n");
const log = { debug() {}, info() {}, warn: print, error: print };
const gateway = await startGateway({ ...JSON.parse(process.argv[1]), log, clock: systemClock });
process.send({ port: gateway.port });
process.once("SIGTERM", () => void gateway.close().then(() => process.exit(0)));
`;

export async function startTestGateway(
  options: Partial<Omit<GatewayOptions, "log" | "clock">> = {},
): Promise<TestGateway> {
  const dir = mkdtempSync(join(tmpdir(), "gateway-"));
  let generation = 0;
  let port = options.port ?? 0;
  const adminSocket = join(dir, "gateway.sock");
  const launch = async () => {
    const child = spawnGateway({
      host: "127.0.0.1",
      port,
      workers: 2,
      adminSocket,
      stateFile: join(dir, "state", "snapshot.json"),
      accessLog: join(dir, "access.log"),
      cookieSecret: "a secret that is only used in tests",
      ...options,
      ...(port === 0 ? {} : { port }),
    });
    port = await listening(child);
    return child;
  };
  let child = await launch();
  return {
    dir,
    adminSocket,
    get port() {
      return port;
    },
    get process() {
      return child;
    },
    workers: () => childrenOf(child.pid ?? 0),
    async restart() {
      await end(child);
      child = await launch();
    },
    async push(hosts, releases) {
      const full = Object.entries(releases).map(([id, release]) => [
        id,
        { id, project: "test", manifest: join(dir, `${id}.json`), socket: null, ...release },
      ]);
      generation++;
      await pushSnapshot(adminSocket, { version: 1, generation, hosts, releases: Object.fromEntries(full) });
    },
    async [Symbol.asyncDispose]() {
      await end(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Starts the process; the caller reads its port, or why it has none. */
export function spawnGateway(options: Omit<GatewayOptions, "log" | "clock">): ChildProcess {
  return spawn(process.execPath, ["--input-type=module", "-e", ENTRY, JSON.stringify(options)], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
}

export async function listening(child: ChildProcess): Promise<number> {
  let output = "";
  child.stderr?.on("data", (chunk) => {
    output += chunk;
  });
  const started = once(child, "message").then(([message]) => (message as { port: number }).port);
  const exited = once(child, "exit").then(() => {
    throw new Error(`the gateway did not start:\n${output}`);
  });
  return Promise.race([started, exited]);
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}

export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

/** Resolves once the condition holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10);
}

export type TestApp = {
  readonly socket: string;
  /** Closes the connections without a request, as a server does after a while. */
  closeIdle(): void;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** An app on a unix socket, as the runner starts them. */
export async function startApp(
  socket: string,
  listener: RequestListener,
  onUpgrade?: (req: http.IncomingMessage, socket: Duplex, head: Buffer) => void,
): Promise<TestApp> {
  const server = http.createServer(listener);
  if (onUpgrade) server.on("upgrade", onUpgrade);
  server.listen(socket);
  await once(server, "listening");
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { socket, closeIdle: () => server.closeIdleConnections(), stop, [Symbol.asyncDispose]: stop };
}

/** Writes a manifest and the bytes that it names; returns the manifest's path. */
export function writeSite(
  dir: string,
  id: string,
  site: Partial<Omit<Manifest, "files">> & {
    files?: Record<string, { text: string; type?: string; immutable?: boolean; br?: string }>;
  },
): string {
  const store = join(dir, "store");
  const put = (text: string) => {
    const digest = createHash("sha1").update(text).digest("hex");
    mkdirSync(join(store, digest.slice(0, 2)), { recursive: true });
    writeFileSync(join(store, digest.slice(0, 2), digest.slice(2)), text);
    return { digest, size: Buffer.byteLength(text) };
  };
  const files = Object.entries(site.files ?? {}).map(([path, { text, type, immutable, br }]) => [
    path,
    {
      ...put(text),
      type: type ?? "text/html; charset=utf-8",
      immutable: immutable ?? false,
      encodings: br === undefined ? {} : { br: put(br) },
    },
  ]);
  const manifest = { version: 1, routes: [], server: false, cleanUrls: false, ...site, store };
  const path = join(dir, `${id}.json`);
  writeFileSync(path, JSON.stringify({ ...manifest, files: Object.fromEntries(files) }));
  return path;
}

export const only = (release: string): HostRoute => ({ targets: [{ release, weight: 100 }], rollout: null });

export type Answer = {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
};

/** One request; `agent` to keep the connection. */
export async function fetchVia(
  port: number,
  path: string,
  options: http.RequestOptions & { host?: string; body?: string | Buffer; agent?: http.Agent } = {},
): Promise<Answer> {
  const { host = "app.localhost", body, headers, agent, ...rest } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = http.request(
    { agent: agent ?? false, ...rest, host: "127.0.0.1", port, path, headers: { host, ...headers } },
    (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    },
  );
  request.once("error", reject);
  request.end(body);
  return promise;
}
