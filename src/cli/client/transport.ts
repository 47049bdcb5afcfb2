import http from "node:http";
import https from "node:https";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream";

export type HttpRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Text, or a stream whose length stands in `content-length`. */
  readonly body?: string | Readable;
  readonly signal?: AbortSignal | undefined;
  /** Gives up when nothing moves for so long. */
  readonly idleTimeoutMs: number;
};

/** HTTP with kept-alive connections. Rejects with Node's error (`ECONNREFUSED`, …) when no answer comes. */
export type Transport = {
  send(request: HttpRequest): Promise<http.IncomingMessage>;
  close(): void;
};

/** `networkEnv` holds the machine's proxy settings; loopback addresses never go through a proxy. */
export function createTransport(url: string, networkEnv: Readonly<Record<string, string>>): Transport {
  const { protocol, hostname } = new URL(url);
  const secure = protocol === "https:";
  const options = {
    keepAlive: true,
    maxSockets: 16,
    ...(isLoopback(hostname) ? {} : { proxyEnv: networkEnv }),
  };
  const agent = secure ? new https.Agent(options) : new http.Agent(options);
  return {
    send: (request) => send(secure ? https.request : http.request, agent, request),
    close: () => agent.destroy(),
  };
}

export function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare.endsWith(".localhost") || bare === "::1" || /^127\./.test(bare);
}

function send(
  begin: typeof http.request,
  agent: http.Agent,
  request: HttpRequest,
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { body } = request;
    const headers =
      typeof body === "string"
        ? { ...request.headers, "content-length": String(Buffer.byteLength(body)) }
        : request.headers;
    const outgoing = begin(request.url, {
      method: request.method,
      headers,
      agent,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
    outgoing.on("error", reject);
    outgoing.on("response", resolve);
    outgoing.setTimeout(request.idleTimeoutMs, () => outgoing.destroy(new IdleError(request.idleTimeoutMs)));
    if (typeof body === "object") {
      // An answer that comes before the body's end (a refusal) is the answer; the broken pipe after it is not.
      pipeline(body, outgoing, (error) => error && reject(error));
    } else outgoing.end(body);
  });
}

class IdleError extends Error {
  readonly code = "ETIMEDOUT";
  constructor(idleTimeoutMs: number) {
    super(`nothing arrived for ${idleTimeoutMs / 1_000} s`);
  }
}

/** The whole body as text. */
export async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
