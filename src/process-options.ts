import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { vercelOnPath } from "./dock/build/vercel-cli.ts";
import type { startDock } from "./dock/index.ts";
import { systemClock } from "./foundation/clock.ts";
import { AppError } from "./foundation/errors.ts";
import { randomIds } from "./foundation/ids.ts";
import type { Log } from "./foundation/log.ts";
import type { NetworksOf } from "./foundation/safe-fetch.ts";
import type { startGateway } from "./gateway/index.ts";
import type { Secrets } from "./supervisor/index.ts";

/** The gateway's admin socket: the dock pushes snapshots to it, the control plane reads counters from it. */
export function gatewaySocket(config: Config): string {
  return join(config.dir, "run", "gateway.sock");
}

export function gatewayOptions(
  config: Config,
  secrets: Secrets,
  log: Log,
): Parameters<typeof startGateway>[0] {
  return {
    host: config.host,
    port: config.gatewayPort,
    workers: config.gatewayWorkers,
    adminSocket: gatewaySocket(config),
    stateFile: join(config.dir, "gateway", "snapshot.json"),
    accessLog: join(config.dir, "log", "access.log"),
    cookieSecret: secrets.cookieSecret,
    log,
    clock: systemClock,
  };
}

/** Where commits are fetched to, and what fetching them may reach. */
export function gitOptions(config: Config, networksOf: NetworksOf) {
  return {
    cacheDir: join(config.dir, "control", "git"),
    path: config.path,
    networkEnv: config.networkEnv,
    networksOf,
    allowLocalPaths: config.allowLocalRepositories,
  };
}

export function dockDir(config: Config): string {
  return join(config.dir, "dock");
}

export function dockOptions(config: Config, secrets: Secrets, log: Log): Parameters<typeof startDock>[0] {
  return {
    host: config.host,
    port: config.dockPort,
    dir: dockDir(config),
    databaseUrl: requireDatabaseUrl(config),
    domain: "localhost",
    gatewaySocket: gatewaySocket(config),
    tokens: [{ hash: createHash("sha256").update(secrets.dockToken).digest("hex") }],
    secretKey: join(dockDir(config), "secret.key"),
    buildLimits: config.build,
    networkEnv: config.networkEnv,
    allowNetworks: config.allowNetworks,
    path: config.path,
    vercelCli: config.vercelCli === "none" ? null : (config.vercelCli ?? vercelOnPath(config.path)),
    clock: systemClock,
    ids: randomIds,
    log,
  };
}

/** @throws AppError when a process that needs the database was started by hand without one. */
export function requireDatabaseUrl(config: Config): string {
  if (config.databaseUrl !== null) return config.databaseUrl;
  throw new AppError("bad_request", "DATABASE_URL is not set.", {
    hint: "`signalbox up` starts a Postgres and sets it; a process started alone needs it from you.",
  });
}

/** Where a Vercel-compatible API is, and how the hosts of its deployments are opened. */
type PlatformAddress = {
  readonly api: string;
  readonly token: string;
  readonly team: string | null;
  readonly domain: "localhost" | "vercel.app";
  readonly publicScheme: "http" | "https";
  readonly publicPort: number | null;
  /** What lets probes through; null: the project's own is asked for. */
  readonly bypass: string | null;
};

/** The real Vercel when a token for it is set, the dock otherwise: the same code drives both. */
export function vercelAddress(config: Config, secrets: Secrets): PlatformAddress {
  const { api, token, team, publicUrl, bypass } = config.vercel;
  if (token === null) return dockAddress(config, secrets, api);
  const address = { api: api ?? "https://api.vercel.com", token, team, bypass };
  if (publicUrl === null)
    return { ...address, domain: "vercel.app", publicScheme: "https", publicPort: null };
  const { protocol, port } = new URL(publicUrl);
  const publicScheme = protocol === "https:" ? "https" : "http";
  return { ...address, domain: "localhost", publicScheme, publicPort: port === "" ? null : Number(port) };
}

/** Our own dock. `api`: it is reached there, and not where it listens. */
export function dockAddress(config: Config, secrets: Secrets, api: string | null = null): PlatformAddress {
  const host = config.host === "0.0.0.0" || config.host === "::" ? "127.0.0.1" : config.host;
  const team = api === null ? null : config.vercel.team;
  const address = {
    api: api ?? `http://${host}:${config.dockPort}`,
    token: secrets.dockToken,
    team,
    bypass: null,
  };
  return { ...address, domain: "localhost", publicScheme: "http", publicPort: config.gatewayPort };
}
