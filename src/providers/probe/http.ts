import http from "node:http";
import { Agent, request } from "undici";
import type { Probe, ProbeResult } from "../../deployments/index.ts";
import { requireHttpPort } from "../../foundation/blocked-ports.ts";
import type { Clock } from "../../foundation/clock.ts";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";
import {
  connectGuarded,
  GuardError,
  type NetworkPolicy,
  refusalOf,
} from "../../foundation/guarded-connect.ts";
import { guardedConnector } from "../../foundation/guarded-request.ts";
import { randomText } from "../../foundation/ids.ts";
import type { NetworksOf } from "../../foundation/safe-fetch.ts";
import { edgeAnswer, releaseOf } from "./edge-answer.ts";

/** More of an answer than this is not read: a probe asks whether it answers, not what. */
const MAX_BODY_BYTES = 1 << 20;

const REFUSED: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  UND_ERR_SOCKET: "the connection was closed",
};

/**
 * Probes by HTTP, by a plain connection, or by a WebSocket. Every probe has a connection of its own, so that it meets
 * what a new visitor meets; redirects are answers. Names under `.localhost` are this machine (RFC 6761 §6.3),
 * whatever its resolver knows of them.
 */
export function createProbe(deps: { clock: Clock; networksOf?: NetworksOf }): Probe {
  // Read before anything is judged: a fault of our own database says nothing of who is probed.
  const policyOf = async (projectId: string) => ({
    allowNetworks: (await deps.networksOf?.(projectId)) ?? [],
  });
  return async ({ type, url, timeoutMs, contains, headers = {}, guardedFor }, signal) => {
    const policy = guardedFor === undefined ? null : await policyOf(guardedFor);
    const startedMs = deps.clock.monotonicMs();
    const latencyMs = () => Math.round((deps.clock.monotonicMs() - startedMs) * 100) / 100;
    const timeout = AbortSignal.timeout(timeoutMs);
    const ends = signal ? AbortSignal.any([signal, timeout]) : timeout;
    let agent: Agent | null = null;
    try {
      const target = new URL(url);
      const guard: Guard = { policy, signal: ends };
      agent = new Agent({ pipelining: 0, connect: guardedConnector(guard) });
      if (type === "tcp") (await connect(target, guard)).destroy();
      if (type === "websocket") await openWebSocket(target, headers, guard);
      const asked = { url: target, headers, contains: contains ?? null };
      const answer = type === "http" ? await get(agent, asked, ends) : CONNECTED;
      return { ...answer, latencyMs: latencyMs() };
    } catch (error) {
      if (timeout.aborted) {
        return { ok: false, status: null, latencyMs: latencyMs(), error: `no answer within ${timeoutMs} ms` };
      }
      const unreachable = isUnreachable(error) ? { unreachable: true } : {};
      return { ok: false, status: null, latencyMs: latencyMs(), error: reasonOf(error), ...unreachable };
    } finally {
      await agent?.destroy();
    }
  };
}

type Guard = { readonly policy: NetworkPolicy | null; readonly signal: AbortSignal };

const CONNECTED = { ok: true, status: null } as const;

async function get(
  agent: Agent,
  {
    url,
    headers,
    contains,
  }: { url: URL; headers: Readonly<Record<string, string>>; contains: string | null },
  signal: AbortSignal,
): Promise<Omit<ProbeResult, "latencyMs">> {
  const answer = await request(url.origin + url.pathname + url.search, {
    dispatcher: agent,
    method: "GET",
    headers: { ...headers, host: url.host, ...WHO, connection: "close" },
    signal,
  });
  const edge = edgeAnswer(answer.statusCode, answer.headers);
  if (edge !== null) {
    await answer.body.dump({ limit: MAX_BODY_BYTES });
    return edge;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += (chunk as Buffer).length;
    if (contains !== null) chunks.push(chunk as Buffer);
    if (size > MAX_BODY_BYTES) break;
  }
  const lacks = contains !== null && !Buffer.concat(chunks).includes(contains);
  const deploymentHeader = releaseOf(answer.headers);
  return {
    ok: !lacks,
    status: answer.statusCode,
    ...(lacks ? { error: `status ${answer.statusCode}, and the body does not contain "${contains}"` } : {}),
    ...(deploymentHeader === undefined ? {} : { deploymentHeader }),
  };
}

/** That somebody takes the connection. */
async function connect(url: URL, guard: Guard, tls?: { ALPNProtocols: string[] }) {
  const { hostname: host, port, protocol } = url;
  const number = Number(port || (/^(https|wss):$/.test(protocol) ? 443 : 80));
  return (await connectGuarded({ ...guard, host, port: number, ...(tls ? { tls } : {}) })).socket;
}

/** That the other side upgrades to a WebSocket. Source: RFC 6455, 4.1. */
async function openWebSocket(url: URL, more: Readonly<Record<string, string>>, guard: Guard): Promise<void> {
  const secure = url.protocol === "https:";
  requireHttpPort(url.hostname, Number(url.port || (secure ? 443 : 80)), guard.policy);
  const socket = await connect(url, guard, secure ? { ALPNProtocols: ["http/1.1"] } : undefined);
  const headers = {
    ...more,
    host: url.host,
    ...WHO,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": Buffer.from(randomText(16)).toString("base64"),
  };
  const path = url.pathname + url.search;
  const request = http.get({ path, headers, signal: guard.signal, createConnection: () => socket });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  request.once("error", reject);
  request.once("response", ({ statusCode }) => reject(new Error(`no WebSocket but status ${statusCode}`)));
  request.once("upgrade", () => resolve());
  try {
    await promise;
  } finally {
    request.destroy();
    socket.destroy();
  }
}

/** The gateway does not count what a prober asks as a visitor's request. */
const WHO = { "user-agent": "signalbox-probe", "x-signalbox-probe": "1" };

const UNREACHABLE = new Set(["ECONNREFUSED", "ECONNRESET", "UND_ERR_SOCKET"]);

function isUnreachable(error: unknown): boolean {
  if (error instanceof GuardError) return error.class === "dns";
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return UNREACHABLE.has(errorCodeOf(cause) ?? "");
}

function reasonOf(error: unknown): string {
  if (error instanceof GuardError) return refusalOf(error);
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return REFUSED[errorCodeOf(cause) ?? ""] ?? messageOf(cause);
}
