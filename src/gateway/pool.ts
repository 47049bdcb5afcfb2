import { createRequire } from "node:module";
import type { Dispatcher, Pool } from "undici";

// The pool alone: undici's index also loads fetch, caches and WebSockets, 85 ms that a starting worker does not have.
const UndiciPool = createRequire(import.meta.url)("undici/lib/dispatcher/pool.js") as typeof Pool;

/** Connections to one release's process. */
export type Upstream = Pick<Dispatcher, "dispatch"> & {
  close(): Promise<void>;
  destroy(): Promise<void>;
};

// No limit: a limit would make slow requests of one visitor queue those of the next. The process's own is the limit.
export function openUpstream(socketPath: string): Upstream {
  return new UndiciPool("http://app", {
    socketPath,
    pipelining: 1,
    connectTimeout: 5_000,
    // Under node's default of 5 s, so that we close first and no request meets a socket being closed.
    keepAliveTimeout: 4_000,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // An event stream may be silent for as long as it likes.
    bodyTimeout: 0,
    maxHeaderSize: 64 * 1_024,
    allowH2: false,
  });
}

/** How long the app may take for the head of its answer. */
export const HEADERS_TIMEOUT_MS = 120_000;
