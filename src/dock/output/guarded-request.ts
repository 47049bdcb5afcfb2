import http, { type ClientRequest, type RequestOptions } from "node:http";
import https from "node:https";
import { isIP } from "node:net";
import { requireHttpPort } from "../../foundation/blocked-ports.ts";
import { AppError } from "../../foundation/errors.ts";
import { resolvePublic } from "../../foundation/safe-fetch.ts";

/**
 * A request to an address that a deployment or a visitor named. The name is resolved here, every address is checked,
 * and the connection goes to exactly one of them. @throws AppError `bad_request` when it is no public host.
 */
export async function guardedRequest(
  url: URL,
  options: RequestOptions & { readonly allowNetworks: readonly string[] },
): Promise<ClientRequest> {
  const { allowNetworks, ...rest } = options;
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new AppError("bad_request", `${url.protocol} is no protocol that is proxied.`, {
      hint: "Use http or https.",
    });
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  requireHttpPort(host, port, options);
  const [address = host] = await resolvePublic(host, allowNetworks);
  const request = url.protocol === "https:" ? https.request : http.request;
  return request({
    ...rest,
    protocol: url.protocol,
    host: address,
    port,
    path: `${url.pathname}${url.search}`,
    setHost: false,
    // The certificate is the name's, not the address's.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
}
