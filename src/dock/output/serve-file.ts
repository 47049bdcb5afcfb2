import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { type RouteHeaders, withRouteHeaders } from "./answer-headers.ts";
import type { StaticFile } from "./read-output.ts";

type Facts = { readonly size: number; readonly tag: string; readonly body: Buffer | null };

// Small files are answered from memory, up to this much of them.
const SMALL_BYTES = 128 * 1024;
const MEMORY_BYTES = 48 * 2 ** 20;

/** Files never change while a release lives: each is looked at once. */
export function createFileServer() {
  const known = new Map<string, Promise<Facts>>();
  let memory = 0;
  const look = async (path: string): Promise<Facts> => {
    const { size } = await stat(path);
    if (size <= SMALL_BYTES && memory + size <= MEMORY_BYTES) {
      memory += size;
      const body = await readFile(path);
      return { size: body.length, tag: tagOf(body), body };
    }
    const hash = createHash("sha1");
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    return { size, tag: quoted(hash.digest("hex")), body: null };
  };
  const factsOf = (path: string) => {
    const before = known.get(path);
    if (before) return before;
    const facts = look(path);
    facts.catch(() => known.delete(path));
    known.set(path, facts);
    return facts;
  };
  return async (exchange: FileExchange, file: StaticFile) =>
    serveFile(exchange, file, await factsOf(file.path));
}

export type FileExchange = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  /** 200 but for error pages. */
  readonly status: number;
  /** What the routes say wins over what a file says. */
  readonly routed: RouteHeaders;
};

async function serveFile(exchange: FileExchange, file: StaticFile, facts: Facts): Promise<void> {
  const { req, res, status } = exchange;
  const own = [
    ...["content-type", file.type, "etag", facts.tag, "cache-control", "public, max-age=0, must-revalidate"],
    ...["accept-ranges", "bytes", "x-vercel-cache", "HIT", "x-vercel-id", exchange.requestId],
  ];
  const headers = withRouteHeaders(own, exchange.routed, "override");
  if (status === 200 && matches(req.headers["if-none-match"], facts.tag)) {
    res.writeHead(304, without(headers, "content-type")).end();
    return;
  }
  const range = status === 200 ? rangeOf(req, facts) : null;
  if (range === "unsatisfiable") {
    res.writeHead(416, [...headers, "content-range", `bytes */${facts.size}`, "content-length", "0"]).end();
    return;
  }
  const [from, to] = range ?? [0, facts.size - 1];
  const partial = range === null ? [] : ["content-range", `bytes ${from}-${to}/${facts.size}`];
  res.writeHead(range === null ? status : 206, [
    ...headers,
    ...partial,
    "content-length",
    String(to - from + 1),
  ]);
  if (req.method === "HEAD" || facts.size === 0) return void res.end();
  if (facts.body !== null) return void res.end(facts.body.subarray(from, to + 1));
  // A client that leaves in the middle is no failure.
  await pipeline(createReadStream(file.path, { start: from, end: to }), res).catch(() => res.destroy());
}

export function tagOf(body: Buffer): string {
  return quoted(createHash("sha1").update(body).digest("hex"));
}

function quoted(digest: string): string {
  return `"${digest.slice(0, 32)}"`;
}

export function matches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((one) => one.trim().replace(/^W\//, "") === tag.replace(/^W\//, ""));
}

/** One range, as players and downloads ask for; several at once get the whole file, which RFC 9110 allows. */
function rangeOf(req: IncomingMessage, { size, tag }: Facts): [number, number] | "unsatisfiable" | null {
  const { range, "if-range": condition } = req.headers;
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(range ?? "") ?? [];
  if ((first === "" && last === "") || (condition !== undefined && condition !== tag)) return null;
  const from = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === "" || last === "" ? size - 1 : Math.min(size - 1, Number(last));
  if (first !== "" && last !== "" && Number(last) < Number(first)) return null;
  return from >= size || from > to ? "unsatisfiable" : [from, to];
}

function without(headers: readonly string[], name: string): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== name);
}
