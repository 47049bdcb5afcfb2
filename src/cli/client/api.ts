import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import type { Clock } from "../../foundation/clock.ts";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { ApiError, isTransient, toApiError } from "./api-error.ts";
import { isLoopback, readText, type Transport } from "./transport.ts";

export type CallOptions = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** How often to try while no answer comes or the answer is "not now" (5xx, 429). Default 1. */
  readonly attempts?: number;
  /** How long nothing may arrive. Default 120,000. */
  readonly idleTimeoutMs?: number;
};

export type OpenOptions = CallOptions & { readonly alsoStatus?: number };

/** The control plane's HTTP API. Every method throws `ApiError`. */
export type Api = {
  readonly url: string;
  get<T>(path: string, options?: CallOptions): Promise<T>;
  post<T>(path: string, body: unknown, options?: CallOptions): Promise<T>;
  /** Sends a body of known length; `open` is called anew for every attempt. */
  put(path: string, body: { size: number; open: () => Readable }, options?: CallOptions): Promise<void>;
  delete(path: string, options?: CallOptions): Promise<void>;
  /** A GET whose body is read by the caller, for streams. Fails unless the status is 2xx or `alsoStatus`. */
  open(path: string, options?: OpenOptions): Promise<IncomingMessage>;
  close(): void;
};

export type ApiOptions = {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string | null;
  readonly transport: Transport;
  readonly clock: Clock;
};

// A rollback may take as long as the old release takes to prove that it is up.
const IDLE_TIMEOUT_MS = 120_000;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 3_000;

type Sending = OpenOptions & { method: string; path: string };

export function createApi(options: ApiOptions): Api {
  const exchange = async (sending: Sending, body?: string | Readable): Promise<IncomingMessage> => {
    const response = await options.transport
      .send({
        method: sending.method,
        url: options.url + sending.path,
        headers: {
          accept: "application/json",
          "user-agent": "signalbox-cli",
          ...(options.token === null ? {} : { authorization: `Bearer ${options.token}` }),
          ...sending.headers,
        },
        idleTimeoutMs: sending.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
        signal: sending.signal,
        ...(body === undefined ? {} : { body }),
      })
      .catch((error: unknown) => {
        throw toConnectionError(options.url, error, sending.signal);
      });
    const status = response.statusCode ?? 0;
    if (status < 300 || status === sending.alsoStatus) return response;
    throw await readError(options, response);
  };
  const json = async <T>(sending: Sending, body?: unknown): Promise<T> => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { "content-type": "application/json" };
    return retry(options.clock, sending, async () => {
      const response = await exchange({ ...sending, headers: { ...headers, ...sending.headers } }, text);
      return readJson<T>(options.url, response, sending.signal);
    });
  };
  return {
    url: options.url,
    get: (path, call = {}) => json({ ...call, method: "GET", path }),
    post: (path, body, call = {}) => json({ ...call, method: "POST", path }, body),
    put: (path, body, call = {}) =>
      retry(options.clock, call, async () => {
        const headers = {
          "content-type": "application/octet-stream",
          "content-length": String(body.size),
          ...call.headers,
        };
        const response = await exchange({ ...call, method: "PUT", path, headers }, body.open());
        response.resume();
      }),
    delete: (path, call = {}) => json({ ...call, method: "DELETE", path }),
    open: (path, call = {}) => exchange({ ...call, method: "GET", path }),
    close: () => options.transport.close(),
  };
}

/** Tries again, with growing pauses, while the error is one that passes. */
async function retry<T>(clock: Clock, call: CallOptions, attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (tried >= (call.attempts ?? 1) || !isTransient(error) || call.signal?.aborted) throw error;
      await clock.sleep(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (tried - 1)), call.signal);
    }
  }
}

async function readJson<T>(url: string, response: IncomingMessage, signal?: AbortSignal): Promise<T> {
  const text = await readText(response).catch((error: unknown) => {
    throw toConnectionError(url, error, signal);
  });
  if (text === "") return undefined as T;
  try {
    // The shapes are the API's contract, and the server checks them on its side: no second schema here.
    return JSON.parse(text) as T;
  } catch {
    throw toApiError(url, response.statusCode ?? 0, null, null);
  }
}

async function readError(options: ApiOptions, response: IncomingMessage): Promise<ApiError> {
  const status = response.statusCode ?? 0;
  const text = await readText(response).catch(() => "");
  const requestId = response.headers["x-request-id"];
  const error = toApiError(
    options.url,
    status,
    tryJson(text),
    typeof requestId === "string" ? requestId : null,
  );
  if (status !== 401) return error;
  const login = `signalbox login --url ${options.url} --token <token>`;
  return new ApiError(
    "unauthorized",
    options.token === null ? `${options.url} asks for a token, and none is stored for it.` : error.message,
    {
      status,
      requestId: error.requestId,
      hint:
        options.token === null
          ? `Run \`${login}\` or set SIGNALBOX_TOKEN. \`signalbox up\` prints the owner's token, once.`
          : `Get a token that is valid from an owner, then run \`${login}\` or set SIGNALBOX_TOKEN.`,
    },
  );
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What to say when no answer came, and what to do about it. */
export function toConnectionError(url: string, thrown: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (thrown instanceof ApiError) return thrown;
  const code = errorCodeOf(thrown);
  const local = isLoopback(new URL(url).hostname);
  const options = { status: null, cause: thrown };
  if (code === "ECONNREFUSED") {
    return new ApiError("unavailable", `No control plane answers at ${url} (connection refused).`, {
      ...options,
      hint: local
        ? "Start it with `npx signalbox up`, or point SIGNALBOX_URL at the one to use."
        : "Check that it runs there, and that SIGNALBOX_URL or `signalbox login` names the right address.",
    });
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return new ApiError("unavailable", `The host of ${url} has no address (${code}).`, {
      ...options,
      hint: "Check the name in SIGNALBOX_URL, and this machine's DNS.",
    });
  }
  return new ApiError("unavailable", `The connection to ${url} broke: ${messageOf(thrown)}.`, {
    ...options,
    hint: "Run `signalbox doctor` to see what is reachable, then try again.",
  });
}
