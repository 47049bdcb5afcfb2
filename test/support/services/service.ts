import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homeOf, type ServiceName } from "./homes.ts";

/** A real server of a test's own. It ends with the test's process, however that ends. */
export type Service = {
  /** 127.0.0.1, or the address on the other side of the line that it was started on. */
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** Its data, its log; removed by `stop`. */
  readonly dir: string;
  /** As a crash: SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: its sockets stay open, and nobody answers. */
  freeze(): void;
  thaw(): void;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
  log(): string;
};

/** Where a service runs: beside us, or behind something that can be cut (`partition.ts`). */
export type Place = {
  /** The address to listen on, and to be reached at. */
  readonly host: string;
  /** Put before its command. */
  readonly enter: readonly string[];
};

export const HERE: Place = { host: "127.0.0.1", enter: [] };

export type Start = {
  readonly name: string;
  readonly port: number;
  readonly place: Place;
  readonly dir: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Resolves true once it answers. Asked again until then. */
  readonly ready: () => Promise<boolean>;
  /** Starts slowly under load; only a hang takes so long. Default 60,000. */
  readonly timeoutMs?: number;
};

/** True where the service can be started: `describe.skipIf(!canStart("redis"))`. */
export function canStart(...names: readonly ServiceName[]): boolean {
  return names.every((name) => homeOf(name) !== null);
}

/** @throws Error saying how to get it. */
export function requireHome(name: ServiceName) {
  const home = homeOf(name);
  if (home === null) throw new Error(`${name} is not here. Run the tests with "npm test", which gets it.`);
  return home;
}

export function makeDir(name: string): string {
  return mkdtempSync(join(tmpdir(), `signalbox-${name}-`));
}

export async function startService(start: Start): Promise<Service> {
  const logFile = join(start.dir, "log");
  const output = openSync(logFile, "a");
  // The kernel kills it when our process dies: a test that is killed itself leaves nothing running.
  const command = [...start.place.enter, "setpriv", "--pdeathsig", "KILL", "--", ...start.command];
  const child = spawn(command[0] as string, command.slice(1), {
    cwd: start.dir,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", HOME: start.dir, ...start.env },
    stdio: ["ignore", output, output],
  });
  closeSync(output);
  const log = () => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");
  const service = handle(start, child, log);
  try {
    await untilReady(start, child, log);
  } catch (error) {
    await service.stop();
    throw error;
  }
  return service;
}

function handle(start: Start, child: ChildProcess, log: () => string): Service {
  const exited = once(child, "exit").catch(() => {});
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      child.kill("SIGKILL");
      await exited;
    }
  };
  return {
    host: start.place.host,
    port: start.port,
    pid: child.pid ?? 0,
    dir: start.dir,
    log,
    kill: end,
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    async stop() {
      await end();
      rmSync(start.dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function untilReady(start: Start, child: ChildProcess, log: () => string): Promise<void> {
  const deadline = performance.now() + (start.timeoutMs ?? 60_000);
  let failed: Error | null = null;
  child.once("error", (error) => {
    failed = error;
  });
  while (!(await start.ready().catch(() => false))) {
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (failed !== null || ended || performance.now() > deadline) {
      throw new Error(`${start.name} did not start: ${failed ?? ""}\n${log().slice(-2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A port that nobody listens at now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address ? address.port : 0;
}

/**
 * One question and the first bytes of the answer, for `ready`. Null where it does not answer within a second.
 * @param send nothing: the server speaks first.
 */
export function ask(host: string, port: number, send: string | Buffer | null): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (answer: Buffer | null) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => done(null));
    socket.once("error", () => done(null));
    socket.once("close", () => done(null));
    socket.once("data", done);
    if (send !== null) socket.once("connect", () => socket.write(send));
  });
}
