import http, { type ClientRequest, type IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { FAILED_HEADER } from "../child/protocol.ts";
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
  constructor(failure: Failure, reason: string) {
    super(reason);
    this.failure = failure;
  }
}

const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "proxy-connection", "upgrade"]);

/**
 * Calls a function and resolves with its answer's head. Its time, `maxDuration`, runs from now to the answer's end.
 * @throws CallFailure
 */
export async function callFunction(
  pool: FunctionPool,
  spec: FunctionSpec,
  call: Call,
  role: Role = "function",
): Promise<CallAnswer> {
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  const running = new Running(pool, spec);
  const timer = setTimeout(() => {
    running.timedOut();
    late.reject(
      new CallFailure("timeout", `${spec.name} did not answer within ${spec.maxDurationMs / 1000} s`),
    );
  }, spec.maxDurationMs);
  const acquired = acquire(pool, spec, role);
  try {
    running.begin(await Promise.race([acquired, late.promise]));
    const answer = await Promise.race([running.send(call), late.promise]);
    answer.body.once("close", () => clearTimeout(timer));
    return answer;
  } catch (error) {
    clearTimeout(timer);
    if (running.begun) running.over();
    else acquired.then(pool.release.bind(pool), () => {});
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
  #instance: Instance | null = null;
  #request: ClientRequest | null = null;
  begun = false;

  constructor(pool: FunctionPool, spec: FunctionSpec) {
    this.#pool = pool;
    this.#spec = spec;
  }

  begin(instance: Instance): void {
    this.#instance = instance;
    this.begun = true;
  }

  send(call: Call): Promise<CallAnswer> {
    const instance = this.#instance as Instance;
    const { promise, resolve, reject } = Promise.withResolvers<CallAnswer>();
    const { method, url, headers, body } = call;
    const { socket: socketPath, agent } = instance;
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
      response.once("close", () => this.over());
      // Told to whoever reads the body; there may be nobody any more.
      response.on("error", () => {});
      if (response.headers[FAILED_HEADER] !== undefined) {
        response.resume();
        return reject(new CallFailure("failed", `${this.#spec.name} threw an error`));
      }
      resolve(this.#answer(response));
    });
    request.on("error", () =>
      reject(new CallFailure("failed", `${this.#spec.name} ended while it was answering`)),
    );
    if (body === null) request.end();
    else {
      body.pipe(request);
      body.once("close", () => {
        if (!body.readableEnded) request.destroy();
      });
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
        if (this.#spec.cancellation) this.#request?.destroy();
        else response.resume();
      },
    };
  }

  /** Other requests in the same process may still be good; nothing new goes there. */
  timedOut(): void {
    if (this.#instance !== null) this.#pool.retire(this.#instance);
    this.#request?.destroy();
  }

  over(): void {
    if (this.#instance !== null) this.#pool.release(this.#instance);
    this.#instance = null;
  }
}

export function endToEnd(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, raw[at + 1] ?? "");
  }
  return headers;
}
