import type { Readable } from "node:stream";
import { VercelCore } from "@vercel/sdk/core.js";
import { HTTPClient } from "@vercel/sdk/lib/http.js";
import type { APIPromise } from "@vercel/sdk/types/async.js";
import { request as sendStream } from "undici";
import type { Clock } from "../../foundation/clock.ts";
import { AppError, messageOf } from "../../foundation/errors.ts";
import { randomShare } from "../../foundation/ids.ts";
import { failureOf, refusalOf, retryAfterMs } from "./vercel-failures.ts";
import { forgetfulMemory, type VercelMemory } from "./vercel-memory.ts";

export type VercelOptions = {
  /** Base URL of the API: `https://api.vercel.com`, or the dock's. */
  readonly api: string;
  readonly token: string;
  /** Team id (`team_…`) or null for the token's own account. */
  readonly team: string | null;
  /** The domain that project hosts end in. */
  readonly domain: "localhost" | "vercel.app";
  readonly publicScheme: "http" | "https";
  /** Null: the scheme's own port. */
  readonly publicPort: number | null;
  /** Secret by which probes pass Vercel's deployment protection. Null: the project's own, read from the API. */
  readonly bypass?: string | null;
};

export type VercelDeps = {
  readonly clock: Clock;
  /** What must survive us. Default: nothing does. */
  readonly memory?: VercelMemory;
  /** 0 to 1, anew at each call: so that several control planes do not come back in step. */
  readonly jitter?: () => number;
};

/** Per-call limits. `deadlineMs` covers all attempts; only a read may be attempted more than once. */
type CallOptions = { readonly signal: AbortSignal; readonly deadlineMs?: number; readonly read?: boolean };

export type VercelAnswer = { readonly status: number; readonly body: unknown; readonly headers: Headers };

export type SdkOptions = { signal: AbortSignal; retries: { strategy: "none" } };

/**
 * Every request to the API goes through one of these methods. The SDK makes the requests (paths, versions, encoding,
 * authorization); the answers are read from the raw body, because the SDK refuses a 200 whose enums it does not know
 * and drops fields it does not know, and neither may ever fail a rollback.
 */
export type VercelClient = {
  readonly options: VercelOptions;
  readonly clock: Clock;
  readonly memory: VercelMemory;
  /** A call that the SDK can express. */
  sdk(
    make: (core: VercelCore, options: SdkOptions) => APIPromise<unknown>,
    call: CallOptions,
  ): Promise<VercelAnswer>;
  /** A call whose body or query the SDK would strip; JSON in, JSON out. */
  json(
    request: { method: string; path: string; query?: Record<string, string>; body?: unknown },
    call: CallOptions,
  ): Promise<VercelAnswer>;
  /** Sends a body as a stream. Not through the SDK: it clones its requests, which would hold a whole file in memory. */
  upload(
    request: { path: string; headers: Record<string, string>; body: Readable },
    call: CallOptions,
  ): Promise<VercelAnswer>;
  /** Cuts a secret that was learnt later out of all messages. */
  keepSecret(secret: string): void;
  /** A call whose answer is a stream. No deadline but the caller's signal. */
  stream(request: { path: string; query: Record<string, string> }, signal: AbortSignal): Promise<Response>;
};

const READ_DEADLINE_MS = 15_000;
const WRITE_DEADLINE_MS = 60_000;
const READ_ATTEMPTS = 4;
const FIRST_BACKOFF_MS = 200;
/** A vendor's Retry-After beyond this is not waited for here; the engine's own schedule is better at that. */
const LONGEST_RETRY_AFTER_MS = 5_000;
/** A JSON answer larger than this is not one that we asked for. */
const MAX_ANSWER_BYTES = 32 * 2 ** 20;

