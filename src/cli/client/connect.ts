import type { Config } from "../../config.ts";
import type { Clock } from "../../foundation/clock.ts";
import { type Api, createApi } from "./api.ts";
import { type Credentials, normalizeUrl } from "./credentials.ts";
import { createTransport } from "./transport.ts";

export type Server = { readonly url: string; readonly token: string | null };

/**
 * Which control plane to talk to, and as whom. The environment wins over the credentials file, which wins over
 * this machine's own. A token of the file is only ever sent to the address that it was stored for.
 */
export function chooseServer(
  config: Pick<Config, "port"> & { cli: Pick<Config["cli"], "url" | "token"> },
  credentials: Credentials,
): Server {
  const url = normalizeUrl(config.cli.url ?? credentials.default ?? `http://127.0.0.1:${config.port}`);
  return { url, token: config.cli.token ?? credentials.servers[url]?.token ?? null };
}

export function connect(server: Server, config: Pick<Config, "networkEnv">, clock: Clock): Api {
  return createApi({ ...server, clock, transport: createTransport(server.url, config.networkEnv) });
}
