/** Starts the process that the arguments ask for: one of ours (`start <name>`), or the command line. */
import { fileURLToPath } from "node:url";
import { runCli } from "./cli/index.ts";
import { type Config, readConfig } from "./config.ts";
import { awaitDatabase } from "./foundation/await-database.ts";
import { systemClock } from "./foundation/clock.ts";
import { AppError, errorCodeOf, messageOf } from "./foundation/errors.ts";
import { randomIds } from "./foundation/ids.ts";
import { createLog, type Log } from "./foundation/log.ts";
import { dockDir, dockOptions, gatewayOptions, requireDatabaseUrl } from "./process-options.ts";
import {
  type ChildMessage,
  dockAccess,
  down,
  type Running,
  readSecrets,
  type Secrets,
  supervise,
  type UpMessage,
  up,
} from "./supervisor/index.ts";

type Started = {
  readonly port: number;
  readonly ownerToken?: string | null;
  /** Resolves when the process has ended by itself. */
  readonly lost?: Promise<unknown>;
  close(): Promise<void>;
};

/** Every process of ours, each loaded only where it runs: the command line must not wait for the proxy's code. */
const PROCESSES = {
  control: async (config: Config, secrets: Secrets, log: Log) => {
    const { startControl } = await import("./app.ts");
    await awaitDatabase({ clock: systemClock }, requireDatabaseUrl(config));
    return startControl(config, secrets, { clock: systemClock, ids: randomIds, log });
  },
  dock: async (config: Config, secrets: Secrets, log: Log) => {
    const { startDock } = await import("./dock/index.ts");
    await awaitDatabase({ clock: systemClock }, requireDatabaseUrl(config));
    return startDock(dockOptions(config, secrets, log));
  },
  prober: async (config: Config, _secrets: Secrets, log: Log) => {
    const { startAgentProcess, startProberProcess } = await import("./prober-app.ts");
    if (config.prober.token !== null) return startAgentProcess(config, { clock: systemClock, log });
    await awaitDatabase({ clock: systemClock }, requireDatabaseUrl(config));
    return startProberProcess(config, { clock: systemClock, ids: randomIds, log });
  },
  gateway: async (config: Config, secrets: Secrets, log: Log) => {
    const { startGateway } = await import("./gateway/index.ts");
    return startGateway(gatewayOptions(config, secrets, log));
  },
} satisfies Record<string, (config: Config, secrets: Secrets, log: Log) => Promise<Started>>;

// The program and the flags that started us start the others too: `node src/main.ts`, or `node dist/main.js`.
const command = [process.execPath, ...process.execArgv, fileURLToPath(import.meta.url)];

await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<void> {
  const [verb, name] = argv;
  if (verb === "start") return startProcess(name ?? "");
  let foreground: Promise<void> = Promise.resolve();
  const config = configOrExit();
  const exitCode = await runCli(argv, terminal(), config, systemClock, {
    up: async (options) => {
      if (!options.foreground) return up({ config, command, env: process.env });
      const { running, stop } = await superviseHere(config);
      foreground = stopOnSignal(stop);
      return running;
    },
    down: () => down({ config, clock: systemClock, stopApps: () => stopApps(config) }),
    dockAccess: () => dockAccess(config.dir),
  });
  await foreground;
  process.exit(exitCode);
}

function terminal() {
  // `signalbox list | head -1` closes the pipe early; that is no error of ours.
  process.stdout.on("error", (error) => process.exit(errorCodeOf(error) === "EPIPE" ? 0 : 1));
  return {
    // Opened only by what reads it.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    isTTY: process.stderr.isTTY === true,
    cwd: process.cwd(),
    onSignal: (listener: (signal: NodeJS.Signals) => void) => {
      process.on("SIGINT", listener).on("SIGTERM", listener);
      return () => void process.off("SIGINT", listener).off("SIGTERM", listener);
    },
  };
}

function configOrExit(): Config {
  try {
    return readConfig(process.env, process.cwd());
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n${error instanceof AppError ? `${error.hint}\n` : ""}`);
    process.exit(2);
  }
}

async function startProcess(name: string): Promise<void> {
  const log = createLog({ process: name, level: process.env.SIGNALBOX_LOG_LEVEL ?? "info" });
  try {
    const config = readConfig(process.env, process.cwd());
    if (name === "supervisor") return await startSupervisor(config);
    const start = PROCESSES[name as keyof typeof PROCESSES];
    if (!start) {
      const names = ["supervisor", ...Object.keys(PROCESSES)].join(", ");
      throw new AppError("bad_request", `There is no process "${name}".`, { hint: `One of: ${names}.` });
    }
    const started: Started = await start(config, await readSecrets(config.dir), log);
    const { port, ownerToken } = started;
    if (ownerToken && !process.send) process.stdout.write(`Owner token, shown once: ${ownerToken}\n`);
    tell({ type: "ready", port, ownerToken: ownerToken ?? null });
    log.info({ port }, `${name} is ready`);
    // Those whose starter dies end too, except the gateway, which serves on until somebody adopts it.
    const ends = name === "gateway" ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "disconnect"];
    await Promise.race([endOn(ends), ...(started.lost ? [started.lost] : [])]);
    log.info({}, "closing");
    await started.close();
    process.exit(0);
  } catch (error) {
    log.error({ err: error }, messageOf(error));
    const hint = error instanceof AppError ? error.hint : undefined;
    if (!process.send) process.stderr.write(`${messageOf(error)}\n${hint ? `${hint}\n` : ""}`);
    await told({ type: "failed", message: messageOf(error), ...(hint ? { hint } : {}) });
    process.exit(1);
  }
}

/** The background supervisor: tells the `up` that started it how it went, then runs until a signal. */
async function startSupervisor(config: Config): Promise<void> {
  const { running, stop } = await superviseHere(config);
  const message: UpMessage = { type: "running", running };
  await told(message);
  await stopOnSignal(stop);
  process.exit(0);
}

function superviseHere(config: Config): Promise<{ running: Running; stop(): Promise<void> }> {
  const log = createLog({ process: "supervisor", level: config.logLevel });
  const stop = () => stopApps(config);
  return supervise({ clock: systemClock, log, config, command, env: process.env, stopApps: stop });
}

async function stopApps(config: Config): Promise<void> {
  const { stopDockApps } = await import("./dock/stop-apps.ts");
  const log = createLog({ process: "supervisor", level: "error" });
  await stopDockApps({ dir: dockDir(config), path: config.path, clock: systemClock, log });
}

function stopOnSignal(stop: () => Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const end = () => void stop().then(resolve);
    process.once("SIGINT", end).once("SIGTERM", end);
  });
}

function endOn(events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    for (const event of events) process.once(event, () => resolve());
  });
}

function tell(message: ChildMessage): void {
  process.send?.(message);
}

/** As `tell`, but resolves when the message has left: a process that exits at once would lose it. */
function told(message: ChildMessage | UpMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.send) return resolve();
    process.send(message, () => resolve());
  });
}
