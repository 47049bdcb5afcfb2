import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../foundation/clock.ts";
import { AppError } from "../../foundation/errors.ts";
import type { Log } from "../../foundation/log.ts";
import {
  addLine,
  followLines,
  type LogTimes,
  markLog,
  newLogTimes,
  readLines,
  rotateTimes,
} from "./app-lines.ts";
import { boundLog, tailLog } from "./app-log.ts";
import { APP_MARKER, type AppPaths, createAppPaths, makeSocketDirectory, nameOf } from "./app-paths.ts";
import { readLivingRecord, removeRecord } from "./app-record.ts";
import { watchAdopted } from "./launch.ts";
import { ProcessFamily } from "./process-family.ts";
import { listProcesses, startVariable } from "./process-table.ts";
import type { AppSpec, Runner } from "./run.ts";
import { type App, lastWords, supervise } from "./supervise.ts";

export type RunnerOptions = {
  /** Absolute. Sockets, state and logs of the apps are below it. */
  readonly dir: string;
  /** Proxy and certificate settings of this machine. Default: none. */
  readonly networkEnv?: Readonly<Record<string, string>>;
  /** Networks (CIDR) that Build Outputs may reach beside the public ones. Default: none. */
  readonly allowNetworks?: readonly string[];
  /** Where apps find programs. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a start may take until the first HTTP answer. Default 60 s. */
  readonly startDeadlineMs?: number;
};

const START_DEADLINE_MS = 60_000;
const GRACE_MS = 10_000;
const LOG_CHECK_MS = 500;
// A living app answers at once; one that was killed in the middle of its start is waited for in the background.
const ADOPTION_MS = 5_000;

type Shop = {
  readonly options: RunnerOptions;
  readonly paths: AppPaths;
  readonly apps: Map<string, App>;
  /** By deployment id. */
  readonly times: Map<string, LogTimes>;
  readonly startDeadlineMs: number;
  readonly closed: AbortController;
};

export function createRunner(options: RunnerOptions): Runner {
  const shop: Shop = {
    options,
    paths: createAppPaths(options.dir),
    apps: new Map(),
    times: new Map(),
    startDeadlineMs: options.startDeadlineMs ?? START_DEADLINE_MS,
    closed: new AbortController(),
  };
  const { apps, paths } = shop;
  boundLogs(shop);
  return {
    socketPath: (deploymentId) => paths.socket(deploymentId),
    start: (spec, signal) => start(shop, spec, signal),
    state: (deploymentId) => apps.get(deploymentId)?.state ?? { status: "stopped" },
    stop: (deploymentId, { graceMs = GRACE_MS } = {}) => stop(shop, deploymentId, graceMs),
    adopt: (wanted) => adopt(shop, wanted),
    tail: (deploymentId, lines) => tailLog(paths.folder(deploymentId), lines),
    lines: (deploymentId) =>
      readLines(paths.folder(deploymentId), timesOf(shop, deploymentId), options.clock.now()),
    follow: (deploymentId, signal) =>
      followLines(paths.folder(deploymentId), {
        times: () => timesOf(shop, deploymentId),
        clock: options.clock,
        signal: AbortSignal.any([signal, shop.closed.signal]),
      }),
    note: (deploymentId, text) => addLine(paths.folder(deploymentId), text),
    async close() {
      shop.closed.abort();
      for (const app of apps.values()) app.life.abort();
    },
  };
}

async function start(shop: Shop, spec: AppSpec, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { deploymentId } = spec;
  const known = shop.apps.get(deploymentId);
  if (known?.state.status === "up") return;
  // A crashed one is not waited for: the caller wants to know now whether it starts.
  if (known?.state.status === "crashed") await stop(shop, deploymentId, 0);
  const waiting = shop.apps.get(deploymentId);
  const app = waiting ?? keep(shop, spec);
  const failure = await Promise.race([app.first.promise, abortOf(signal, app.life.signal)]);
  if (failure === null) return;
  if (signal.aborted || app.life.signal.aborted) {
    if (signal.aborted) await stop(shop, deploymentId, 0);
    throw new AppError("canceled", `The start of ${deploymentId} was canceled.`);
  }
  const words = await lastWords(app);
  const lines = await tailLog(shop.paths.folder(deploymentId), 20);
  await end(shop, app, 0);
  throw new AppError("unprocessable", `The app ${failure}${words}.`, {
    hint: hintFor(failure),
    details: { lines },
  });
}

function hintFor(failure: string): string {
  return failure.startsWith("did not listen")
    ? "Listen with node:http, or a framework on it, on the port in PORT, and do not wait for anything else first."
    : "Run the start command with NODE_ENV=production and the same variables yourself, and mend what it reports.";
}

