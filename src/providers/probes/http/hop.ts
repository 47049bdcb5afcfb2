import type { Failure } from "../../../checks/model.ts";

/** One request of a probe: the first, or one that a redirect asked for. */
export type Hop = {
  readonly url: URL;
  readonly method: string;
  /** As they were set for the check, names as written. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
};

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Say nothing of who asks. Any other header may be a credential by whatever name, and is not for another origin. */
const FOR_ANYBODY = new Set(["accept", "accept-language", "content-type", "user-agent"]);

/** Where an answer sends the probe. Null: it is no redirect. Source: RFC 9110, 15.4, as browsers follow it. */
export function redirected(hop: Hop, status: number, location: string | null): Hop | Failure | null {
  if (!REDIRECTS.has(status) || location === null) return null;
  const url = URL.parse(location, hop.url.href);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    return { class: "redirects", message: `${hop.url.host} redirects to something that is no web address.` };
  const toGet = status === 303 ? hop.method !== "HEAD" : status < 303 && hop.method === "POST";
  const { method, body } = toGet ? { method: "GET", body: null } : hop;
  const isSame = url.origin === hop.url.origin;
  if (!isSame && body !== null)
    return { class: "redirects", message: `${hop.url.host} redirects the request's body to ${url.host}.` };
  const kept = isSame ? hop.headers : forAnybody(hop.headers);
  return { url, method, body, headers: kept };
}

function forAnybody(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => FOR_ANYBODY.has(name.toLowerCase())));
}

/**
 * The head of a request. The gateway does not count what says that it is a probe as a visitor's; identity is asked for
 * since nothing is unpacked here.
 */
export function headOf({ url, method, headers, body }: Hop): string {
  let head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\n`;
  const names = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    names.add(name.toLowerCase());
    head += `${name}: ${value}\r\n`;
  }
  if (!names.has("host")) head += `host: ${url.host}\r\n`;
  if (!names.has("user-agent")) head += "user-agent: signalbox-probe\r\n";
  if (!names.has("accept")) head += "accept: */*\r\n";
  if (body !== null || method === "POST" || method === "PUT" || method === "PATCH")
    head += `content-length: ${body?.length ?? 0}\r\n`;
  return `${head}x-signalbox-probe: 1\r\naccept-encoding: identity\r\nconnection: close\r\n\r\n`;
}
