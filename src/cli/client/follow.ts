import type { IncomingMessage } from "node:http";
import type { Clock } from "../../foundation/clock.ts";
import type { Api } from "./api.ts";
import { toConnectionError } from "./api.ts";
import { ApiError, isTransient } from "./api-error.ts";
import { type Deployment, isSettled, type LogLine, statusPath } from "./deployment.ts";
import { createEventParser, type ServerSentEvent } from "./event-stream.ts";

export type Followed = {
  deployment(deployment: Deployment): void;
  log(line: LogLine): void;
  /** The control plane went away; called once for each time, with what is known. */
  lost?(error: ApiError): void;
};

export type FollowOptions = {
  readonly api: Api;
  readonly clock: Clock;
  readonly id: string;
  readonly signal: AbortSignal;
  /** Log lines up to this one are known already. Default 0: tell all. */
  readonly after?: number;
};

// A server that sends nothing for so long may be gone without a word; asking again costs nothing.
const SILENCE_MS = 30_000;
const POLL_MS = 1_000;
// A control plane that restarts is back in seconds. After this long, tell the user that it is gone.
const PATIENCE_MS = 120_000;
const STREAM_TRIES = 3;

type Reader = { after: number; last: Deployment | null };

/**
 * Tells every change and every log line of a deployment until it is settled, and returns it as it ended.
 * Streams; comes back after a lost connection where it was; polls where streams do not get through.
 * @throws ApiError when the control plane stays away for two minutes; the signal's reason when aborted.
 */
export async function followDeployment(options: FollowOptions, followed: Followed): Promise<Deployment> {
  const { clock, signal } = options;
  const reader: Reader = { after: options.after ?? 0, last: null };
  let streamFailures = 0;
  let lostAt: number | null = null;
  for (;;) {
    signal.throwIfAborted();
    try {
      const seenBefore = reader.after;
      const how = streamFailures < STREAM_TRIES ? readStream : readPoll;
      const outcome = await how(options, reader, followed);
      if (outcome === "settled" && reader.last !== null) return reader.last;
      lostAt = null;
      if (outcome === "unsupported") streamFailures = STREAM_TRIES;
      else if (outcome === "ended" && reader.after === seenBefore) streamFailures++;
      await clock.sleep(outcome === "polled" ? POLL_MS : 100, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!isTransient(error) || !(error instanceof ApiError)) throw error;
      if (lostAt === null) followed.lost?.(error);
      lostAt ??= clock.monotonicMs();
      if (clock.monotonicMs() - lostAt > PATIENCE_MS) throw error;
      await clock.sleep(POLL_MS, signal);
    }
  }
}

type Outcome = "settled" | "ended" | "unsupported" | "polled";

async function readStream(options: FollowOptions, reader: Reader, followed: Followed): Promise<Outcome> {
  const response = await options.api.open(`${statusPath(options.id)}?after=${reader.after}`, {
    headers: {
      accept: "text/event-stream",
      ...(reader.after > 0 ? { "last-event-id": String(reader.after) } : {}),
    },
    signal: options.signal,
    idleTimeoutMs: SILENCE_MS,
  });
  if (!(response.headers["content-type"] ?? "").startsWith("text/event-stream")) {
    response.destroy();
    return "unsupported";
  }
  const parse = createEventParser();
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response) {
      for (const event of parse(decoder.decode(chunk as Buffer, { stream: true }))) {
        if (takeEvent(event, reader, followed)) return "settled";
      }
    }
    return "ended";
  } catch (error) {
    return endOfStream(options, response, error);
  } finally {
    response.destroy();
  }
}

/** A stream that breaks is taken up again; only Ctrl-C and an error of our own may end the following. */
function endOfStream(options: FollowOptions, response: IncomingMessage, error: unknown): Outcome {
  const known = toConnectionError(options.api.url, error, options.signal);
  if (known === options.signal.reason || response.errored === null) throw error;
  return "ended";
}

/** True when it was the last event. */
function takeEvent(event: ServerSentEvent, reader: Reader, followed: Followed): boolean {
  if (event.event === "log") takeLog(JSON.parse(event.data) as LogLine, reader, followed);
  if (event.event !== "deployment" && event.event !== "done") return false;
  takeDeployment(JSON.parse(event.data) as Deployment, reader, followed);
  return event.event === "done";
}

async function readPoll(options: FollowOptions, reader: Reader, followed: Followed): Promise<Outcome> {
  const answer = await readStatus(options.api, options.id, reader.after, options.signal);
  for (const line of answer.logs) takeLog(line, reader, followed);
  takeDeployment(answer.deployment, reader, followed);
  return isSettled(answer.deployment) && answer.logs.length === 0 ? "settled" : "polled";
}

function takeLog(line: LogLine, reader: Reader, followed: Followed): void {
  // A stream that is taken up again may repeat what was told.
  if (line.seq <= reader.after) return;
  reader.after = line.seq;
  followed.log(line);
}

function takeDeployment(deployment: Deployment, reader: Reader, followed: Followed): void {
  reader.last = deployment;
  followed.deployment(deployment);
}

export type StatusAnswer = { deployment: Deployment; logs: LogLine[]; nextLog: number };

export function readStatus(api: Api, id: string, after: number, signal?: AbortSignal): Promise<StatusAnswer> {
  return api.get(`${statusPath(id)}?after=${after}`, { signal });
}