function keep(shop: Shop, spec: AppSpec): App {
  const { paths, options } = shop;
  makeSocketDirectory(paths);
  const { deploymentId } = spec;
  const { path, clock, log, networkEnv = {}, allowNetworks = [] } = options;
  const [socket, folder] = [paths.socket(deploymentId), paths.folder(deploymentId)];
  const app: App = {
    spec,
    family: new ProcessFamily(`${APP_MARKER}=${socket}`),
    options: { spec, socket, folder, path, networkEnv, allowNetworks, clock },
    life: new AbortController(),
    state: { status: "starting", since: clock.now() },
    first: Promise.withResolvers(),
  };
  shop.apps.set(deploymentId, app);
  const record = readLivingRecord(folder);
  const running = record ? watchAdopted(record, clock, app.life.signal) : null;
  void supervise(app, running, { clock, log, startDeadlineMs: shop.startDeadlineMs });
  return app;
}

async function stop(shop: Shop, deploymentId: string, graceMs: number): Promise<void> {
  const app = shop.apps.get(deploymentId);
  if (app) await end(shop, app, graceMs);
  else await endFamily(shop, shop.paths.socket(deploymentId), graceMs);
  // A start that came meanwhile has the folder now.
  if (shop.apps.has(deploymentId)) return;
  shop.times.delete(deploymentId);
  await rm(shop.paths.folder(deploymentId), { recursive: true, force: true });
}

function timesOf({ times }: Shop, deploymentId: string): LogTimes {
  const known = times.get(deploymentId) ?? newLogTimes();
  times.set(deploymentId, known);
  return known;
}

/** Ends the processes; the log stays. */
async function end(shop: Shop, app: App, graceMs: number): Promise<void> {
  app.life.abort();
  app.state = { status: "stopped" };
  await endFamily(shop, app.options.socket, graceMs, app.family);
  removeRecord(app.options.folder);
  if (shop.apps.get(app.spec.deploymentId) === app) shop.apps.delete(app.spec.deploymentId);
}

async function endFamily(
  shop: Shop,
  socket: string,
  graceMs: number,
  family = new ProcessFamily(`${APP_MARKER}=${socket}`),
): Promise<void> {
  const { clock, log } = shop.options;
  const until = clock.monotonicMs() + graceMs;
  if (graceMs > 0 && family.signal("SIGTERM") > 0) {
    while (family.members().length > 0 && clock.monotonicMs() < until) await clock.sleep(20);
  }
  const { left } = await family.kill(clock);
  if (left.length > 0) log.error({ pids: left, socket }, "processes of an app cannot be killed");
  for (const path of [socket, `${socket}.owner`]) await rm(path, { force: true });
}

async function adopt(shop: Shop, wanted: readonly AppSpec[]): Promise<void> {
  const { clock } = shop.options;
  const ids = new Set(wanted.map((spec) => nameOf(spec.deploymentId)));
  const strays = [...strayNames(shop)].filter((name) => !ids.has(name));
  await Promise.all(strays.map((name) => removeStray(shop, name)));
  const enough = new AbortController();
  const adopted = wanted.map((spec) => {
    const living = readLivingRecord(shop.paths.folder(spec.deploymentId)) !== null;
    const app = shop.apps.get(spec.deploymentId) ?? keep(shop, spec);
    return living ? app.first.promise : null;
  });
  const limit = clock.sleep(ADOPTION_MS, enough.signal).catch(() => {});
  await Promise.race([Promise.all(adopted), limit]);
  enough.abort();
}

/** Names of apps that left a folder or a process, wanted or not. */
function strayNames(shop: Shop): Set<string> {
  const { sockets, apps } = shop.paths;
  const names = new Set(list(apps));
  for (const { pid } of listProcesses()) {
    const socket = startVariable(pid, APP_MARKER);
    if (socket !== null && dirname(socket) === sockets) names.add(basename(socket, ".sock"));
  }
  return names;
}

async function removeStray(shop: Shop, name: string): Promise<void> {
  const { sockets, apps } = shop.paths;
  const known = [...shop.apps.values()].find((app) => nameOf(app.spec.deploymentId) === name);
  if (known) return stop(shop, known.spec.deploymentId, GRACE_MS);
  await endFamily(shop, join(sockets, `${name}.sock`), GRACE_MS);
  await rm(join(apps, name), { recursive: true, force: true });
}

/** Looks at every log now and then, until the runner closes: how old its lines are, and whether it is too long. */
async function boundLogs(shop: Shop): Promise<void> {
  const { apps, closed } = shop;
  const { clock, log } = shop.options;
  while (!closed.signal.aborted) {
    await clock.sleep(LOG_CHECK_MS, closed.signal).catch(() => {});
    for (const { spec, options } of apps.values()) {
      const times = timesOf(shop, spec.deploymentId);
      try {
        await markLog(options.folder, times, clock.now());
        if (await boundLog(options.folder)) rotateTimes(times);
      } catch (error) {
        log.warn({ err: error }, "an app's log grows unbounded");
      }
    }
  }
}

function abortOf(...signals: AbortSignal[]): Promise<string> {
  return new Promise((resolve) => {
    const any = AbortSignal.any(signals);
    if (any.aborted) return resolve("was canceled");
    any.addEventListener("abort", () => resolve("was canceled"), { once: true });
  });
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
