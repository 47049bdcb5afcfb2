import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../foundation/clock.ts";
import { AppError } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";

/** What a process of ours tells whoever started it, over Node's IPC channel. */
export type ChildMessage =
  | { readonly type: "ready"; readonly port: number; readonly ownerToken?: string | null }
  | { readonly type: "failed"; readonly message: string; readonly hint?: string };

type Ready = Extract<ChildMessage, { type: "ready" }>;

export type Child = {
  readonly name: string;
  pid(): number | null;
  /** Resolves at the first `ready`. @throws AppError with the child's own sentence when it never got there. */
  readonly ready: Promise<Ready>;
  /** SIGTERM, then SIGKILL after `graceMs`. Not restarted any more. */
  stop(graceMs: number): Promise<void>;
};

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 10_000;
/** A child that ran this long was well: its next crash starts the backoff anew. Only a loop of crashes waits longer. */
const STEADY_MS = 2_000;
const LOG_BYTES_MAX = 20 * 2 ** 20;

/**
 * Runs one of our processes and starts it again when it dies. Before its first `ready` it is not restarted: a port in
 * use or a database that refuses us is for the person who started it to hear, not to be retried in a loop.
 */
export function superviseChild(
  deps: { clock: Clock; log: Log },
  options: {
    name: string;
    command: readonly string[];
    env: NodeJS.ProcessEnv;
    logFile: string;
    onStart(pid: number): void;
  },
): Child {
  const stopping = new AbortController();
  const ready = Promise.withResolvers<Ready>();
  // Awaited by the supervisor in its own time; until then a failure must not be "unhandled".
  ready.promise.catch(() => {});
  let child: ChildProcess | null = null;
  let gone: Promise<void> = Promise.resolve();
  let wasReady = false;

  const start = () => {
    const startedAt = deps.clock.monotonicMs();
    child = launch(options);
    options.onStart(child.pid ?? 0);
    let problem: AppError | null = null;
    child.on("message", (message: ChildMessage) => {
      if (message.type === "ready") {
        wasReady = true;
        ready.resolve(message);
      } else {
        problem = new AppError("unavailable", message.message, message.hint ? { hint: message.hint } : {});
      }
    });
    gone = new Promise((resolve) => {
      child?.once("exit", (code, signal) => {
        resolve();
        onExit(code, signal, problem, deps.clock.monotonicMs() - startedAt);
      });
    });
  };

  let backoffMs = BACKOFF_FIRST_MS;
  const onExit = (code: number | null, signal: string | null, problem: AppError | null, ranMs: number) => {
    if (stopping.signal.aborted) return;
    const how = signal ? `signal ${signal}` : `exit code ${code}`;
    if (!wasReady) return ready.reject(problem ?? neverReady(options, how));
    if (ranMs > STEADY_MS) backoffMs = BACKOFF_FIRST_MS;
    deps.log.warn(
      { child: options.name, how, ranMs, backoffMs },
      problem?.message ?? "child died; starting it again",
    );
    const pause = backoffMs;
    backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
    deps.clock.sleep(pause, stopping.signal).then(start, () => {});
  };

  start();
  return {
    name: options.name,
    pid: () => child?.pid ?? null,
    ready: ready.promise,
    stop: async (graceMs) => {
      stopping.abort();
      child?.kill("SIGTERM");
      const kill = setTimeout(() => child?.kill("SIGKILL"), graceMs);
      await gone;
      clearTimeout(kill);
    },
  };
}

function neverReady(options: { name: string; logFile: string }, how: string): AppError {
  return new AppError("unavailable", `The ${options.name} process ended before it was ready (${how}).`, {
    hint: `Its log is ${options.logFile}.`,
  });
}

function launch(options: {
  command: readonly string[];
  env: NodeJS.ProcessEnv;
  logFile: string;
}): ChildProcess {
  mkdirSync(dirname(options.logFile), { recursive: true });
  rotate(options.logFile);
  const output = openSync(options.logFile, "a", 0o600);
  try {
    const [program = "", ...args] = options.command;
    // A process group of its own: Ctrl-C in the supervisor's terminal is the supervisor's to handle, in its order.
    return spawn(program, args, {
      env: options.env,
      detached: true,
      stdio: ["ignore", output, output, "ipc"],
    });
  } finally {
    closeSync(output);
  }
}

function rotate(logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(logFile, `${logFile}.1`);
}
