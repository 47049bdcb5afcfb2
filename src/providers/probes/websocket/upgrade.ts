import { createHash } from "node:crypto";
import type { Failure } from "../../../checks/model.ts";

export type Upgrade = { readonly url: URL; readonly headers: Readonly<Record<string, string>> };

/** Source: RFC 6455, 4.1. */
export function upgradeOf({ url, headers }: Upgrade, key: string): string {
  const own = Object.entries(headers);
  const names = new Set(own.map(([name]) => name.toLowerCase()));
  let head = `GET ${url.pathname}${url.search} HTTP/1.1\r\n`;
  if (!names.has("host")) head += `host: ${url.host}\r\n`;
  if (!names.has("user-agent")) head += "user-agent: signalbox-probe\r\n";
  for (const [name, value] of own) head += `${name}: ${value}\r\n`;
  head += "x-signalbox-probe: 1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n";
  return `${head}sec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`;
}

/** Why an answer is no upgrade (4.1, the client's six checks). Null: it is. */
export function refusal(head: string, key: string): Failure | null {
  const [line = "", ...lines] = head.split("\r\n");
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(line)?.[1];
  if (status === undefined)
    return { class: "protocol", message: "answers with something that is no HTTP/1.1" };
  if (status !== "101")
    return { class: "status", message: `answered with status ${status}, not with an upgrade` };
  const headers = new Map(
    lines.map((each) => {
      const colon = each.indexOf(":");
      return [each.slice(0, colon).toLowerCase(), each.slice(colon + 1).trim()];
    }),
  );
  if (
    headers.get("upgrade")?.toLowerCase() !== "websocket" ||
    !/\bupgrade\b/i.test(headers.get("connection") ?? "")
  )
    return { class: "protocol", message: "upgraded to something that is no WebSocket" };
  if (headers.get("sec-websocket-accept") !== acceptOf(key))
    return { class: "protocol", message: "does not prove that it read the key of the upgrade" };
  if (headers.has("sec-websocket-extensions") || headers.has("sec-websocket-protocol"))
    return { class: "protocol", message: "chose an extension or a protocol that was not offered" };
  return null;
}

function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
