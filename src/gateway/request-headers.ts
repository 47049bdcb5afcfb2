/**
 * One pass over a request's raw headers: notes what routing needs and builds what the release's process is sent.
 * Hop-by-hop headers (RFC 9110 §7.6.1) and everything a client could use to pose as a proxy are left out.
 */
export type ScannedHeaders = {
  /** Name and value alternating, in the client's spelling and order, ready for the upstream request. */
  readonly forward: string[];
  /** The `Host` header as sent; null when there is none, or more than one. */
  readonly host: string | null;
  readonly cookie: string;
  /** `X-Deployment-Id`; empty when there is none. */
  readonly deployment: string;
  /** `X-Signalbox-Canary`; empty when there is none. */
  readonly canary: string;
  /** Asked by the prober, which is no visitor. */
  readonly probe: boolean;
  readonly hasBody: boolean;
  /** The body comes without a length. */
  readonly chunked: boolean;
};

type Kind =
  | "pass"
  | "drop"
  | "host"
  | "cookie"
  | "connection"
  | "body-pass"
  | "body-drop"
  | "deployment"
  | "canary"
  | "probe";

const KINDS = new Map<string, Kind>([
  ["host", "host"],
  ["cookie", "cookie"],
  ["connection", "connection"],
  ["x-deployment-id", "deployment"],
  ["x-signalbox-canary", "canary"],
  ["x-signalbox-probe", "probe"],
  ["content-length", "body-pass"],
  ["transfer-encoding", "body-drop"],
  ["keep-alive", "drop"],
  ["te", "drop"],
  ["trailer", "drop"],
  ["upgrade", "drop"],
  // node has answered `100 Continue` itself by the time the request gets here.
  ["expect", "drop"],
  // CGI-like apps would take it for the HTTP_PROXY variable (httpoxy, CVE-2016-5385).
  ["proxy", "drop"],
  ["proxy-connection", "drop"],
  ["proxy-authenticate", "drop"],
  ["proxy-authorization", "drop"],
  ["forwarded", "drop"],
  ["x-real-ip", "drop"],
  ["x-client-ip", "drop"],
]);

// Clients spell the same few dozen names in the same few ways: this saves lower-casing each of them each time.
const SPELLINGS = new Map<string, Kind>();
const KNOWN_SPELLINGS = 1_000;

export function scanHeaders(raw: readonly string[]): ScannedHeaders {
  const forward: string[] = [];
  let host: string | null = null;
  let hosts = 0;
  let cookie = "";
  let deployment = "";
  let canary = "";
  let probe = false;
  let hasBody = false;
  let chunked = false;
  let listed = "";
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    const kind = SPELLINGS.get(name) ?? learnSpelling(name);
    if (kind === "pass") {
      forward.push(name, value);
      continue;
    }
    if (kind === "drop") continue;
    if (kind === "canary") {
      canary = value;
      continue;
    }
    if (kind === "connection") {
      if (!isPlainConnection(value)) listed += `,${value}`;
      continue;
    }
    if (kind === "body-drop") {
      hasBody = true;
      chunked = true;
      continue;
    }
    if (kind === "host") {
      host = value;
      hosts++;
    } else if (kind === "cookie") {
      cookie = cookie === "" ? value : `${cookie}; ${value}`;
    } else if (kind === "deployment") {
      deployment = value;
    } else if (kind === "probe") {
      probe = true;
    } else if (kind === "body-pass") {
      hasBody = hasBody || value !== "0";
    }
    forward.push(name, value);
  }
  return {
    forward: listed === "" ? forward : withoutListed(forward, listed),
    host: hosts === 1 ? host : null,
    cookie,
    deployment,
    canary,
    probe,
    hasBody,
    chunked,
  };
}

function learnSpelling(name: string): Kind {
  const lower = name.toLowerCase();
  const ours = lower.startsWith("x-forwarded-") || lower.startsWith("x-signalbox-");
  const kind = KINDS.get(lower) ?? (ours ? "drop" : "pass");
  if (SPELLINGS.size < KNOWN_SPELLINGS) SPELLINGS.set(name, kind);
  return kind;
}

function isPlainConnection(value: string): boolean {
  return value === "keep-alive" || value === "Keep-Alive" || value === "close";
}

/** `Connection: close, x-trace` makes `x-trace` hop-by-hop too. What routing and framing need stays all the same. */
function withoutListed(headers: readonly string[], listed: string): string[] {
  const names = new Set(listed.split(",").map((name) => name.trim().toLowerCase()));
  for (const kept of ["host", "content-length"]) names.delete(kept);
  const left: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (!names.has(name.toLowerCase())) left.push(name, headers[i + 1] ?? "");
  }
  return left;
}

// A host name, an IPv4 address, or an IPv6 address in brackets; then a port.
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)\.?(?::\d{1,5})?$/i;

/** `Shop.LOCALHOST:8080` → `shop.localhost`; null for what is no host at all. */
export function hostName(host: string): string | null {
  return HOST.exec(host)?.[1]?.toLowerCase() ?? null;
}
