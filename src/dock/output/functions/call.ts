import http, { type ClientRequest, type IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { errorCodeOf } from "../../../foundation/errors.ts";
import { FAILED_HEADER } from "../child/protocol.ts";
import { withoutHeaders } from "../headers.ts";
import type { FunctionSpec } from "./function-config.ts";
import type { Instance } from "./instance.ts";
import type { FunctionPool, Role } from "./pool.ts";

export type Call = {
  readonly method: string;
  /** Path and query, as the function sees them. */
  readonly url: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: Readable | null;
};

export type CallAnswer = {
  readonly status: number;
  readonly statusText: string;
  /** Names and values in turn, without those of the connection. */
  readonly headers: string[];
  /** Fails when the function crashes or runs out of time in the middle. */
  readonly body: IncomingMessage;
  /** The client went away. The function goes on, unless it asked to be cancelled. */
  abandon(): void;
};

export type Failure = "timeout" | "failed" | "throttled";

export class CallFailure extends Error {
  readonly failure: Failure;
  /** The function saw nothing of the request. */
  readonly unsent: boolean;
  constructor(failure: Failure, reason: string, unsent = false) {
    super(reason);
    this.failure = failure;
    this.unsent = unsent;
  }
}

const UNSENT = new Set(["ECONNREFUSED", "ENOENT"]);
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "proxy-connection", "upgrade"]);

/**
 * Calls a function and resolves with its answer's head. Its time, `maxDuration`, runs from when it is loaded to the
 * answer's end; loading has a limit of its own. @throws CallFailure
 */
export async function callFunction(
  pool: FunctionPool,
  spec: FunctionSpec,
  call: Call,
  role: Role = "function",
): Promise<CallAnswer> {
  try {
    return await callOnce(pool, spec, call, await acquire(pool, spec, role));
  } catch (error) {
    // Its process had ended, and that was not known yet: nothing of the request was sent.
    if (!(error instanceof CallFailure) || !error.unsent || call.body !== null) throw error;
    return callOnce(pool, spec, call, await acquire(pool, spec, role));
  }
}

async function callOnce(
  pool: FunctionPool,
  spec: FunctionSpec,
  call: Call,
  instance: Instance,
): Promise<CallAnswer> {
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  const running = new Running(pool, spec, instance);
  const timer = setTimeout(() => {
    running.timedOut();
    late.reject(
      new CallFailure("timeout", `${spec.name} did not answer within ${spec.maxDurationMs / 1000} s`),
    );
  }, spec.maxDurationMs);
  try {
    const answer = await Promise.race([running.send(call), late.promise]);
    answer.body.once("close", () => clearTimeout(timer));
    return answer;
  } catch (error) {
    clearTimeout(timer);
    running.over();
    throw error;
  }
}

async function acquire(pool: FunctionPool, spec: FunctionSpec, role: Role): Promise<Instance> {
  try {
    return await pool.acquire(spec, role);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const throttled = (error as { code?: unknown }).code === "unavailable";
    throw new CallFailure(throttled ? "throttled" : "failed", reason);
  }
}

/** One request on its way through an instance. */
class Running {
  readonly #pool: FunctionPool;
  readonly #spec: FunctionSpec;
  readonly #instance: Instance;
  #request: ClientRequest | null = null;
  #over = false;
  #ended = false;

  constructor(pool: FunctionPool, spec: FunctionSpec, instance: Instance) {
    this.#pool = pool;
    this.#spec = spec;
    this.#instance = instance;
  }

  send(call: Call): Promise<CallAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<CallAnswer>();
    const { method, url } = call;
    const { headers, body } = sendable(call);
    const { socket: socketPath, agent } = this.#instance;
    const request = http.request({
      socketPath,
      agent,
      method,
      path: url,
      headers: headers as string[],
      setHost: false,
    });
    this.#request = request;
    request.once("response", (response) => {
      response.once("close", () => {
        this.over();
        if (!request.writableFinished) this.#discard(body);
      });
      // Told to whoever reads the body; there may be nobody any more.
      response.on("error", () => {});
      if (response.headers[FAILED_HEADER] !== undefined) {
        response.resume();
        return reject(new CallFailure("failed", `${this.#spec.name} threw an error`));
      }
      resolve(this.#answer(response));
    });
    request.on("error", (error) => {
      // Its process is ending: that it has ended may be told later.
      if (!this.#ended) this.#instance.retired = true;
      const unsent = UNSENT.has(errorCodeOf(error) ?? "");
      reject(new CallFailure("failed", `${this.#spec.name} ended while it was answering`, unsent));
    });
    if (body === null) request.end();
    else {
      const endEarly = () => {
        if (!body.readableEnded) this.#end();
      };
      // The client may have left while a process was started.
      if (body.destroyed) endEarly();
      body.pipe(request);
      body.once("close", endEarly);
    }
    return promise;
  }

  #answer(response: IncomingMessage): CallAnswer {
    return {
      status: response.statusCode ?? 500,
      statusText: response.statusMessage ?? "",
      headers: endToEnd(response.rawHeaders),
      body: response,
      abandon: () => {
        if (this.#spec.cancellation) this.#end();
        else response.resume();
      },
    };
  }

  /** Other requests in the same process may still be good; nothing new goes there. */
  timedOut(): void {
    this.#pool.retire(this.#instance);
    this.#end();
  }

  /** Ends the request from here, which is no fault of the function's process. */
  #end(): void {
    this.#ended = true;
    this.#request?.destroy();
  }

  /** What the function did not read is thrown away: the client's connection would stand still for ever. */
  #discard(body: Readable | null): void {
    this.#end();
    body?.unpipe();
    body?.resume();
  }

  over(): void {
    if (!this.#over) this.#pool.release(this.#instance);
    this.#over = true;
  }
}

/**
 * The headers and the body as they go together. A body that somebody else has read from is none any more: with its
 * length announced and its bytes missing, the process would read the next visitor's request as the rest of it.
 */
function sendable({ headers, body }: Call): Pick<Call, "headers" | "body"> {
  if (body !== null && !body.readableDidRead) return { headers, body };
  body?.resume();
  return { headers: withoutHeaders(headers, isOfBody), body: null };
}

function isOfBody(name: string): boolean {
  return name === "content-length" || name === "transfer-encoding";
}

export function endToEnd(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, raw[at + 1] ?? "");
  }
  return headers;
}
