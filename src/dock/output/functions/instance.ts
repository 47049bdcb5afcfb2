import { type ChildProcess, spawn } from "node:child_process";
import http from "node:http";
import { extname, join } from "node:path";
import { AppError } from "../../../foundation/errors.ts";
import type { CacheAnswer, FromFunction, LoadMessage, ToFunction } from "../child/protocol.ts";
import type { FunctionSpec } from "./function-config.ts";
import type { Reaper } from "./reaper.ts";

export type ProcessOptions = {
  /** What every function of the release starts with. */
  readonly env: Readonly<Record<string, string>>;
  readonly reaper: Reaper;
};

/** Answers what a function asks of the release's cache. What the function sent is not checked yet. */
export type AnswerQuestion = (question: unknown) => Promise<CacheAnswer>;

/** A process that is, or will be, one function. */
export type FunctionProcess = {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Of its start: flags and the variables that Node reads only then. */
  readonly kind: string;
  readonly exited: Promise<string>;
};

/** A function's process that has loaded it and answers. */
export type Instance = {
  readonly process: FunctionProcess;
  readonly socket: string;
  readonly agent: http.Agent;
  /** Requests under way. */
  inFlight: number;
  /** Work of `waitUntil` is under way. */
  busy: boolean;
  /** Gets nothing new: it timed out, or met an error that nobody caught. */
  retired: boolean;
  lastUsedMs: number;
};

const ENTRY = join(import.meta.dirname, "..", "child", `main${extname(import.meta.filename)}`);
// Read by Node, its libraries or the loader at a process's start, or before a function's first line.
const START_VARIABLE = /^(NODE_|UV_|LD_|LC_|MALLOC_|SSL_|OPENSSL_|TZ$|LANG$)/;
const CONNECTIONS = 512;

/** What a process must have been started with to become this function. */
export function startOf(spec: FunctionSpec): { kind: string; flags: string[]; env: Record<string, string> } {
  const env = Object.fromEntries(
    Object.entries(spec.environment).filter(([name]) => START_VARIABLE.test(name)),
  );
  const flags = [
    `--max-old-space-size=${Math.max(16, Math.floor(spec.memoryMb))}`,
    // Of the empty package.json that ends the bundle's package scope; on Vercel there is none to complain about.
    "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
    ...(spec.kind === "edge" ? ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning"] : []),
  ];
  return { kind: JSON.stringify([flags, env]), flags, env };
}

export function startProcess(spec: FunctionSpec, { env, reaper }: ProcessOptions): FunctionProcess {
  const start = startOf(spec);
  const child = spawn(process.execPath, [...start.flags, ENTRY], {
    cwd: "/",
    env: { ...env, ...start.env },
    // A group of its own: what it starts ends with it.
    detached: true,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const { pid } = child;
  if (pid === undefined) throw new AppError("unavailable", "No process could be started for a function.");
  reaper.watch(pid);
  const exited = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => {
      killGroup(pid);
      reaper.forget(pid);
      resolve(signal === null ? `exited with code ${code}` : `was killed by ${signal}`);
    });
  });
  child.on("error", () => {});
  return { child, pid, kind: start.kind, exited };
}

/** Makes the process this function. @throws AppError when it does not load, with why. */
export async function load(
  process: FunctionProcess,
  message: LoadMessage,
  { deadline, answer }: { deadline: AbortSignal; answer: AnswerQuestion },
): Promise<Instance> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const failed = (reason: string) => reject(new AppError("unprocessable", `${message.name} ${reason}.`));
  const instance: Instance = {
    process,
    socket: message.socket,
    agent: new http.Agent({
      keepAlive: true,
      maxSockets: CONNECTIONS,
      maxFreeSockets: CONNECTIONS,
      scheduling: "lifo",
    }),
    inFlight: 0,
    busy: false,
    retired: false,
    lastUsedMs: 0,
  };
  process.child.on("message", (said: FromFunction) => {
    if (said.type === "ready") resolve();
    if (said.type === "failed") failed(`could not be loaded: ${said.reason}`);
    if (said.type === "ask") void reply(process, said.id, answer(said.question));
    if (said.type === "busy") instance.busy = said.busy;
    if (said.type === "retire") {
      instance.retired = true;
      if (instance.inFlight === 0) kill(process);
    }
  });
  process.exited.then((how) => {
    instance.retired = true;
    failed(`${how} while it was loaded`);
  });
  const late = () => failed("did not finish loading in time");
  deadline.addEventListener("abort", late, { once: true });
  tell(process, message);
  try {
    await promise;
    return instance;
  } catch (error) {
    kill(process);
    throw error;
  } finally {
    deadline.removeEventListener("abort", late);
  }
}

/** A cache that fails has nothing: the function goes on without it. */
async function reply(process: FunctionProcess, id: number, answered: Promise<CacheAnswer>): Promise<void> {
  const answer = await answered.catch(() => null);
  tell(process, { type: "told", id, answer });
}

/** Lets it finish the work of `waitUntil` and end. */
export function end(process: FunctionProcess, graceMs: number): void {
  tell(process, { type: "end", graceMs });
}

export function kill(process: FunctionProcess): void {
  killGroup(process.pid);
  process.child.kill("SIGKILL");
}

function tell({ child }: FunctionProcess, message: ToFunction): void {
  if (child.connected) child.send(message, () => {});
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing of it is left.
  }
}
