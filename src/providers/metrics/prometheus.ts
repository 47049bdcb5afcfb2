import { Agent, request } from "undici";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { GuardError, type NetworkPolicy, refusalOf } from "../../foundation/guarded-connect.ts";
import { guardedConnector } from "../../foundation/guarded-request.ts";
import type { NetworksOf } from "../../foundation/safe-fetch.ts";
import { readAnswer } from "./prometheus-answer.ts";

export type PrometheusQuery = {
  /** Whose address it is. */
  readonly projectId: string;
  /** The server that is asked: its base address, path prefix included. */
  readonly endpoint: string;
  /** PromQL that yields one number. */
  readonly query: string;
};

/** Exactly one of both is set. `error`: why there is no number, as the end of a sentence. */
export type PrometheusResult = { readonly value: number | null; readonly error: string | null };

export type PrometheusOptions = {
  readonly networksOf: NetworksOf;
  /** From the look-up of the name to the end of the answer. Default 5 s: an analysis waits for it. */
  readonly deadlineMs?: number;
};

const DEADLINE_MS = 5_000;
/** One number takes some hundred bytes; whoever sends more was asked for something else. */
const MAX_BODY_BYTES = 1 << 20;

const REFUSED: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  UND_ERR_SOCKET: "the connection was closed",
};

/**
 * Asks a Prometheus (or what speaks its HTTP API: Thanos, Mimir, VictoriaMetrics) for one number, now. The address is
 * the user's, so it is connected to only where the guard allows; redirects are answers. A fault is a result and not a
 * number, never a pass; it rejects only with the signal's reason, and when what is allowed cannot be read.
 * Source: prometheus.io/docs/prometheus/latest/querying/api
 */
export function createPrometheus(options: PrometheusOptions) {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  return async (query: PrometheusQuery, signal?: AbortSignal): Promise<PrometheusResult> => {
    // Outside of what is judged: a fault of our own database says nothing of theirs.
    const allowNetworks = await options.networksOf(query.projectId);
    const deadline = AbortSignal.timeout(deadlineMs);
    const both = signal ? AbortSignal.any([signal, deadline]) : deadline;
    try {
      return await Promise.race([ask(query, { allowNetworks }, deadlineMs, both), aborted(both)]);
    } catch (error) {
      signal?.throwIfAborted();
      return failed(deadline.aborted ? `no answer within ${deadlineMs / 1_000} s` : reasonOf(error));
    }
  };
}

async function ask(
  { endpoint, query }: PrometheusQuery,
  policy: NetworkPolicy,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<PrometheusResult> {
  const base = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (base === null || !["http:", "https:"].includes(base.protocol)) {
    return failed("its endpoint is no http or https address");
  }
  const connect = guardedConnector({ policy, signal });
  const agent = new Agent({ pipelining: 0, connect });
  try {
    const { statusCode, body } = await request(address(base, query, timeoutMs), {
      dispatcher: agent,
      method: "GET",
      headers: { accept: "application/json", "user-agent": "signalbox", ...credentials(base) },
      signal,
    });
    const text = await readAtMost(body, MAX_BODY_BYTES);
    return text === null
      ? failed(`its answer is longer than ${MAX_BODY_BYTES} bytes`)
      : readAnswer(statusCode, text);
  } finally {
    await agent.destroy();
  }
}

function address(base: URL, query: string, timeoutMs: number): URL {
  const url = new URL(base);
  url.username = "";
  url.password = "";
  url.hash = "";
  url.pathname = `${base.pathname.replace(/\/+$/, "")}/api/v1/query`;
  url.searchParams.set("query", query);
  // The server gives up when we do, and does not go on counting for nobody.
  url.searchParams.set("timeout", `${timeoutMs}ms`);
  return url;
}

function credentials({ username, password }: URL): { authorization?: string } {
  if (username === "" && password === "") return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
}

async function readAtMost(body: AsyncIterable<Buffer>, limit: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Rejects when aborted: looking up a name takes no signal. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function failed(error: string): PrometheusResult {
  return { value: null, error };
}

function reasonOf(error: unknown): string {
  if (error instanceof GuardError) return refusalOf(error);
  const cause =
    error instanceof Error && error.cause !== undefined && !errorCodeOf(error) ? error.cause : error;
  return REFUSED[errorCodeOf(cause) ?? ""] ?? messageOf(cause).replace(/\.$/, "");
}
