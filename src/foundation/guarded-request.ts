import { Agent, type buildConnector, type Dispatcher, request } from "undici";
import { requireHttpPort } from "./blocked-ports.ts";
import { AppError } from "./errors.ts";
import { connectGuarded, GuardError, type GuardedConnect, type NetworkPolicy } from "./guarded-connect.ts";

export type GuardedRequest = {
  readonly url: string;
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the look-up of the name to the end of the answer, every hop included. */
  readonly deadlineMs: number;
  readonly maxBytes: number;
  /** How many redirects are followed; at most 10. Default 0: a redirect is an answer. */
  readonly redirects?: number;
  readonly resolve?: GuardedConnect["resolve"];
};

export type GuardedAnswer = {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData["headers"];
  readonly text: string;
  /** Where it came from, after the redirects. */
  readonly url: string;
};

const MOST_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** What goes along to another origin. Anything else may be a credential, whatever its name is. */
const HARMLESS = new Set(["accept", "accept-language", "user-agent"]);

/**
 * A request to an address that a user supplied: every hop of it is made only where the guard allows, over a connection
 * of its own to an address that was checked. Proxies of the environment are not asked: they would look up the name.
 * @throws AppError `bad_request` where the guard refuses; `upstream` for too many redirects or bytes; otherwise
 * whatever went wrong with the connection.
 */
export async function guardedRequest(
  asked: GuardedRequest,
  policy: NetworkPolicy,
  signal: AbortSignal,
): Promise<GuardedAnswer> {
  const ends = AbortSignal.any([signal, AbortSignal.timeout(asked.deadlineMs)]);
  const most = Math.min(asked.redirects ?? 0, MOST_REDIRECTS);
  let hop = firstHop(asked);
  for (let followed = 0; ; followed++) {
    const answer = await askOnce(hop, asked, policy, ends);
    const next = most === 0 ? null : nextHop(hop, answer);
    if (next === null) return { ...answer, url: hop.url.href };
    if (followed === most)
      throw new AppError("upstream", `${hop.url.origin} redirected more than ${most} times.`, {
        details: { class: "redirects" },
      });
    hop = next;
  }
}

/** For an undici `Agent`: every connection that it makes passes the guard, and so does every port. */
export function guardedConnector(
  options: Pick<GuardedConnect, "policy" | "signal" | "resolve" | "tls">,
): buildConnector.connector {
  return ({ hostname, protocol, port, servername }, callback) => {
    const secure = protocol === "https:";
    const tls = secure
      ? { tls: { ALPNProtocols: ["http/1.1"], ...(servername ? { servername } : {}), ...options.tls } }
      : {};
    const { tls: _, ...rest } = options;
    const number = Number(port || (secure ? 443 : 80));
    const connecting = async () => {
      requireHttpPort(hostname, number, options.policy);
      return (await connectGuarded({ ...rest, ...tls, host: hostname, port: number })).socket;
    };
    connecting().then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, null),
    );
  };
}

type Hop = {
  readonly url: URL;
  readonly method: NonNullable<GuardedRequest["method"]>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
};

function firstHop({ url, method = "GET", headers = {}, body }: GuardedRequest): Hop {
  return {
    url: webAddress(url),
    method,
    headers: { "user-agent": "signalbox", ...headers },
    body: body ?? null,
  };
}

async function askOnce(hop: Hop, asked: GuardedRequest, policy: NetworkPolicy, signal: AbortSignal) {
  const resolve = asked.resolve === undefined ? {} : { resolve: asked.resolve };
  const agent = new Agent({ pipelining: 0, connect: guardedConnector({ policy, signal, ...resolve }) });
  try {
    const { statusCode, headers, body } = await request(hop.url, {
      dispatcher: agent,
      method: hop.method,
      headers: hop.headers,
      body: hop.body,
      signal,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += (chunk as Buffer).length;
      if (size > asked.maxBytes)
        throw new AppError("upstream", `${hop.url.origin} answered with more than ${asked.maxBytes} bytes.`, {
          details: { class: "too_large" },
        });
      chunks.push(chunk as Buffer);
    }
    return { status: statusCode, headers, text: Buffer.concat(chunks).toString("utf8") };
  } finally {
    await agent.destroy();
  }
}

/** Null: the answer is no redirect. Source: fetch.spec.whatwg.org, "HTTP-redirect fetch". */
function nextHop(hop: Hop, { status, headers }: Pick<GuardedAnswer, "status" | "headers">): Hop | null {
  const { location } = headers;
  if (!REDIRECTS.has(status) || typeof location !== "string") return null;
  const url = webAddress(location, hop.url);
  const becomesGet = status === 303 || (hop.method === "POST" && status < 303);
  const method = becomesGet && hop.method === "POST" ? "GET" : hop.method;
  const body = method === "POST" ? hop.body : null;
  if (url.origin === hop.url.origin) return { url, method, headers: withoutBody(hop.headers, body), body };
  if (body !== null)
    throw new AppError("upstream", `${hop.url.origin} wants what it was sent to go on to ${url.origin}.`, {
      hint: "Give the address that it redirects to.",
      details: { class: "redirects" },
    });
  const kept = Object.entries(hop.headers).filter(([name]) => HARMLESS.has(name.toLowerCase()));
  return { url, method, headers: Object.fromEntries(kept), body };
}

function withoutBody(headers: Hop["headers"], body: string | null): Hop["headers"] {
  if (body !== null) return headers;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^content-/i.test(name)));
}

/** Without user and password: they are no part of what is asked, and must not stand in a message. */
function webAddress(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw new GuardError("blocked", "This is no http or https address.", {
      hint: "Use one that begins with http:// or https://.",
    });
  url.username = "";
  url.password = "";
  url.hash = "";
  return url;
}
