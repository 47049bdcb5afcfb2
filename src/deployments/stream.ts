import type { SSEStreamingApi } from "hono/streaming";
import type { EngineDeps } from "./engine.ts";
import { readStatus, type Status } from "./status.ts";
import { isFinished } from "./view.ts";

/** Proxies close a connection that says nothing, mostly after 30 to 60 s. */
const KEEP_ALIVE_MS = 15_000;
/** How long the end waits for the last lines of a log whose copier may have died. */
const LOG_GRACE_MS = 3_000;

/**
 * Sends a deployment as it changes and its log as it grows, then `done`, and returns. Events: `deployment`, `log` (its
 * id is the line's seq, which a reader that comes back sends as Last-Event-ID), `done`.
 */
export async function streamStatus(
  deps: Pick<EngineDeps, "db" | "clock" | "onChange">,
  stream: SSEStreamingApi,
  request: { id: string; after: number; signal: AbortSignal },
): Promise<void> {
  let after = request.after;
  let shown = "";
  let endedMs: number | null = null;
  while (!stream.aborted && !request.signal.aborted) {
    const changed = Promise.withResolvers<void>();
    const stop = deps.onChange(request.id, changed.resolve);
    try {
      const status = await readStatus(deps.db, request.id, after);
      const text = JSON.stringify(status.deployment);
      if (text !== shown) await stream.writeSSE({ event: "deployment", data: text });
      shown = text;
      await writeLogs(stream, status);
      const more = status.nextLog > after && !status.logsComplete;
      after = status.nextLog;
      if (isFinished(status.deployment)) endedMs ??= deps.clock.monotonicMs();
      const waited = endedMs === null ? 0 : deps.clock.monotonicMs() - endedMs;
      if (endedMs !== null && (status.logsComplete || waited >= LOG_GRACE_MS)) {
        await stream.writeSSE({ event: "done", data: text });
        return;
      }
      if (!more) await quiet(deps, stream, changed.promise, request.signal, endedMs !== null);
    } finally {
      stop();
    }
  }
}

async function writeLogs(stream: SSEStreamingApi, { logs }: Status): Promise<void> {
  for (const line of logs)
    await stream.writeSSE({ event: "log", id: String(line.seq), data: JSON.stringify(line) });
}

async function quiet(
  deps: Pick<EngineDeps, "clock">,
  stream: SSEStreamingApi,
  changed: Promise<void>,
  signal: AbortSignal,
  ending: boolean,
): Promise<void> {
  const enough = new AbortController();
  const idle = deps.clock
    .sleep(ending ? 250 : KEEP_ALIVE_MS, AbortSignal.any([enough.signal, signal]))
    .then(() => (ending ? undefined : stream.write(": keep-alive\n\n")))
    .catch(() => {});
  await Promise.race([changed, idle]);
  enough.abort(new Error("changed"));
}
