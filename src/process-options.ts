import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { vercelOnPath } from "./dock/build/vercel-cli.ts";
import type { startDock } from "./dock/index.ts";
import { systemClock } from "./foundation/clock.ts";
import { AppError } from "./foundation/errors.ts";
import { randomIds } from "./foundation/ids.ts";
import type { Log } from "./foundation/log.ts";
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
