import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../foundation/clock.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../foundation/embedded-postgres.ts";
import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { NICE, prioritise } from "../foundation/priority.ts";
import { isAlive } from "../foundation/process.ts";
import { adoptGateway } from "./adopt-gateway.ts";
import { type Child, superviseChild } from "./child.ts";
import { lives, lockDirectory, nameOf, type ProcessName } from "./lock.ts";
import { readSecrets } from "./secrets.ts";
import { readState, removeState, type SupervisorState, writeState } from "./state.ts";

/** Where everything is, once it answers. */
export type Running = {
  readonly url: string;
  readonly dockUrl: string;
  readonly gatewayUrl: string;
  /** The one-time owner token: only on the start that made it. */
  readonly token: string | null;
  readonly pids: Readonly<Record<string, number>>;
};

export type SuperviseDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: Config;
  /** The command that starts `signalbox`, without arguments: `[node, main.ts]`. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Ends the app processes that outlive the dock. */
  stopApps(): Promise<void>;
};

const STOP_GRACE_MS = 15_000;
const POSTGRES_WATCH_MS = 100;

/** Starts everything; `stop` ends it in the order that loses nothing. @throws AppError with what could not start. */
export async function supervise(deps: SuperviseDeps): Promise<{ running: Running; stop(): Promise<void> }> {
  const { config } = deps;
  const lock = await lockDirectory(config.dir);
  const stops: (() => Promise<void>)[] = [lock.release, () => removeState(config.dir)];
  const stop = async () => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    const before = await readState(config.dir);
    if (before) await waitForOrphans(deps, before);
    await readSecrets(config.dir);
    const tracker = trackProcesses(deps);
    // From the beginning: killed while everything starts, a supervisor must leave its successor something to go by.
    const own = nameOf(process.pid);
    await tracker.publish({ ...addressesOf(config, before), supervisor: own });
    const postgres = config.databaseUrl === null ? await keepPostgres(deps, tracker) : null;
    if (postgres) stops.push(postgres.stop);
    stops.push(() => deps.stopApps());
    const databaseUrl = config.databaseUrl ?? postgres?.databaseUrl() ?? "";
    const start = (name: string) => startProcess(deps, name, databaseUrl, tracker);
    const gateway = (await adoptGateway(deps, before, () => start("gateway"))) ?? start("gateway");
    tracker.track("gateway", gateway.pid() ?? 0);
    const children = [gateway, start("dock"), start("control")];
    for (const child of children) stops.push(() => child.stop(STOP_GRACE_MS));
    const [gatewayReady, dockReady, controlReady] = await Promise.all(children.map((child) => child.ready));
    // Once the control plane has migrated the database.
    const prober = start("prober");
    stops.push(() => prober.stop(STOP_GRACE_MS));
    await prober.ready;
    const ports = { gateway: gatewayReady?.port, dock: dockReady?.port, control: controlReady?.port };
    const addresses = addressesOf(config, null, ports);
    await tracker.publish({ ...addresses, supervisor: own });
    const token = controlReady?.ownerToken ?? null;
    return { running: { ...addresses, token, pids: { supervisor: process.pid, ...tracker.pids() } }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Ports = Record<"gateway" | "dock" | "control", number | undefined>;

/** `ports` are the real ones, once known; before that what an earlier supervisor had, or what is configured. */
function addressesOf(config: Config, before: SupervisorState | null, ports?: Ports) {
  const host = config.host === "0.0.0.0" || config.host === "::" ? "127.0.0.1" : config.host;
  return {
    url: `http://${host}:${ports?.control ?? config.port}`,
    dockUrl: `http://${host}:${ports?.dock ?? config.dockPort}`,
    gatewayUrl: ports
      ? `http://${host}:${ports.gateway}`
      : (before?.gatewayUrl ?? `http://${host}:${config.gatewayPort}`),
  };
}

type Tracker = ReturnType<typeof trackProcesses>;

/** Keeps `supervisor.json` true: `down` and the next supervisor go by it. The lock alone decides who may start. */
function trackProcesses(deps: SuperviseDeps) {
  const processes: Record<string, ProcessName> = {};
  let published: Omit<SupervisorState, "processes"> | null = null;
  const write = async () => {
    if (published) await writeState(deps.config.dir, { ...published, processes });
  };
  return {
    track: (name: string, pid: number) => {
      prioritise(pid, NICE.control);
      processes[name] = nameOf(pid);
      write().catch((error) => deps.log.warn({ err: error }, "could not write supervisor.json"));
    },
    publish: (state: Omit<SupervisorState, "processes">) => {
      published = state;
      return write();
    },
    pids: () => Object.fromEntries(Object.entries(processes).map(([name, { pid }]) => [name, pid])),
  };
}

function startProcess(deps: SuperviseDeps, name: string, databaseUrl: string, tracker: Tracker): Child {
  return superviseChild(deps, {
    name,
    command: [...deps.command, "start", name],
    env: { ...deps.env, DATABASE_URL: databaseUrl, SIGNALBOX_DIR: deps.config.dir },
    logFile: join(deps.config.dir, "log", `${name}.log`),
    onStart: (pid) => tracker.track(name, pid),
  });
}

/** The embedded Postgres, started again whenever it dies. */
async function keepPostgres(
  deps: SuperviseDeps,
  tracker: Tracker,
): Promise<{ databaseUrl(): string; stop(): Promise<void> }> {
  const stopping = new AbortController();
  let postgres: EmbeddedPostgres = await startEmbeddedPostgres(deps, { dir: deps.config.dir });
  tracker.track("postgres", postgres.pid);
  const watch = async () => {
    while (!stopping.signal.aborted) {
      await deps.clock.sleep(POSTGRES_WATCH_MS, stopping.signal).catch(() => {});
      if (stopping.signal.aborted || isAlive(postgres.pid)) continue;
      deps.log.warn({ pid: postgres.pid }, "postgres died; starting it again");
      await startEmbeddedPostgres(deps, { dir: deps.config.dir }).then(
        (started) => {
          postgres = started;
          tracker.track("postgres", started.pid);
        },
        (error) => deps.log.error({ err: error }, `postgres did not start: ${messageOf(error)}`),
      );
    }
  };
  const watching = watch();
  return {
    databaseUrl: () => postgres.databaseUrl,
    stop: async () => {
      stopping.abort();
      await watching;
      await postgres.stop();
    },
  };
}

/** The others of a killed supervisor end by themselves; their ports are free once they are gone. */
async function waitForOrphans(deps: SuperviseDeps, before: SupervisorState): Promise<void> {
  const orphans = ["dock", "control", "prober"].flatMap((name) => before.processes[name] ?? []);
  const deadline = deps.clock.monotonicMs() + STOP_GRACE_MS;
  while (orphans.some(lives) && deps.clock.monotonicMs() < deadline) await deps.clock.sleep(20);
  for (const orphan of orphans.filter(lives)) process.kill(orphan.pid, "SIGKILL");
}
