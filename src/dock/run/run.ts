import type { Artifact } from "../build/build.ts";
import type { AppLine } from "./app-lines.ts";

/** A server release that should be running. */
export type AppSpec = {
  /** The dock's deployment id: one process (tree) each. */
  readonly deploymentId: string;
  readonly server: NonNullable<Artifact["server"]>;
  /** Variables of the process: the only ones it gets beside PATH, HOME, PORT, NODE_ENV. */
  readonly env: Readonly<Record<string, string>>;
};

export type AppState =
  | { readonly status: "starting"; readonly since: Date }
  | { readonly status: "up"; readonly since: Date; readonly pid: number; readonly restarts: number }
  /** Waiting to be started again; `reason` is one sentence (exit code, signal, last lines of its log). */
  | { readonly status: "crashed"; readonly reason: string; readonly restarts: number; readonly retryAt: Date }
  | { readonly status: "stopped" };

/**
 * Runs server releases as child processes that outlive the dock. Each listens on its own unix socket: a preload
 * redirects the app's first TCP `listen` there, so `app.listen(3000)` works unchanged and no port is taken.
 */
export type Runner = {
  /** The socket a release's process listens on, absolute; the same whether it runs or not. Under 100 bytes. */
  socketPath(deploymentId: string): string;
  /**
   * Starts it (or finds it running) and resolves once it answers HTTP.
   * @throws AppError `unprocessable` when it exits or never listens.
   */
  start(spec: AppSpec, signal: AbortSignal): Promise<void>;
  state(deploymentId: string): AppState;
  /** SIGTERM to the group, up to `graceMs` (default 10 s) to finish, SIGKILL. Resolves when nothing of it is left. */
  stop(deploymentId: string, options?: { graceMs?: number }): Promise<void>;
  /** Takes back what an earlier dock started: adopts the living in `wanted`, restarts the dead, stops the rest. */
  adopt(wanted: readonly AppSpec[]): Promise<void>;
  /** The newest lines of the app's output, oldest first. */
  tail(deploymentId: string, lines: number): Promise<string[]>;
  /** Everything that is kept of the app's output, oldest first. */
  lines(deploymentId: string): Promise<AppLine[]>;
  /** The lines of its output that come once this has resolved, until `signal` aborts. */
  follow(deploymentId: string, signal: AbortSignal): Promise<AsyncGenerator<AppLine>>;
  /** Adds a line to its output. */
  note(deploymentId: string, text: string): Promise<void>;
  /** Stops watching; the processes go on. */
  close(): Promise<void>;
};
