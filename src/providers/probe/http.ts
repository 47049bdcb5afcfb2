import { Agent, request } from "undici";
import type { Probe, ProbeResult } from "../../deployments/index.ts";
import type { Clock } from "../../foundation/clock.ts";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";

/** More of an answer than this is not read: a probe asks whether it answers, not what. */
const MAX_BODY_BYTES = 1 << 20;

const REFUSED: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  ENOTFOUND: "the host name is unknown",
  UND_ERR_SOCKET: "the connection was closed",
};

/**
 * Probes by HTTP. Every probe has a connection of its own, so that it meets what a new visitor meets; redirects are
 * answers. Names under `.localhost` are this machine (RFC 6761 §6.3), whatever its resolver knows of them.
 */
export function createHttpProbe(deps: { clock: Clock }): Probe {
  return async (url, { timeoutMs, signal }) => {
    const startedMs = deps.clock.monotonicMs();
    const latencyMs = () => Math.round((deps.clock.monotonicMs() - startedMs) * 100) / 100;
    const timeout = AbortSignal.timeout(timeoutMs);
    const agent = new Agent({ pipelining: 0, connect: { timeout: timeoutMs } });
    try {
      return {
        ...(await get(agent, new URL(url), signal ? AbortSignal.any([signal, timeout]) : timeout)),
        latencyMs: latencyMs(),
      };
    } catch (error) {
      const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error);
      return { ok: false, status: null, latencyMs: latencyMs(), error: why };
    } finally {
      await agent.destroy();
    }
  };
}

async function get(agent: Agent, url: URL, signal: AbortSignal): Promise<Omit<ProbeResult, "latencyMs">> {
  const { origin, host } = destination(url);
  const answer = await request(origin + url.pathname + url.search, {
    dispatcher: agent,
    method: "GET",
    headers: { host, "user-agent": "signalbox-probe", connection: "close" },
    signal,
  });
  let size = 0;
  for await (const chunk of answer.body) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) break;
  }
  const header = answer.headers["x-signalbox-deployment"];
  const deploymentHeader = Array.isArray(header) ? header[0] : header;
  return {
    ok: true,
    status: answer.statusCode,
    ...(deploymentHeader === undefined ? {} : { deploymentHeader }),
  };
}

function destination(url: URL): { origin: string; host: string } {
  const local = url.hostname === "localhost" || url.hostname.endsWith(".localhost");
  if (!local || url.protocol !== "http:") return { origin: url.origin, host: url.host };
  return { origin: `http://127.0.0.1:${url.port || 80}`, host: url.host };
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return REFUSED[errorCodeOf(cause) ?? ""] ?? messageOf(cause);
}
