import type { Clock } from "../foundation/clock.ts";
import type { Ids } from "../foundation/ids.ts";
import type { Log } from "../foundation/log.ts";
import type { ArtifactKeeper } from "./dock.ts";
import type { Runner } from "./run/run.ts";

export type DockOptions = {
  /** Address and port of the API. Port 0: any free one. */
  readonly host: string;
  readonly port: number;
  /** Absolute. Holds the content store, artifacts, caches and sockets of app processes. */
  readonly dir: string;
  readonly databaseUrl: string;
  /** Deployments are served under `<label>.<domain>`. */
  readonly domain: string;
  /** The gateway's admin socket. */
  readonly gatewaySocket: string;
  /** Who may call: SHA-256 of each bearer token, hex. */
  readonly tokens: readonly { readonly hash: string }[];
  /** Absolute path of the file with the 32-byte key (hex) that seals variables; made when it is not there. */
  readonly secretKey: string;
  readonly buildLimits: {
    readonly timeoutMs: number;
    readonly memoryBytes: number;
    readonly diskBytes: number;
    readonly concurrency: number;
  };
  /** Proxy and certificate settings for builds. */
  readonly networkEnv: Readonly<Record<string, string>>;
  /** PATH of builds and of app processes. */
  readonly path: string;
  /** Absolute path of the official `vercel` program, which then builds source deployments. Default null: none. */
  readonly vercelCli?: string | null;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** Networks (CIDR) that webhooks, rewrites and remote images may reach beside the public ones. Default: none. */
  readonly allowNetworks?: readonly string[];
  /** Seconds for which a release may be named after it lost its host, where a project says nothing. Default 12 h. */
  readonly skewProtectionMaxAgeS?: number;
  /** Default: the dock's own. */
  readonly builder?: ArtifactKeeper;
  readonly runner?: Runner;
};
