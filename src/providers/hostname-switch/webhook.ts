import { createHmac } from "node:crypto";
import { z } from "zod";
import type { HostnameSwitch, WebhookOptions } from "../../failover/index.ts";
import type { Clock } from "../../foundation/clock.ts";
import { AppError, messageOf } from "../../foundation/errors.ts";
import { guardedRequest } from "../../foundation/guarded-request.ts";
import type { NetworksOf } from "../../foundation/safe-fetch.ts";

export type WebhookSwitchOptions = {
  /** Signs every call. Null: nothing is called. */
  readonly secret: string | null;
  readonly networksOf: NetworksOf;
};

const DEADLINE_MS = 15_000;
const MAX_BYTES = 64 * 1_024;
const Reading = z.object({ serving: z.enum(["primary", "standby"]) });
/** An answer to "where does it point?" that means "I cannot tell". */
const CANNOT_TELL = new Set([204, 404, 405, 501]);

/**
 * Moves a hostname by a program of the user's: one POST to move, one GET to read back. Both are signed as Standard
 * Webhooks are, so that ready-made libraries verify them. Source: standardwebhooks.com, "Signature scheme".
 */
export function createWebhookSwitch(
  deps: { clock: Clock },
  options: WebhookSwitchOptions,
): HostnameSwitch<WebhookOptions> {
  const call = async (
    { projectId, url }: { projectId: string; url: string },
    { id, method, body }: { id: string; method: "GET" | "POST"; body: string },
    signal: AbortSignal,
  ) => {
    const headers = sign(options.secret, id, Math.floor(deps.clock.now().getTime() / 1_000), body);
    const sent = method === "POST" ? { body } : {};
    const asked = { url, method, headers, deadlineMs: DEADLINE_MS, maxBytes: MAX_BYTES, ...sent };
    const allowNetworks = await options.networksOf(projectId);
    return guardedRequest(asked, { allowNetworks }, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      if (error instanceof AppError && error.code === "bad_request") throw error;
      throw new AppError("upstream", `The webhook did not answer: ${messageOf(error)}.`, { cause: error });
    });
  };
  return {
    name: "webhook",
    async read({ projectId, hostname, options: { url } }, signal) {
      const asked = new URL(url);
      asked.searchParams.set("hostname", hostname);
      const id = `read_${deps.clock.now().getTime()}`;
      const { status, text } = await call(
        { projectId, url: asked.href },
        { id, method: "GET", body: "" },
        signal,
      );
      if (CANNOT_TELL.has(status)) return "unsupported";
      const reading = status === 200 ? Reading.safeParse(parseJson(text)) : null;
      if (reading?.success) return { side: reading.data.serving, detail: `the ${reading.data.serving}` };
      throw refused(status);
    },
    async point({ projectId, hostname, options: { url }, to, key, sequence, reason }, signal) {
      const body = JSON.stringify({ type: "failover.switch", hostname, to, key, sequence, reason });
      // The same id for the same switch: a receiver that keeps ids does nothing twice.
      const { status } = await call({ projectId, url }, { id: key, method: "POST", body }, signal);
      if (status < 200 || status >= 300) throw refused(status);
    },
  };
}

function sign(secret: string | null, id: string, timestamp: number, body: string): Record<string, string> {
  if (secret === null) {
    throw new AppError("unprocessable", "SIGNALBOX_FAILOVER_WEBHOOK_SECRET is not set.", {
      hint: "Set it for the control plane and for the receiver; unsigned, nothing is called.",
    });
  }
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice("whsec_".length), "base64") : secret;
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${signature}`,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refused(status: number): AppError {
  const code = status === 429 || status >= 500 || status === 408 ? "upstream" : "unprocessable";
  return new AppError(code, `The webhook answered ${status}.`, {
    hint: 'It must answer 2xx to a POST, and {"serving": "primary" | "standby"} to a GET, or 404.',
  });
}
