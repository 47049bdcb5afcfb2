import type { LookupFunction } from "node:net";
import { Agent, request } from "undici";
import { AppError } from "./errors.ts";
import { resolvePublic } from "./safe-fetch.ts";

export type GuardedRequest = {
  readonly url: string;
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the look-up of the name to the end of the answer. */
  readonly deadlineMs: number;
  readonly maxBytes: number;
};

/**
 * A request to an address that a user supplied: it is made only where the guard allows, and no redirect is followed.
 * @throws AppError `bad_request` where the guard refuses; otherwise whatever went wrong with the connection.
 */
export async function guardedRequest(
  asked: GuardedRequest,
  allowNetworks: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const url = new URL(asked.url);
  const ends = AbortSignal.any([signal, AbortSignal.timeout(asked.deadlineMs)]);
  const addresses = await resolvePublic(url.hostname, allowNetworks);
  ends.throwIfAborted();
  const agent = new Agent({ pipelining: 0, connect: { lookup: onlyTo(addresses) } });
  try {
    const { statusCode, body } = await request(url, {
      dispatcher: agent,
      method: asked.method ?? "GET",
      headers: { "user-agent": "signalbox", ...asked.headers },
      ...(asked.body === undefined ? {} : { body: asked.body }),
      signal: ends,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += (chunk as Buffer).length;
      if (size > asked.maxBytes)
        throw new AppError("upstream", `${url.origin} answered with more than ${asked.maxBytes} bytes.`);
      chunks.push(chunk as Buffer);
    }
    return { status: statusCode, text: Buffer.concat(chunks).toString("utf8") };
  } finally {
    await agent.destroy();
  }
}

/** Connects to what was checked: a name that is resolved a second time can answer differently. */
export function onlyTo(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  return (_hostname, { all }, callback) => {
    if (all) callback(null, found);
    else callback(null, found[0]?.address ?? "", found[0]?.family);
  };
}
