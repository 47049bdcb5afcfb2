import { createHash } from "node:crypto";
import type { CheckSource, Policy, ProbeType } from "./model.ts";
import { completePolicy } from "./policy.ts";

/** A check that was written down. Settings as they were written, references and all. */
export type ConfiguredCheck = {
  readonly type: ProbeType;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly policy: Policy;
};

/** What an environment says that it uses. */
export type UsedServices = {
  readonly database?:
    | {
        readonly host?: string | undefined;
        readonly port?: number | undefined;
        readonly ssl?: boolean | undefined;
      }
    | undefined;
  readonly redis?: { readonly url: string } | undefined;
  readonly browserbase?:
    | { readonly projectId?: string | undefined; readonly region?: string | undefined }
    | undefined;
  readonly prometheusEndpoint?: string | undefined;
};

/** What a configuration says of the checks of one environment. */
export type ChecksPlan = {
  /** By name; null: there is to be none of that name. */
  readonly configured: Readonly<Record<string, ConfiguredCheck | null>>;
  readonly uses: UsedServices;
  /** Variables of the deployment. */
  readonly env: Readonly<Record<string, string>>;
};

/** How one thing that is deployed is proven healthy, and where it is met. */
export type DeployedService = {
  readonly name: string;
  /** Public addresses, the main one first. */
  readonly urls: readonly string[];
  readonly health: {
    readonly checks: readonly (
      | {
          readonly type: "http";
          readonly path: string;
          readonly expectStatus: readonly [number, number];
          readonly contains: string | null;
        }
      | { readonly type: "tcp" }
      | { readonly type: "websocket"; readonly path: string }
    )[];
    readonly timeoutMs: number;
    readonly graceMs: number;
  };
};

export type WantedCheck = ConfiguredCheck & {
  readonly name: string;
  readonly source: Exclude<CheckSource, "api">;
};

/** Something that nothing checks, and what to do about it. */
export type Gap = { readonly subject: string; readonly why: string; readonly hint: string };

/** What is critical is asked often enough to be known within seconds. */
const OFTEN_MS = 10_000;
const BROWSERBASE_MS = 60_000;
const CERTIFICATE_MS = 300_000;
const PREVIEW_MS = 30_000;
/** A secret that the check of Browserbase needs. */
export const BROWSERBASE_SECRET = "BROWSERBASE_API_KEY";

/** Names that checks get by themselves beside those of blocks and services. */
export const SEED_NAMES = /^(tls|services)\.|\.\d{1,2}$/;

/** A deployed service may be called `redis`: what the block of that name leads to is to be checked all the same. */
export function besides(deployed: readonly WantedCheck[], used: readonly WantedCheck[]): WantedCheck[] {
  const names = new Set(deployed.map(({ name }) => name));
  return used.map((check) => (names.has(check.name) ? { ...check, name: `services.${check.name}` } : check));
}

/** Each deployed service is checked at its public address by the very checks that proved its release. */
export function deployedChecks(services: readonly DeployedService[], preview: string | null): WantedCheck[] {
  return services.flatMap((service) => [
    ...healthChecks(service, preview),
    ...(preview === null ? certificateChecks(service) : []),
  ]);
}

function healthChecks({ name, urls, health }: DeployedService, preview: string | null): WantedCheck[] {
  const [base] = urls;
  if (base === undefined) return [];
  const intervalMs = preview === null ? OFTEN_MS : PREVIEW_MS;
  const policy = completePolicy({
    intervalMs,
    timeoutMs: Math.min(health.timeoutMs, intervalMs),
    graceMs: health.graceMs,
    critical: preview === null,
  });
  return health.checks.map((check, at) => {
    const numbered = at === 0 ? name : `${name}.${at + 1}`;
    const full = preview === null ? numbered : `${numbered}@${preview}`;
    return { name: full, source: "deployment", policy, ...askedAt(base, check) };
  });
}

function askedAt(
  base: string,
  check: DeployedService["health"]["checks"][number],
): Pick<ConfiguredCheck, "type" | "settings"> {
  const url = new URL(base);
  if (check.type === "tcp") {
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    return { type: "tcp", settings: { host: url.hostname, port } };
  }
  const at = new URL(check.path, url);
  if (check.type === "websocket") {
    at.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return { type: "websocket", settings: { url: at.href } };
  }
  const [from, to] = check.expectStatus;
  // What comes before the answer itself (1xx) is no answer.
  const status = from === to ? from : `${Math.max(from, 200)}-${to}`;
  const expect = { status, ...(check.contains === null ? {} : { contains: check.contains }) };
  return { type: "http", settings: { url: at.href, expect } };
}

