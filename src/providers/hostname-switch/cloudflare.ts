import { isIP } from "node:net";
import { z } from "zod";
import type {
  CloudflareOptions,
  HostnamePlace,
  HostnameReading,
  HostnameSwitch,
  Side,
} from "../../failover/index.ts";
import { AppError, messageOf } from "../../foundation/errors.ts";

export type CloudflareAccess = {
  /** `https://api.cloudflare.com/client/v4`, without a slash at the end. */
  readonly api: string;
  /** An API token with "DNS Write" for the zones. Null: nothing can be moved. */
  readonly token: string | null;
};

const Answer = z.object({
  success: z.boolean(),
  errors: z.array(z.object({ code: z.number().nullish(), message: z.string() })).default([]),
  result: z.unknown(),
});
const Zones = z.array(z.object({ id: z.string(), name: z.string() }));
const Records = z.array(
  z.object({ id: z.string(), type: z.string(), name: z.string(), content: z.string() }),
);
type DnsRecord = z.infer<typeof Records>[number];
type Place = HostnamePlace<CloudflareOptions>;

const DEADLINE_MS = 10_000;
const ZONE_ID = /^[0-9a-f]{32}$/;
const ADDRESS_TYPES = ["A", "AAAA", "CNAME"];

/**
 * Moves a hostname by its record in a zone at Cloudflare. Only a record that points to one of the two sides is ever
 * changed: whatever else stands there is somebody else's. Source: developers.cloudflare.com/api, DNS records.
 */
export function createCloudflareSwitch(access: CloudflareAccess): HostnameSwitch<CloudflareOptions> {
  return {
    name: "cloudflare",
    async read(place, signal) {
      const zone = await zoneId(access, place.options.zone, signal);
      return readingOf(place, await recordsOf(access, zone, place.hostname, signal));
    },
    async point({ to, key, ...place }, signal) {
      const { hostname, options } = place;
      const zone = await zoneId(access, options.zone, signal);
      const records = await recordsOf(access, zone, hostname, signal);
      const { side, detail } = readingOf(place, records);
      if (side === to) return;
      const [record] = records;
      if (side === "elsewhere" || record === undefined) {
        throw new AppError("conflict", `${hostname} points to ${detail}, which is neither side.`, {
          hint: `Point it to ${options.primary} or ${options.standby} at Cloudflare; only these are changed.`,
        });
      }
      await call(access, "PATCH", `/zones/${zone}/dns_records/${record.id}`, signal, {
        name: hostname,
        type: typeOf(options[to]),
        content: options[to],
        // A record that goes through Cloudflare's network has no time of its own: 1 is "automatic".
        ttl: options.proxied ? 1 : options.ttlS,
        proxied: options.proxied,
        comment: `Moved to the ${to} by Signalbox (${key})`,
      });
    },
  };
}

function readingOf({ options }: Place, records: readonly DnsRecord[]): HostnameReading {
  const detail = records.map(({ type, content }) => `${type} ${content}`).join(", ") || "nothing";
  const [record, ...others] = records;
  // Several addresses are answered in turns: moving one of them would move half of the visitors.
  if (record === undefined || others.length > 0) return { side: "elsewhere", detail };
  const points = (side: Side) =>
    record.type === typeOf(options[side]) && sameName(record.content, options[side]);
  const side = points("primary") ? "primary" : points("standby") ? "standby" : "elsewhere";
  return { side, detail };
}

function typeOf(content: string): "A" | "AAAA" | "CNAME" {
  return ({ 4: "A", 6: "AAAA" } as const)[isIP(content)] ?? "CNAME";
}

function sameName(one: string, other: string): boolean {
  const plain = (name: string) => name.toLowerCase().replace(/\.$/, "");
  return plain(one) === plain(other);
}

async function zoneId(access: CloudflareAccess, zone: string, signal: AbortSignal): Promise<string> {
  if (ZONE_ID.test(zone)) return zone;
  const found = Zones.parse(await call(access, "GET", `/zones?name=${encodeURIComponent(zone)}`, signal));
  const own = found.find(({ name }) => sameName(name, zone));
  if (own) return own.id;
  throw new AppError("unprocessable", `The Cloudflare token sees no zone ${zone}.`, {
    hint: "Check the zone's name, and that SIGNALBOX_CLOUDFLARE_TOKEN has DNS Write for it.",
  });
}

async function recordsOf(
  access: CloudflareAccess,
  zone: string,
  hostname: string,
  signal: AbortSignal,
): Promise<DnsRecord[]> {
  const query = new URLSearchParams({ "name.exact": hostname, per_page: "100" });
  const found = Records.parse(await call(access, "GET", `/zones/${zone}/dns_records?${query}`, signal));
  return found.filter(({ type, name }) => ADDRESS_TYPES.includes(type) && sameName(name, hostname));
}

async function call(
  { api, token }: CloudflareAccess,
  method: string,
  path: string,
  signal: AbortSignal,
  body?: unknown,
): Promise<unknown> {
  if (token === null) {
    throw new AppError("unprocessable", "SIGNALBOX_CLOUDFLARE_TOKEN is not set.", {
      hint: "Make an API token with DNS Write for the zone, set it for the control plane, and start that again.",
    });
  }
  const answer = await send(`${api}${path}`, signal, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const parsed = Answer.safeParse(answer.body);
  if (parsed.success && parsed.data.success && answer.status < 300) return parsed.data.result;
  const told = parsed.data?.errors.map(({ code, message }) => `${message} (${code ?? "no code"})`).join("; ");
  throw refusal(answer.status, told || `it answered ${answer.status}`);
}

async function send(url: string, signal: AbortSignal, init: RequestInit) {
  try {
    const ends = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
    const response = await fetch(url, { ...init, redirect: "manual", signal: ends });
    const text = await response.text();
    return { status: response.status, body: parseJson(text) };
  } catch (error) {
    signal.throwIfAborted();
    throw new AppError("upstream", `Cloudflare did not answer: ${messageOf(error)}.`, { cause: error });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refusal(status: number, told: string): AppError {
  const details = { vendor: "cloudflare", status };
  if (status === 429 || status >= 500 || status === 408)
    return new AppError("upstream", `Cloudflare refuses for now: ${told}.`, { details });
  return new AppError("unprocessable", `Cloudflare refuses: ${told}.`, {
    details,
    hint: "Check SIGNALBOX_CLOUDFLARE_TOKEN, its zones and its permission DNS Write.",
  });
}
