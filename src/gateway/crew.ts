import cluster, { type Worker } from "node:cluster";
import { fileURLToPath } from "node:url";
import type { Clock } from "../foundation/clock.ts";
import { AppError } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { addCounters, type CountersByRelease, withoutInFlight } from "./counters.ts";
import type { ToPrimary, ToWorker, WorkerOptions } from "./messages.ts";
import type { Snapshot } from "./snapshot.ts";

/** The worker processes, seen from the primary. */
export type Crew = {
  /** Starts the first workers; resolves once all of them listen. @throws AppError when one cannot */
  start(count: number, snapshot: Snapshot | null): Promise<void>;
  /** Resolves once every live worker, draining ones included, serves the snapshot. One that dies is not waited for. */
  push(snapshot: Snapshot): Promise<void>;
  /** Fresh totals over all workers, gone ones included. */
  counters(): Promise<CountersByRelease>;
  /** New workers listen, then the old ones stop listening and drain. Resolves when only new ones take connections. */
  reload(): Promise<number>;
  stop(graceMs: number): Promise<void>;
};

type Member = {
  readonly worker: Worker;
  readonly inbox: Set<(message: ToPrimary | { readonly type: "exit" }) => void>;
  role: "starting" | "serving" | "leaving";
  counters: CountersByRelease;
};

const FIRST_RESPAWN_MS = 10;
const MAX_RESPAWN_MS = 5_000;
// A worker that lived this long was well: the next crash starts counting anew.
const HEALTHY_MS = 10_000;
// A reading waits this long for a worker whose event loop is stuck, then takes its last one.
const COUNT_TIMEOUT_MS = 1_000;

type State = {
  readonly options: WorkerOptions;
  readonly log: Log;
  readonly clock: Clock;
  readonly members: Set<Member>;
  readonly stopped: AbortController;
  current: Snapshot | null;
  /** The totals of workers that have ended. */
  gone: CountersByRelease;
  readings: number;
  crashes: number;
  lastCrashMs: number;
};

export function createCrew(deps: { options: WorkerOptions; log: Log; clock: Clock }): Crew {
  const counted = { gone: {}, readings: 0, crashes: 0, lastCrashMs: 0 };
  const state: State = {
    ...deps,
    members: new Set(),
    stopped: new AbortController(),
    current: null,
    ...counted,
  };
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const { pathname } = new URL(import.meta.url);
  cluster.setupPrimary({
    exec: fileURLToPath(new URL(pathname.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url)),
    args: [],
    // Room for the garbage of a few hundred requests at once: scavenges are this program's largest overhead.
    execArgv: ["--max-semi-space-size=32"],
  });
  return {
    async start(count, snapshot) {
      state.current = snapshot;
      await Promise.all(Array.from({ length: count }, () => spawn(state)));
    },
    push: (snapshot) => push(state, snapshot),
    counters: () => counters(state),
    reload: () => reload(state),
    stop: (graceMs) => stop(state, graceMs),
  };
}

async function spawn(state: State): Promise<Member> {
  const { members, log, options } = state;
  const member: Member = { worker: cluster.fork(), inbox: new Set(), role: "starting", counters: {} };
  members.add(member);
  member.worker.on("message", (message: ToPrimary) => receive(member, message, log));
  member.worker.on("error", (error) => log.warn({ reason: error.message }, "a message to a worker was lost"));
  member.worker.once("exit", (code, signal) => {
    members.delete(member);
    state.gone = addCounters([state.gone, withoutInFlight(member.counters)]);
    for (const listener of [...member.inbox]) listener({ type: "exit" });
    if (member.role === "serving" && !state.stopped.signal.aborted) void respawn(state, code, signal);
  });
  tell(member, { type: "start", options, snapshot: state.current });
  const first = await expect(member, (message) => message.type === "ready" || message.type === "failed");
  if (first?.type === "ready") {
    member.role = "serving";
    // Pushed while it was starting: it has only the snapshot from before.
    if (state.current !== null) tell(member, { type: "snapshot", snapshot: state.current });
    return member;
  }
  member.worker.process.kill("SIGKILL");
  throw listenError(options, first?.type === "failed" ? first : { code: "", message: "it exited" });
}