/** Of hosts of one's own; those of the platform are the platform's to renew. */
function certificateChecks({ urls }: DeployedService): WantedCheck[] {
  const hosts = urls.map((url) => new URL(url)).filter(({ protocol }) => protocol === "https:");
  const own = hosts.filter(({ hostname }) => !/(^|\.)(localhost|vercel\.app|now\.sh)$/.test(hostname));
  return own.map(({ hostname, port }) => ({
    name: certificateName(hostname),
    type: "tls",
    source: "config",
    settings: { host: hostname, port: Number(port || 443) },
    policy: completePolicy({ intervalMs: CERTIFICATE_MS, timeoutMs: OFTEN_MS }),
  }));
}

/** What an environment says that it uses is checked; what cannot be is a gap. */
export function usedChecks(
  uses: UsedServices,
  env: Readonly<Record<string, string>>,
): { readonly checks: WantedCheck[]; readonly gaps: Gap[] } {
  const checks: WantedCheck[] = [];
  const gaps: Gap[] = [];
  const add = (name: string, found: Pick<WantedCheck, "type" | "settings">, policy: Policy) =>
    checks.push({ name, source: "config", policy, ...found });
  const critical = completePolicy({ intervalMs: OFTEN_MS, critical: true });
  if (uses.database !== undefined) {
    const found = databaseCheck(uses.database, env);
    if ("why" in found) gaps.push(found);
    else add("database", found, critical);
  }
  if (uses.redis !== undefined) add("redis", { type: "redis", settings: { url: uses.redis.url } }, critical);
  if (uses.browserbase !== undefined) {
    const { projectId } = uses.browserbase;
    const settings = {
      apiKey: { secret: BROWSERBASE_SECRET },
      ...(projectId === undefined ? {} : { projectId }),
    };
    add("browserbase", { type: "browserbase", settings }, completePolicy({ intervalMs: BROWSERBASE_MS }));
  }
  if (uses.prometheusEndpoint !== undefined) {
    const url = new URL("-/ready", uses.prometheusEndpoint.replace(/\/*$/, "/")).href;
    add("prometheus", { type: "http", settings: { url } }, completePolicy());
  }
  return { checks, gaps };
}

/** The kind of database that an address is of. */
const SCHEMES: Readonly<Record<string, ProbeType>> = {
  "postgres:": "postgres",
  "postgresql:": "postgres",
  "mysql:": "mysql",
  "mariadb:": "mysql",
  "mongodb:": "mongodb",
  "mongodb+srv:": "mongodb",
};

/**
 * By the address in the deployment's own variables where that leads to the same host: then it is asked a query, as the
 * application asks. Else by host and port alone.
 */
function databaseCheck(
  { host, port, ssl }: NonNullable<UsedServices["database"]>,
  env: Readonly<Record<string, string>>,
): Pick<WantedCheck, "type" | "settings"> | Gap {
  const addresses = Object.entries(env).flatMap(([name, value]) => {
    const url = URL.parse(value);
    const type = SCHEMES[url?.protocol ?? ""];
    const fits = url !== null && (host === undefined ? name === "DATABASE_URL" : url.hostname === host);
    return fits && type !== undefined ? [{ type, settings: { url: value } }] : [];
  });
  const [found] = addresses;
  if (found !== undefined) return found;
  if (host === undefined) {
    return {
      subject: "database",
      why: "services.database names no host",
      hint: "Add host and port to it, or DATABASE_URL to env.",
    };
  }
  // As clients mean it (`sslmode=require`): encrypted, and no word of whose certificate. Nothing secret is sent.
  const tls = ssl === true ? { tls: { insecure: true } } : {};
  return { type: "postgres", settings: { host, ...(port === undefined ? {} : { port }), ...tls } };
}

/** All that is wanted of a place. What was written down takes the place of one of its name; null: of nothing. */
export function overlay(
  seeds: readonly WantedCheck[],
  configured: Readonly<Record<string, ConfiguredCheck | null>>,
): WantedCheck[] {
  const names = new Set<string>();
  const kept = seeds.filter(({ name }) => {
    if (Object.hasOwn(configured, name) || names.has(name)) return false;
    names.add(name);
    return true;
  });
  const written = Object.entries(configured).flatMap(([name, check]): WantedCheck[] =>
    check === null ? [] : [{ name, source: "config", ...check }],
  );
  return [...kept, ...written];
}

/** As long as a name may be; what is cut off is told apart by its hash. */
function certificateName(hostname: string): string {
  const name = `tls.${hostname}`;
  if (name.length <= 63) return name;
  return `${name.slice(0, 54)}-${createHash("sha256").update(hostname).digest("hex").slice(0, 8)}`;
}
