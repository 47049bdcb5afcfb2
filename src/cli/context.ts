import type { Config } from "../config.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Ids } from "../foundation/ids.ts";
import type { Api } from "./client/api.ts";
import type { Paint } from "./terminal/paint.ts";

/** Where text goes. `process.stdout` and `process.stderr` fit. */
export type Output = { write(text: string): unknown; readonly columns?: number | undefined };

/** What the CLI touches of its process. Results go to stdout, everything else (progress, errors) to stderr. */
export type Io = {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Left out: nothing can be read. */
  readonly stdin?: AsyncIterable<unknown> & { readonly isTTY?: boolean | undefined };
  /** stderr is a terminal: spinners, bars and colours are allowed. */
  readonly isTTY: boolean;
  /** Absolute. */
  readonly cwd: string;
  /** Calls back on SIGINT and SIGTERM in place of the default death. Returns how to stop listening. */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
};

export type UpResult = {
  readonly url: string;
  readonly dockUrl: string;
  readonly gatewayUrl: string;
  /** The owner token; only known the first time. */
  readonly token: string | null;
  readonly pids: Readonly<Record<string, number>>;
};

/** Starting and stopping the processes of this machine: the verbs whose bodies the supervisor provides. */
export type Processes = {
  /** Resolves when everything serves. With `foreground`, whoever runs the CLI keeps the processes until a signal. */
  up(options: { foreground: boolean; json: boolean; log: (line: string) => void }): Promise<UpResult>;
  down(options: { json: boolean }): Promise<{ stopped: string[] }>;
  /** Address and token of this machine's dock. @throws AppError when nothing runs here. */
  dockAccess(): Promise<{ url: string; token: string }>;
};

/** What every command is given. */
export type Context = {
  readonly io: Io;
  readonly config: Config;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly processes: Processes;
  readonly paint: Paint;
  /** `--json` was given: stdout carries JSON only. */
  readonly json: boolean;
  /** Folder for digests that are kept between runs. */
  readonly cacheDir: string;
  /** The control plane, connected on first use. */
  api(): Api;
  /** Writes one JSON value and a newline to stdout. */
  printJson(value: unknown): void;
  /** Writes a line of the result to stdout. */
  print(line: string): void;
  /** Writes a line beside the result to stderr. */
  note(line: string): void;
};
