import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type pg from "pg";
import { type DockOptions, type RunningDock, startDock } from "../../src/dock/index.ts";
import { createRunner, type Runner } from "../../src/dock/run/index.ts";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { silentLog } from "../../src/foundation/log.ts";
import type { HostRoute } from "../../src/gateway/snapshot.ts";
import { freshDatabase } from "./database.ts";

export const TOKEN = "a_token_of_the_tests";

/** A real dock over a real Postgres, with a real gateway in a process of its own. */
export type DockPlatform = {
  readonly url: string;
  /** Where visitors come in. */
  readonly gatewayPort: number;
  readonly pool: pg.Pool;
  /** With the token, by path. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** What a visitor of this host gets from the gateway. */
  visit(host: string, path?: string, headers?: Readonly<Record<string, string>>): Promise<Visit>;
  /** How the gateway routes a host, from the snapshot that it persisted. */
  route(host: string): Promise<HostRoute>;
  /** `forget`: its persisted snapshot is lost as well. */
  stopGateway(options?: { forget: boolean }): Promise<void>;
  startGateway(): Promise<void>;
  /** Ends the dock and starts it again over the same state. */
  restartDock(): Promise<void>;
  /** Runs `work` while the dock is away. */
  withoutDock(work: () => Promise<void>): Promise<void>;
  /** Ends an app's process for good, as an unwanted one is. */
  stopApp(deploymentId: string): Promise<void>;
  /** What the dock was started with. */
  options(): DockOptions;
  close(): Promise<void>;
};

export type Visit = {
  readonly status: number;
  readonly text: string;
  /** The first cookie that was set, `name=value`. */
  readonly cookie?: string;
  /** Of a redirect. */
  readonly location?: string;
};

/**
 * @param clock the dock's. Default: the machine's.
 * @param more how the dock is started otherwise
 */
export async function startPlatform(
  clock: Clock = systemClock,
  more: Partial<DockOptions> = {},
): Promise<DockPlatform> {
  const database = await freshDatabase({ migrations: [] });
  const dir = await mkdtemp(join(tmpdir(), "dock-"));
  const gateway = gatewayProcess(dir);
  await gateway.start();
  const path = `${resolve("node_modules/.bin")}:/usr/local/bin:/usr/bin:/bin`;
  const parts = { clock, log: silentLog };
  let runner: Runner | null = null;
  // Made here, so that a test can end a process behind the dock's back.
  const start = () => {
    runner = createRunner({ dir: join(dir, "run"), path, ...parts });
    return startDock({ ...options(), runner });
  };
  const options = (): DockOptions => ({
    host: "127.0.0.1",
    port: 0,
    dir: join(dir, "dock"),
    databaseUrl: database.databaseUrl,
    domain: "localhost",
    gatewaySocket: join(dir, "gateway.sock"),
    tokens: [{ hash: createHash("sha256").update(TOKEN).digest("hex") }],
    secretKey: join(dir, "secret.key"),
    buildLimits: { timeoutMs: 60_000, memoryBytes: 2 ** 30, diskBytes: 2 ** 30, concurrency: 2 },
    networkEnv: {},
    allowNetworks: ["127.0.0.0/8"],
    path,
    ids: randomIds,
    ...parts,
    ...more,
  });
  let dock: RunningDock = await start();
  const url = () => `http://127.0.0.1:${dock.port}`;
  return {
    get url() {
      return url();
    },
    gatewayPort: gateway.port(),
    pool: database.pool,
    fetch: (path, init = {}) =>
      fetch(url() + path, { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...init.headers } }),
    visit: (host, path = "/", headers = {}) => visit(gateway.port(), path, { ...headers, host }),
    route: (host) => routeOf(dir, host),
    startGateway: () => gateway.start(),
    async stopGateway({ forget } = { forget: false }) {
      await gateway.stop();
      if (forget) await rm(join(dir, "gateway.json"));
    },
    async restartDock() {
      await dock.close();
      dock = await start();
    },
    async withoutDock(work) {
      await dock.close();
      await work();
      dock = await start();
    },
    stopApp: async (deploymentId) => runner?.stop(deploymentId),
    options,
    async close() {
      await dock.close();
      await stopApps(dir, path);
      await gateway.stop();
      await database[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function routeOf(dir: string, host: string): Promise<HostRoute> {
  const route = JSON.parse(await readFile(join(dir, "gateway.json"), "utf8")).hosts[host];
  if (!route) throw new Error(`the gateway does not know ${host}`);
  return route;
}

/** `node:cluster` wants a process of its own. */
function gatewayProcess(dir: string) {
  let child: ChildProcess | null = null;
  let port = 0;
  const options = {
    host: "127.0.0.1",
    workers: 1,
    adminSocket: join(dir, "gateway.sock"),
    stateFile: join(dir, "gateway.json"),
    accessLog: null,
    cookieSecret: "a-secret-of-the-tests",
  };
  const source = resolve(import.meta.dirname, "../../src");
  return {
    port: () => port,
    async start(): Promise<void> {
      const script = `
        import { startGateway } from ${JSON.stringify(join(source, "gateway/index.ts"))};
        import { systemClock } from ${JSON.stringify(join(source, "foundation/clock.ts"))};
        import { silentLog } from ${JSON.stringify(join(source, "foundation/log.ts"))};
        const options = { ...${JSON.stringify({ ...options, port })}, clock: systemClock, log: silentLog };
        const gateway = await startGateway(options);
        process.once("SIGTERM", () => gateway.close().then(() => process.exit(0)));
        console.log(gateway.port);`;
      child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(child, "exit").then(() => Promise.reject(new Error("the gateway did not start")));
      const line = new Promise<string>((resolve) =>
        child?.stdout?.once("data", (data) => resolve(String(data))),
      );
      port = Number(await Promise.race([line, ended]));
      ended.catch(() => {});
    },
    async stop(): Promise<void> {
      if (!child || child.exitCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function visit(port: number, path: string, headers: Record<string, string>): Promise<Visit> {
  const { promise, resolve, reject } = Promise.withResolvers<Visit>();
  // `fetch` refuses to set Host.
  const request = http.get({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk) => {
      text += chunk;
    });
    const cookie = response.headers["set-cookie"]?.[0]?.split(";")[0];
    const { location } = response.headers;
    const more = {
      ...(cookie === undefined ? {} : { cookie }),
      ...(location === undefined ? {} : { location }),
    };
    response.on("end", () => resolve({ status: response.statusCode ?? 0, text, ...more }));
  });
  request.on("error", reject);
  return promise;
}

/** App processes outlive a dock by design; a test's must not outlive the test. */
async function stopApps(dir: string, path: string): Promise<void> {
  const runner = createRunner({ dir: join(dir, "run"), path, clock: systemClock, log: silentLog });
  await runner.adopt([]);
  await runner.close();
}
