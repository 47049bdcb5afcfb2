import { z } from "zod";
import type { TlsSettings } from "./connect.ts";

/** PEM of the authorities that are trusted instead of the machine's own. */
const authorities = z
  .string()
  .max(262_144)
  .regex(/-----BEGIN CERTIFICATE-----/, { error: "is no certificate in PEM" });

/** Where a server is and how one logs in there: either `url`, or the parts. Any text may be a secret's. */
export const endpointFields = {
  url: z.string().max(4_096).optional(),
  host: z.string().min(1).max(255).optional(),
  port: z.int().min(1).max(65_535).optional(),
  /** True: verified by the machine's authorities. */
  tls: z
    .union([
      z.boolean(),
      z.strictObject({
        ca: authorities.optional(),
        insecure: z.boolean().default(false),
        servername: z.string().min(1).max(255).optional(),
      }),
    ])
    .optional(),
  username: z.string().min(1).max(255).optional(),
  password: z.string().min(1).max(4_096).optional(),
};

export type EndpointSettings = {
  readonly url?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly tls?: boolean | TlsSettings | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
};

/** Schemes of URLs, each with whether it means TLS, and the port that is meant where none is named. */
export type Scheme = {
  readonly protocols: Readonly<Record<string, { readonly tls: boolean; readonly port: number }>>;
  /** The one that stands for `host` and `port`. */
  readonly plain: string;
};

export type Endpoint = {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsSettings | null;
  readonly username: string | null;
  readonly password: string | null;
  /** What follows the host in the URL, without its first slash. */
  readonly path: string;
  readonly query: URLSearchParams;
};

/** For `superRefine`. */
export function checkEndpoint({ protocols }: Scheme) {
  return (settings: EndpointSettings, context: z.RefinementCtx): void => {
    const problem = problemOf(settings, Object.keys(protocols));
    if (problem !== null)
      context.addIssue({ code: "custom", path: [problem.field], message: problem.message });
  };
}

function problemOf({ url, host, port, username, password }: EndpointSettings, protocols: string[]) {
  const schemes = protocols.map((name) => `${name}//`).join(" or ");
  if (url === undefined) {
    if (host === undefined) return { field: "host", message: "is missing: name `url` or `host`" };
    const isHost = URL.canParse(`http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}`);
    return isHost && !/[/@?#]/.test(host) ? null : { field: "host", message: "is no host" };
  }
  if (host !== undefined || port !== undefined || username !== undefined || password !== undefined)
    return { field: "url", message: "already says the host, port, user and password" };
  const parsed = URL.parse(url);
  // Never its text: it may hold a password.
  if (parsed === null || !protocols.includes(parsed.protocol) || parsed.hostname === "")
    return { field: "url", message: `is no address that begins with ${schemes}` };
  return null;
}

export function endpointOf(settings: EndpointSettings, { protocols, plain }: Scheme): Endpoint {
  const { url, host, port, username, password } = settings;
  const parsed = url === undefined ? null : new URL(url);
  const scheme = protocols[parsed?.protocol ?? plain];
  const wanted = settings.tls ?? scheme?.tls ?? false;
  return {
    host: parsed?.hostname ?? host ?? "",
    port: port ?? portOf(parsed, url ?? "") ?? scheme?.port ?? 0,
    tls: typeof wanted === "object" ? wanted : wanted ? {} : null,
    username: username ?? decoded(parsed?.username),
    password: password ?? decoded(parsed?.password),
    path: decoded(parsed?.pathname.replace(/^\//, "")) ?? "",
    query: parsed?.searchParams ?? new URLSearchParams(),
  };
}

/** Null: none is named. A URL drops its scheme's own port, which is not the one that is meant without it. */
function portOf(parsed: URL | null, url: string): number | null {
  if (parsed === null) return null;
  if (parsed.port !== "") return Number(parsed.port);
  const named = /^[a-z]+:\/\/(?:[^/?#]*@)?(?:\[[^\]]*\]|[^/?#@:]*):0*(\d+)(?:[/?#]|$)/i.exec(url);
  return named === null ? null : Number(named[1]);
}

function decoded(text: string | undefined): string | null {
  if (text === undefined || text === "") return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
