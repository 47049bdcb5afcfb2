import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import type { NetworksOf } from "../../foundation/safe-fetch.ts";

export type GitOptions = {
  /** Absolute folder of the bare caches. It belongs to one process at a time. */
  readonly cacheDir: string;
  /** Where a project's URL may lead to beside the public networks; only there plain http is allowed too. */
  readonly networksOf: NetworksOf;
  /** True: `file://` URLs and absolute paths are allowed. Default: they are not. */
  readonly allowLocalPaths?: boolean;
  /** Proxy and certificate settings for git. */
  readonly networkEnv: Readonly<Record<string, string>>;
  /** PATH to find git by. */
  readonly path: string;
};

/** How a URL is reached: what `checkAddress` decided. */
export type GitAddress = {
  readonly url: string;
  /** The URL without its password, to show. */
  readonly shown: string;
  /** Protocols that git itself may speak. */
  readonly protocols: string;
  /** `-c name=value` settings that pin the checked addresses. */
  readonly config: readonly string[];
  /** Command for ssh, with the checked address pinned; null for the other protocols. */
  readonly ssh: string | null;
};

export type GitRun = {
  readonly options: GitOptions;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Null for commands that do not leave this machine. */
  readonly address: GitAddress | null;
};

/** A pack, or any other file that git writes, cannot grow beyond this (2 GiB, the limit of a tree). */
const MAX_FILE_BLOCKS = (2 * 2 ** 30) / 512;
const MAX_OUTPUT_BYTES = 64 * 2 ** 20;
const MAX_ERROR_CHARS = 16_384;

/** Settings that hold whatever the repository says: no hooks, no redirects to another host, no side jobs. */
const SETTINGS = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "credential.helper=",
  "gc.auto=0",
  "maintenance.auto=false",
  "http.followRedirects=false",
  "submodule.recurse=false",
  "transfer.bundleURI=false",
  "uploadpack.packObjectsHook=",
].flatMap((setting) => ["-c", setting]);

export type GitChild = {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Resolves when git ended with 0; else rejects with `GitFailure` or the reason of the end that we made. */
  readonly done: Promise<void>;
  /** Ends git and all that it started. */
  kill(reason: unknown): void;
};

/** git ended with an error; `stderr` is what it said. */
export class GitFailure extends Error {
  override readonly name = "GitFailure";
  readonly stderr: string;

  constructor(stderr: string) {
    super(`git failed: ${stderr.trim()}`);
    this.stderr = stderr;
  }
}

/** Starts git in a process group of its own, with an environment of its own and a limit on time and on file sizes. */
export function startGit(run: GitRun): GitChild {
  run.signal.throwIfAborted();
  const args = [
    ...SETTINGS,
    ...(run.address?.config ?? []).flatMap((setting) => ["-c", setting]),
    ...run.args,
  ];
  const child = spawn(
    "/bin/sh",
    ["-c", 'ulimit -f "$0" && exec git "$@"', String(MAX_FILE_BLOCKS), ...args],
    {
      cwd: run.cwd,
      env: environmentOf(run),
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  // A git that ended early has closed its stdin; its exit says why.
  child.stdin.on("error", () => {});
  let reason: unknown = null;
  const kill = (why: unknown) => {
    reason ??= why;
    if (child.pid !== undefined && child.exitCode === null) killGroup(child.pid);
    // Output that nobody reads any more would keep the child's "close" from coming.
    child.stdout.destroy();
  };
  const timeout = setTimeout(() => kill(timedOut(run)), run.timeoutMs);
  const onAbort = () => kill(run.signal.reason);
  run.signal.addEventListener("abort", onAbort, { once: true });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-MAX_ERROR_CHARS);
  });
  const done = new Promise<void>((resolve, reject) => {
    child.once("error", (error) => reject(notStarted(error)));
    child.once("close", (code) => {
      clearTimeout(timeout);
      run.signal.removeEventListener("abort", onAbort);
      if (reason !== null) reject(reason);
      else if (code === 0) resolve();
      else reject(new GitFailure(stderr));
    });
  });
  // Whoever reads stdout may look at `done` later; until then its rejection is not unhandled.
  done.catch(() => {});
  return { process: child, done, kill };
}

/** Runs git to its end and answers its output. */
export async function git(run: GitRun): Promise<Buffer> {
  const child = startGit(run);
  child.process.stdin.end();
  const chunks: Buffer[] = [];
  let size = 0;
  child.process.stdout.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_OUTPUT_BYTES) chunks.push(chunk);
    else child.kill(tooMuch(run));
  });
  await child.done;
  return Buffer.concat(chunks);
}

function environmentOf({ options, address }: GitRun): Record<string, string> {
  return {
    ...options.networkEnv,
    PATH: options.path,
    HOME: options.cacheDir,
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_ALLOW_PROTOCOL: address?.protocols ?? "",
    ...(address?.ssh == null ? {} : { GIT_SSH_COMMAND: address.ssh, GIT_SSH_VARIANT: "ssh" }),
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // It ended by itself meanwhile.
    if (errorCodeOf(error) !== "ESRCH") throw error;
  }
}

function timedOut(run: GitRun): AppError {
  const what = `git ${run.args[0] ?? ""} of ${run.address?.shown ?? "the cached repository"}`;
  return new AppError("upstream", `${what} took longer than ${run.timeoutMs / 1_000} s.`, {
    hint: "Check that the host is reachable and how large the repository is; Signalbox tries again by itself.",
  });
}

function tooMuch(run: GitRun): AppError {
  return new AppError(
    "unprocessable",
    `git ${run.args[0] ?? ""} answered more than ${MAX_OUTPUT_BYTES} bytes.`,
    {
      hint: "The repository has too many refs or files; deploy a checkout with `signalbox deploy .`.",
    },
  );
}

function notStarted(error: Error): AppError {
  return new AppError("unavailable", "git cannot be started on this machine.", {
    hint: "Install git and see that it is in the PATH of the control plane.",
    cause: error,
  });
}