export function createVercelClient(deps: VercelDeps, options: VercelOptions): VercelClient {
  const { clock, memory = forgetfulMemory(), jitter = randomShare } = deps;
  const secrets = [options.token, ...(options.bypass ? [options.bypass] : [])];
  const trying = { clock, jitter, secrets };
  const bodies = new WeakMap<Response, string>();
  const httpClient = new HTTPClient({
    fetcher: async (input, init) => {
      const response = await fetch(input, init);
      const text = await readText(response);
      const copy = new Response(text === "" ? null : text, response);
      bodies.set(copy, text);
      return copy;
    },
  });
  const core = new VercelCore({ bearerToken: options.token, serverURL: options.api, httpClient });

  return {
    options,
    clock,
    memory,
    keepSecret: (secret) => void (secrets.includes(secret) || secrets.push(secret)),
    sdk: (make, call) =>
      attempt(trying, call, async (signal) => {
        const [result, made] = await make(core, { signal, retries: { strategy: "none" } }).$inspect();
        if (made.response === undefined) throw errorIn(result);
        return toAnswer(made.response, bodies.get(made.response) ?? "");
      }),
    json: (request, call) =>
      attempt(trying, call, async (signal) => {
        const response = await fetch(urlOf(options, request), {
          method: request.method,
          headers: { authorization: `Bearer ${options.token}`, "content-type": "application/json" },
          ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
          signal,
        });
        return toAnswer(response, await readText(response));
      }),
    upload: (request, call) =>
      attempt(trying, call, async (signal) => {
        const response = await sendStream(urlOf(options, request), {
          method: "POST",
          headers: { authorization: `Bearer ${options.token}`, ...request.headers },
          body: request.body,
          signal,
        });
        const body = parseJson(await response.body.text());
        return { status: response.statusCode, headers: headersOf(response.headers), body };
      }),
    stream: async (request, signal) => {
      const response = await fetch(urlOf(options, request), {
        headers: { authorization: `Bearer ${options.token}` },
        signal,
      }).catch((error: unknown) => Promise.reject(failureOf(error, signal, secrets)));
      if (!response.ok)
        throw refusalOf(toAnswer(response, await readText(response)), {
          secrets,
          nowMs: clock.now().getTime(),
        });
      return response;
    },
  };
}

/** Team scoping for SDK requests. */
export function scopeOf(client: VercelClient): { teamId?: string } {
  return client.options.team === null ? {} : { teamId: client.options.team };
}

type Trying = { readonly clock: Clock; readonly jitter: () => number; readonly secrets: readonly string[] };

async function attempt(
  trying: Trying,
  call: CallOptions,
  once: (signal: AbortSignal) => Promise<VercelAnswer>,
): Promise<VercelAnswer> {
  const { clock, jitter, secrets } = trying;
  const deadlineMs = call.deadlineMs ?? (call.read ? READ_DEADLINE_MS : WRITE_DEADLINE_MS);
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(deadlineMs)]);
  const attempts = call.read ? READ_ATTEMPTS : 1;
  for (let count = 1; ; count++) {
    const { answer, error } = await settle(once, signal, call.signal, secrets);
    if (answer && answer.status < 400) return answer;
    const nowMs = clock.now().getTime();
    const failure = answer
      ? refusalOf(answer, { secrets, nowMs })
      : (error ?? failureOf(null, call.signal, secrets));
    const asked = answer?.status === 429 ? retryAfterMs(answer, nowMs) : null;
    const waitMs = asked === null ? FIRST_BACKOFF_MS * 2 ** (count - 1) : asked * (1 + jitter() / 4);
    const isPassing = failure.code === "unavailable" || failure.code === "rate_limited";
    if (count >= attempts || !isPassing || waitMs > LONGEST_RETRY_AFTER_MS || signal.aborted) throw failure;
    await clock
      .sleep(waitMs, signal)
      .catch((reason: unknown) => Promise.reject(failureOf(reason, call.signal, secrets)));
  }
}

async function settle(
  once: (signal: AbortSignal) => Promise<VercelAnswer>,
  signal: AbortSignal,
  callers: AbortSignal,
  secrets: readonly string[],
): Promise<{ answer?: VercelAnswer; error?: AppError }> {
  try {
    return { answer: await once(signal) };
  } catch (error) {
    return { error: error instanceof AppError ? error : failureOf(error, callers, secrets) };
  }
}

function headersOf(raw: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(raw)) if (typeof value === "string") headers.set(name, value);
  return headers;
}

function toAnswer(response: Response, text: string): VercelAnswer {
  return { status: response.status, headers: response.headers, body: parseJson(text) };
}

function parseJson(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's HTML page, say. The status decides what happens; the text itself is of no use to the reader.
    return null;
  }
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_ANSWER_BYTES) {
      throw new AppError("upstream", `The API at ${new URL(response.url).host} answered more than 32 MiB.`, {
        hint: "Check that SIGNALBOX_VERCEL_API is the address of the Vercel API or of the dock.",
      });
    }
  }
  return text + decoder.decode();
}

function urlOf(
  options: VercelOptions,
  request: { path: string; query?: Record<string, string> | undefined },
): string {
  const url = new URL(options.api);
  url.pathname = url.pathname.replace(/\/+$/, "") + request.path;
  for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
  if (options.team !== null) url.searchParams.set("teamId", options.team);
  return url.href;
}

function errorIn(result: unknown): Error {
  if (typeof result === "object" && result !== null && "error" in result && result.error instanceof Error) {
    return result.error;
  }
  return new Error(messageOf(result));
}
