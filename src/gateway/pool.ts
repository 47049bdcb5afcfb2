import { type AnswerSink, AppConnection, type AppRequest, isRepeatable } from "./app-connection.ts";

/** The connections to one release's process. */
export type Upstream = {
  /** Sends a request over an idle connection, or a new one. @returns the connection, to pause or to abandon it */
  send(request: AppRequest, sink: AnswerSink, nowMs: number): AppConnection;
  /** No request follows: closes idle connections, and each busy one after its answer. */
  close(): void;
};

/** How long the app may take for the head of its answer. */
export const HEADERS_TIMEOUT_MS = 120_000;
// Under node's default of 5 s, so that we close first and no request meets a socket that is being closed.
const IDLE_LIMIT_MS = 4_000;
// A request that must not be sent twice only takes a connection that was in use a moment ago.
const FRESH_MS = 1_000;
const SWEEP_MS = 500;

/** Without a limit on their number: the app's own is the limit, and a slow visitor must not make the next one wait. */
export function openUpstream(path: string, clock: { monotonicMs(): number }): Upstream {
  // Last in, first out: after a burst, the surplus ages and is closed.
  const idle: AppConnection[] = [];
  const open = new Set<AppConnection>();
  let closed = false;
  let sweeper: NodeJS.Timeout | null = null;

  const onFree = (connection: AppConnection) => {
    if (closed || connection.idleLimitMs <= 0) return connection.destroy();
    connection.idleSinceMs = clock.monotonicMs();
    idle.push(connection);
  };
  const onClose = (connection: AppConnection) => {
    open.delete(connection);
    const at = idle.indexOf(connection);
    if (at !== -1) idle.splice(at, 1);
    if (open.size > 0 || sweeper === null) return;
    clearInterval(sweeper);
    sweeper = null;
  };
  const sweep = () => {
    const nowMs = clock.monotonicMs();
    for (const connection of idle) {
      const limitMs = Math.min(IDLE_LIMIT_MS, connection.idleLimitMs);
      if (nowMs - connection.idleSinceMs >= limitMs) connection.destroy();
    }
    for (const connection of open) {
      const { waitingSinceMs } = connection;
      if (waitingSinceMs !== 0 && nowMs - waitingSinceMs >= HEADERS_TIMEOUT_MS) connection.destroy("timeout");
    }
  };

  return {
    send(request, sink, nowMs) {
      let connection = idle.at(-1);
      if (connection !== undefined && isUsable(connection, request, nowMs)) idle.pop();
      else {
        connection = new AppConnection(path, onFree, onClose);
        open.add(connection);
        sweeper ??= setInterval(sweep, SWEEP_MS).unref();
      }
      connection.send(request, sink, nowMs);
      return connection;
    },
    close() {
      closed = true;
      for (const connection of [...idle]) connection.destroy();
    },
  };
}

/** The newest idle connection: when that one is too old, all are. */
function isUsable(connection: AppConnection, request: AppRequest, nowMs: number): boolean {
  const limitMs = Math.min(isRepeatable(request) ? IDLE_LIMIT_MS : FRESH_MS, connection.idleLimitMs);
  return nowMs - connection.idleSinceMs < limitMs;
}