async function respawn(state: State, code: number | null, signal: string | null): Promise<void> {
  const { clock, log, stopped } = state;
  const nowMs = clock.monotonicMs();
  state.crashes = nowMs - state.lastCrashMs > HEALTHY_MS ? 0 : state.crashes + 1;
  state.lastCrashMs = nowMs;
  const waitMs = state.crashes === 0 ? 0 : Math.min(FIRST_RESPAWN_MS * 2 ** state.crashes, MAX_RESPAWN_MS);
  log.warn({ code, signal, waitMs }, "a gateway worker died and is replaced");
  try {
    await clock.sleep(waitMs, stopped.signal);
    await spawn(state);
  } catch (error) {
    if (stopped.signal.aborted) return;
    log.error({ err: error }, "a gateway worker could not be replaced");
    void respawn(state, null, null);
  }
}

async function push(state: State, snapshot: Snapshot): Promise<void> {
  state.current = snapshot;
  const applied = (message: Incoming) =>
    message.type === "applied" && message.generation >= snapshot.generation;
  await Promise.all(
    [...state.members].map((member) => {
      const done = expect(member, applied);
      // One that is starting is sent the newest snapshot when it is ready.
      if (member.role !== "starting") tell(member, { type: "snapshot", snapshot });
      return done;
    }),
  );
}

async function counters(state: State): Promise<CountersByRelease> {
  const { members } = state;
  const reading = ++state.readings;
  const alive = [...members].filter((member) => member.role !== "starting");
  const fresh = alive.map((member) => {
    const done = expect(member, (message) => message.type === "counters" && message.reading === reading);
    tell(member, { type: "count", reading });
    return done;
  });
  await allOrLate(state.clock, fresh, COUNT_TIMEOUT_MS);
  return addCounters([state.gone, ...[...members].map((member) => member.counters)]);
}

async function reload(state: State): Promise<number> {
  const old = [...state.members].filter((member) => member.role === "serving");
  const fresh = await Promise.allSettled(old.map(() => spawn(state)));
  const failed = fresh.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    for (const result of fresh) if (result.status === "fulfilled") leave(result.value);
    throw failed.reason;
  }
  await Promise.all(old.map(leave));
  state.log.info({ workers: fresh.length }, "gateway workers were replaced");
  return fresh.length;
}

async function stop(state: State, graceMs: number): Promise<void> {
  state.stopped.abort();
  const ended = [...state.members].map((member) => {
    tell(member, { type: "stop", graceMs });
    return expect(member, () => false);
  });
  await allOrLate(state.clock, ended, graceMs + 1_000);
  for (const member of state.members) member.worker.process.kill("SIGKILL");
}

async function allOrLate(clock: Clock, work: readonly Promise<unknown>[], lateMs: number): Promise<void> {
  const timeout = new AbortController();
  const late = clock.sleep(lateMs, timeout.signal).catch(() => undefined);
  await Promise.race([Promise.all(work), late]);
  timeout.abort();
}

type Incoming = ToPrimary | { readonly type: "exit" };

function receive(member: Member, message: ToPrimary, log: Log): void {
  if (message.type === "counters") member.counters = message.releases;
  if (message.type === "log") log[message.level](message.fields, message.text);
  for (const listener of [...member.inbox]) listener(message);
}

/** The next message that passes, or null when the worker exits first. */
function expect(member: Member, passes: (message: Incoming) => boolean): Promise<Incoming | null> {
  const { promise, resolve } = Promise.withResolvers<Incoming | null>();
  if (member.worker.isDead()) resolve(null);
  const listener = (message: Incoming) => {
    if (message.type !== "exit" && !passes(message)) return;
    member.inbox.delete(listener);
    resolve(message.type === "exit" ? null : message);
  };
  member.inbox.add(listener);
  return promise;
}

function tell(member: Member, message: ToWorker): void {
  if (member.worker.isConnected()) member.worker.send(message);
}

async function leave(member: Member): Promise<void> {
  member.role = "leaving";
  const left = expect(member, (message) => message.type === "draining");
  tell(member, { type: "drain" });
  await left;
}

export function listenError(
  at: { host: string; port: number },
  cause: { code: string; message: string },
): AppError {
  const where = `${at.host}:${at.port}`;
  if (cause.code === "EADDRINUSE") {
    return new AppError("conflict", `The gateway cannot listen on ${where}: another program does.`, {
      hint: "Stop that program, or set SIGNALBOX_GATEWAY_PORT to a free port.",
    });
  }
  if (cause.code === "EACCES") {
    return new AppError("forbidden", `The gateway may not listen on ${where}.`, {
      hint: "Ports below 1024 need a privilege: choose a higher one with SIGNALBOX_GATEWAY_PORT.",
    });
  }
  return new AppError("unavailable", `The gateway cannot serve on ${where}: ${cause.message}.`, {
    hint: "Check SIGNALBOX_HOST and SIGNALBOX_GATEWAY_PORT, and that the folder for the access log can be written.",
  });
}
