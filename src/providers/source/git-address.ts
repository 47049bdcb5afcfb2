import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { requireHttpPort } from "../../foundation/blocked-ports.ts";
import { AppError } from "../../foundation/errors.ts";
import { isPublicAddress, resolvePublic } from "../../foundation/safe-fetch.ts";
import type { GitAddress, GitOptions } from "./git-run.ts";
import { requirePinning } from "./git-version.ts";

const SCP_LIKE = /^(?:([\w.-]+)@)?([\w.-]+):(?!\/)([^\s]+)$/;
const DEFAULT_PORT: Readonly<Record<string, string>> = { "https:": "443", "http:": "80" };
const SUPPORTED = "Use https://…, ssh://… or git@host:owner/repository.git.";

/**
 * Decides whether and how a project's repository may be reached: known protocols only, and hosts whose every address
 * was checked and is pinned, so that git connects to what was checked.
 * @throws AppError `bad_request` when it may not.
 */
export async function checkAddress(
  options: GitOptions,
  { projectId, url }: { readonly projectId: string; readonly url: string },
): Promise<GitAddress> {
  if (/[\s\p{Cc}]/u.test(url) || url.startsWith("-") || url.length > 2_048) throw refused(url, "is no URL");
  if (isAbsolute(url)) return localAddress(options, url, url);
  const parsed = parse(url);
  if (parsed.protocol === "file:") return localAddress(options, url, localPath(parsed));
  if (!["https:", "http:", "ssh:"].includes(parsed.protocol)) {
    throw refused(url, `has the protocol ${parsed.protocol.replace(":", "")}, which is not allowed`);
  }
  if (!/^[\w.:[\]-]+$/.test(parsed.hostname) || parsed.hostname.startsWith("-"))
    throw refused(url, "has no valid host");
  const allowNetworks = await options.networksOf(projectId);
  const addresses = await resolvePublic(parsed.hostname, allowNetworks);
  if (parsed.protocol === "ssh:") return sshAddress(parsed, addresses[0] ?? "");
  if (parsed.protocol === "http:" && addresses.some(isPublicAddress)) {
    throw new AppError("bad_request", `${show(parsed)} would be fetched unencrypted.`, {
      hint: "Use https.",
    });
  }
  const port = Number(parsed.port || DEFAULT_PORT[parsed.protocol]);
  requireHttpPort(parsed.hostname, port, { allowNetworks });
  const address = httpAddress(parsed, addresses);
  if (address.config.length > 0) await requirePinning(options.path);
  return address;
}

/** Where the URL's password is left out. */
export function show(url: URL): string {
  const shown = new URL(url);
  shown.username = "";
  shown.password = "";
  return shown.href;
}

function parse(url: string): URL {
  const scp = SCP_LIKE.exec(url);
  // `ext::sh -c …` would look like host "ext": a double colon is git's syntax for remote helpers.
  if (url.includes("::") && !url.includes("["))
    throw refused(url, "names a remote helper, which is not allowed");
  const text = scp && !url.includes("://") ? `ssh://${scp[1] ?? "git"}@${scp[2]}/${scp[3]}` : url;
  if (!URL.canParse(text)) throw refused(url, "is no URL");
  return new URL(text);
}

function httpAddress(url: URL, addresses: readonly string[]): GitAddress {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port || DEFAULT_PORT[url.protocol] || "";
  const bracketed = addresses.map((address) => (address.includes(":") ? `[${address}]` : address));
  const pinned = addresses.includes(host)
    ? []
    : [`http.curloptResolve=${host}:${port}:${bracketed.join(",")}`];
  return { url: url.href, shown: show(url), protocols: url.protocol.slice(0, -1), config: pinned, ssh: null };
}

/** `HostKeyAlias` keeps the key check on the name, while the connection goes to the checked address. */
function sshAddress(url: URL, address: string): GitAddress {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const ssh = [
    "ssh -F /dev/null -oBatchMode=yes -oStrictHostKeyChecking=accept-new -oConnectTimeout=15",
    `-oHostName=${address} -oHostKeyAlias=${host} -oProxyCommand=none -oClearAllForwardings=yes`,
  ].join(" ");
  return { url: url.href, shown: show(url), protocols: "ssh", config: [], ssh };
}

function localAddress(options: GitOptions, url: string, path: string): GitAddress {
  if (options.allowLocalPaths !== true) {
    throw new AppError("bad_request", `${url} is a path on this machine, which is not allowed.`, {
      hint: "Deploy a folder with `signalbox deploy <folder>`, or give a URL that the control plane can reach.",
    });
  }
  return { url: path, shown: path, protocols: "file", config: [], ssh: null };
}

function localPath(url: URL): string {
  if (url.host !== "") throw refused(url.href, "names a host for a file");
  return fileURLToPath(url);
}

function refused(url: string, why: string): AppError {
  const secretless = url.replace(/\/\/[^/@]*@/, "//").slice(0, 200);
  return new AppError("bad_request", `"${secretless}" ${why}.`, { hint: SUPPORTED });
}
