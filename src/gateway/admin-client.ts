import http from "node:http";
import { AppError, type ErrorBody, type ErrorCode, errorCodeOf, HTTP_STATUS } from "../foundation/errors.ts";
import type { CountersByRelease } from "./counters.ts";
import type { Snapshot } from "./snapshot.ts";

export type GatewayCounters = {
  /** When the gateway's primary started, ISO. Another value: the totals began anew. */
  readonly startedAt: string;
  readonly generation: number;
  readonly releases: CountersByRelease;
};

/**
 * Pushes a snapshot; resolves once every worker serves it and it is on disk.
 * @throws AppError `conflict` when the gateway has this generation or a newer one, `bad_request` with all problems
 *   in `details`, `unavailable` when no gateway answers
 */
export function pushSnapshot(
  adminSocket: string,
  snapshot: Snapshot,
  signal?: AbortSignal,
): Promise<{ generation: number }> {
  return call(adminSocket, { method: "PUT", path: "/snapshot", body: JSON.stringify(snapshot), signal });
}

/** The generation that is served; 0 when there is none yet. */
export async function readGeneration(adminSocket: string, signal?: AbortSignal): Promise<number> {
  const { generation } = await call<{ generation: number }>(adminSocket, {
    method: "GET",
    path: "/generation",
    signal,
  });
  return generation;
}

/** Fresh totals of every release in the snapshot, over all workers. */
export function readCounters(adminSocket: string, signal?: AbortSignal): Promise<GatewayCounters> {
  return call(adminSocket, { method: "GET", path: "/counters", signal });
}

/** Replaces every worker by a new process without dropping a request. */
export function reloadGateway(adminSocket: string, signal?: AbortSignal): Promise<{ workers: number }> {
  return call(adminSocket, { method: "POST", path: "/reload", signal });
}

type Call = {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly signal: AbortSignal | undefined;
};

async function call<T>(adminSocket: string, { method, path, body, signal }: Call): Promise<T> {
  const { status, text } = await exchange(adminSocket, { method, path, signal, ...(body && { body }) });
  const answer = parse(text);
  if (status === 200) return answer as T;
  const error = (answer as Partial<ErrorBody> | null)?.error;
  throw new AppError(
    error?.code ?? codeOfStatus(status),
    error?.message ?? `The gateway answered ${method} ${path} with ${status}.`,
    { hint: error?.hint ?? "See the gateway's log.", details: error?.details },
  );
}

function exchange(
  adminSocket: string,
  { method, path, body, signal }: Call,
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const refuse = (cause: unknown) => {
    if (signal?.aborted) return reject(signal.reason);
    const reason = errorCodeOf(cause) ?? "unknown";
    const message = `The gateway does not answer on ${adminSocket} (${reason}).`;
    reject(new AppError("unavailable", message, { hint: "Start it: signalbox start gateway.", cause }));
  };
  const request = http.request(
    { socketPath: adminSocket, path, method, agent: false, ...(signal === undefined ? {} : { signal }) },
    (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.once("error", refuse);
    },
  );
  request.once("error", refuse);
  request.end(body);
  return promise;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function codeOfStatus(status: number): ErrorCode {
  const found = Object.entries(HTTP_STATUS).find(([, known]) => known === status);
  return (found?.[0] as ErrorCode | undefined) ?? "upstream";
}
