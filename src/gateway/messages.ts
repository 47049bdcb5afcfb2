import type { CountersByRelease } from "./counters.ts";
import type { Snapshot } from "./snapshot.ts";

/** What a worker needs to know to serve. */
export type WorkerOptions = {
  readonly host: string;
  readonly port: number;
  /** Path of the access log (JSON lines, appended); null: none. */
  readonly accessLog: string | null;
  readonly cookieSecret: string;
  /** How long WebSockets and event streams of a drained release, or of a drained worker, may go on. */
  readonly drainTimeoutMs: number;
  /** How many workers share the requests. */
  readonly workers: number;
};

export type ToWorker =
  | { readonly type: "start"; readonly options: WorkerOptions; readonly snapshot: Snapshot | null }
  | { readonly type: "snapshot"; readonly snapshot: Snapshot }
  | { readonly type: "count"; readonly reading: number }
  /** Stop listening, finish politely, exit. */
  | { readonly type: "drain" }
  /** Stop now: what is in flight gets `graceMs`. */
  | { readonly type: "stop"; readonly graceMs: number };

export type ToPrimary =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly code: string; readonly message: string }
  | { readonly type: "applied"; readonly generation: number }
  /** `reading` is null for one that was not asked for. */
  | { readonly type: "counters"; readonly reading: number | null; readonly releases: CountersByRelease }
  /** No longer listening. */
  | { readonly type: "draining" }
  | {
      readonly type: "log";
      readonly level: "info" | "warn" | "error";
      readonly fields: object;
      readonly text: string;
    };
