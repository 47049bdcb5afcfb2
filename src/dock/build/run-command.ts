import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { Clock } from "../../foundation/clock.ts";
import { NICE, prioritise } from "../../foundation/priority.ts";
import { ProcessFamily } from "../run/process-family.ts";
import { BuildFailure } from "./build.ts";
import type { BuildLog } from "./build-log.ts";
import { BUILD_MARKER } from "./command-env.ts";
import { type BuildLimits, watchLimits } from "./limits.ts";
import { LineCutter } from "./lines.ts";

const PARTIAL_LINE_MS = 100;

export type CommandOptions = {
  /** `install` or `build`: the word for it in a failure's sentence. */
  readonly name: string;
  readonly command: string;
  /** What the log and failures call it, where that is not the command itself. */
  readonly shown?: string;
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  readonly log: BuildLog;
  /** Measured for the disk limit. */
  readonly diskDirectories: readonly string[];
  readonly limits: BuildLimits;
  /** On the monotonic clock: the time limit is the whole build's, not one command's. */
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

type Ending =
  | { readonly how: "exit"; readonly code: number | null; readonly signal: NodeJS.Signals | null }
  | { readonly how: "failure"; readonly failure: BuildFailure };

/**
 * Runs one command by `sh -c` in a session of its own. Whatever it started is gone when this returns or throws.
 * @throws BuildFailure on a bad exit, a limit, or an abort.
 */
export async function runCommand(options: CommandOptions): Promise<void> {
  const { log, clock } = options;
  if (options.signal.aborted) throw canceled();
  log.command(options.shown ?? options.command);
  const family = new ProcessFamily(`${BUILD_MARKER}=${options.env[BUILD_MARKER]}`);
  const child = spawn("sh", ["-c", options.command], {
    cwd: options.directory,
    env: options.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  prioritise(child.pid, NICE.build);
  const drained = [stream(child.stdout, "stdout", log), stream(child.stderr, "stderr", log)];
  if (child.pid !== undefined) family.lead(child.pid);
  const ending = await firstEnding(child, family, options);
  const { left } = await family.kill(clock);
  await drain(child, drained, clock);
  if (left.length > 0) {
    throw new BuildFailure(
      "BUILD_FAILED",
      `The ${options.name} command left processes that cannot be killed (pid ${left.join(", ")}).`,
      "They hang in the kernel: look at the machine's disks and mounts.",
    );
  }
  if (ending.how === "failure") throw ending.failure;
  if (ending.code !== 0) throw badExit(options, ending.code, ending.signal);
}

async function firstEnding(
  child: ChildProcess,
  family: ProcessFamily,
  options: CommandOptions,
): Promise<Ending> {
  const over = new AbortController();
  const { clock, limits } = options;
  const racers: Promise<Ending | null>[] = [
    new Promise((resolve) => {
      child.once("error", (error) => resolve({ how: "failure", failure: notStarted(options, error) }));
      child.once("exit", (code, signal) => resolve({ how: "exit", code, signal }));
    }),
    watchLimits({ family, directories: options.diskDirectories, limits, clock, signal: over.signal }).then(
      (failure) => (failure ? { how: "failure", failure } : null),
    ),
    clock.sleep(Math.max(0, options.deadlineMs - clock.monotonicMs()), over.signal).then(
      () => ({ how: "failure", failure: timedOut(options) }),
      () => null,
    ),
    aborted(options.signal, over.signal).then((was) =>
      was ? { how: "failure", failure: canceled() } : null,
    ),
  ];
  try {
    // A watcher that gives up (null) decides nothing: only one of them, or the exit, ends the command.
    const ending = await Promise.any(racers.map(async (racer) => (await racer) ?? Promise.reject()));
    return ending;
  } finally {
    over.abort();
    await Promise.allSettled(racers.slice(1));
  }
}

/** Resolves true once `signal` aborts, false once it no longer matters. */
function aborted(signal: AbortSignal, over: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(true);
    const onAbort = () => resolve(true);
    signal.addEventListener("abort", onAbort, { once: true });
    over.addEventListener("abort", () => {
      signal.removeEventListener("abort", onAbort);
      resolve(false);
    });
  });
}

/** Waits for the last bytes. Whoever hides from us and still holds the pipe after a second is not waited for. */
async function drain(child: ChildProcess, ended: Promise<void>[], clock: Clock): Promise<void> {
  const over = new AbortController();
  const cut = clock.sleep(1_000, over.signal).then(
    () => [child.stdout, child.stderr].forEach((source) => void source?.destroy()),
    () => {},
  );
  await Promise.all(ended);
  over.abort();
  await cut;
}

/** Hands the stream's lines to the log; resolves once it has ended. */
function stream(source: Readable, type: "stdout" | "stderr", log: BuildLog): Promise<void> {
  const cutter = new LineCutter(log.redactor, (line) => log.line(type, line));
  let timer: NodeJS.Timeout | undefined;
  source.on("data", (chunk: Buffer) => {
    cutter.write(chunk);
    clearTimeout(timer);
    if (cutter.waiting) timer = setTimeout(() => cutter.flushPartial(), PARTIAL_LINE_MS);
  });
  return new Promise((resolve) => {
    source.once("close", () => {
      clearTimeout(timer);
      cutter.end();
      resolve();
    });
  });
}

export function canceled(): BuildFailure {
  return new BuildFailure("BUILD_CANCELED", "The build was canceled.", "Deploy again when you want it.");
}

function timedOut({ name, command, shown, limits }: CommandOptions): BuildFailure {
  const seconds = Math.round(limits.timeoutMs / 100) / 10;
  return new BuildFailure(
    "BUILD_TIMEOUT",
    `The build did not end within ${seconds} s: the ${name} command \`${shown ?? command}\` was still running.`,
    "Find what it waits for (a watch mode, a prompt, the network), or raise SIGNALBOX_BUILD_TIMEOUT_S.",
  );
}

function notStarted({ name }: CommandOptions, error: Error): BuildFailure {
  return new BuildFailure("BUILD_FAILED", `The ${name} command could not be started: ${error.message}.`);
}

function badExit(options: CommandOptions, code: number | null, signal: string | null): BuildFailure {
  const { name, log } = options;
  const shown = log.redactor.redact(options.shown ?? options.command);
  if (code === 127) {
    return new BuildFailure(
      "BUILD_FAILED",
      `The ${name} command \`${shown}\` names a program that is not there${tail(log)}.`,
      "Add it to the dependencies of package.json, or correct the command in signalbox.yaml.",
    );
  }
  const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
  return new BuildFailure(
    "BUILD_FAILED",
    `The ${name} command \`${shown}\` ${how}${tail(log)}.`,
    `Run \`${shown}\` in a clean checkout and mend what it reports; the build log has all of it.`,
  );
}

const NOISE = /^npm (error|ERR!)( A complete log| {2,}|$)|\/_logs\/|^\s*at |^Node\.js v\d|^[\s^~}{)(\]]*$/;

/** The line that says most: the last with "error" in it that is no stack frame or epilogue of npm, else the last. */
function tail(log: BuildLog): string {
  const lines = log.lastLines().filter((line) => !NOISE.test(line));
  const line = lines.findLast((text) => /error|fail|cannot|not found/i.test(text)) ?? lines.at(-1);
  return line === undefined ? "" : `: ${line.trim().replace(/\.$/, "").slice(0, 300)}`;
}
