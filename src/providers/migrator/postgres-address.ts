import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { AppError } from "../../foundation/errors.ts";
import { resolvePublic } from "../../foundation/safe-fetch.ts";

/** How to reach a database: addresses that were checked, so that the connection goes to what was checked. */
export type PostgresAddress = {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Of the startup packet; some poolers find the database by it. */
  readonly options: string | null;
  /** In the order in which they are tried; `false` is plain text. */
  readonly tls: readonly (ConnectionOptions | false)[];
  /** For messages: neither user nor password. */
  readonly shown: string;
  /** What may stand in no message and no log line. */
  readonly secrets: readonly string[];
};

/**
 * Decides whether and how a database's URL may be reached. Only the host of the URL counts: parameters that name
 * another host, a socket or files of this machine are not looked at.
 * @throws AppError `bad_request` when it may not, `unavailable` when the name cannot be resolved now.
 */
export async function checkDatabaseUrl(
  databaseUrl: string,
  allowNetworks: readonly string[],
): Promise<PostgresAddress> {
  const url = URL.canParse(databaseUrl) ? new URL(databaseUrl) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) throw refused("is no postgres:// URL");
  const host = decode(url.hostname).replace(/^\[|\]$/g, "");
  if (!/^[\w.:-]+$/.test(host)) throw refused("has no host");
  if (url.username === "") throw refused("has no user");
  const password = decode(url.password);
  const port = Number(url.port || 5_432);
  const database = decode(url.pathname.slice(1)) || decode(url.username);
  return {
    addresses: await resolvePublic(host, allowNetworks),
    port,
    user: decode(url.username),
    password,
    database,
    options: url.searchParams.get("options"),
    tls: tlsOf(url.searchParams, host),
    shown: `${host}:${port}/${database}`,
    secrets: [databaseUrl, password, url.password].filter((secret) => secret !== ""),
  };
}

/** The modes of libpq (manual, 32.19.1); without one it encrypts where the server can, and checks nothing. */
function tlsOf(parameters: URLSearchParams, host: string): (ConnectionOptions | false)[] {
  // The name is asked for and checked, though we connect to an address; of an address TLS allows no name.
  const named: ConnectionOptions = isIP(host) === 0 ? { servername: host } : {};
  const unchecked: ConnectionOptions = { ...named, rejectUnauthorized: false };
  const ssl = parameters.get("ssl");
  const mode =
    parameters.get("sslmode") ??
    (ssl === null ? "prefer" : /^(false|0)$/.test(ssl) ? "disable" : "verify-full");
  switch (mode) {
    case "disable":
      return [false];
    case "allow":
    case "prefer":
      return [unchecked, false];
    case "require":
    case "no-verify":
      return [unchecked];
    case "verify-ca":
      return [{ ...named, checkServerIdentity: () => undefined }];
    case "verify-full":
      return [named];
    default:
      throw refused(`has the unknown sslmode "${mode.slice(0, 20)}"`);
  }
}

/** A password with a stray % is taken as it stands. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function refused(why: string): AppError {
  return new AppError("bad_request", `The address of the app's database ${why}.`, {
    hint: "Set it as postgres://user:password@host:port/database; special characters in it are %-encoded.",
  });
}
