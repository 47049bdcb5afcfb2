import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { parse as parseForm } from "node:querystring";

/**
 * The additions that `shouldAddHelpers` asks for: `req.query`, `req.cookies`, `req.body`, `res.status`, `res.send`,
 * `res.json` and `res.redirect`, with the answers of @vercel/node's.
 */
type Res = ServerResponse & {
  status(code: number): Res;
  send(body: unknown): Res;
  json(body: unknown): Res;
  redirect(statusOrUrl: number | string, url?: string): Res;
};

/** The sender's fault, found when the handler reads `req.body`. */
export class RequestFault extends Error {
  readonly statusCode: number;
  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** Calls `next` once the body, if it has a type, is here: `req.body` is read without waiting. */
export function addHelpers(req: IncomingMessage, plain: ServerResponse, next: () => void): void {
  const res = plain as Res;
  lazy(req, "cookies", () => parseCookies(req.headers.cookie));
  lazy(req, "query", () => parseQuery(req.url));
  res.status = (code) => {
    res.statusCode = code;
    return res;
  };
  res.send = (body) => send(req, res, body);
  res.json = (body) => json(req, res, body);
  res.redirect = (statusOrUrl, url) => redirect(res, statusOrUrl, url);
  const type = req.headers["content-type"];
  const withBody = (body: Buffer) => {
    lazy(req, "body", () => parseBody(body, type));
    next();
  };
  if (type === undefined || !hasBody(req)) withBody(Buffer.alloc(0));
  else peekBody(req, withBody);
}

function hasBody(req: IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": chunked } = req.headers;
  return chunked !== undefined || (length !== undefined && length !== "0");
}

/**
 * The whole body, put back afterwards, so that the handler may read it as a stream as well. `unshift` in the same turn
 * as the last `read` is what keeps `end` from being told before there is a listener for it.
 */
function peekBody(req: IncomingMessage, use: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  const onReadable = () => {
    for (let chunk = req.read(); chunk !== null; chunk = req.read()) chunks.push(chunk as Buffer);
    if (!req.complete) return;
    req.removeListener("readable", onReadable);
    const body = Buffer.concat(chunks);
    if (body.length > 0) req.unshift(body);
    use(body);
  };
  req.on("readable", onReadable);
}

function parseBody(body: Buffer, contentType: string | undefined): unknown {
  const type = contentType ? mediaType(contentType).type : "text/plain";
  if (type === "application/json") {
    const text = body.toString();
    try {
      return text ? JSON.parse(text) : {};
    } catch {
      throw new RequestFault(400, "Invalid JSON");
    }
  }
  if (type === "application/octet-stream") return body;
  if (type === "application/x-www-form-urlencoded") return parseForm(body.toString());
  if (type === "text/plain") return body.toString();
  return undefined;
}

function parseQuery(url = "/"): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const [name, value] of new URL(url, "http://localhost").searchParams) {
    const before = query[name];
    query[name] = before === undefined ? value : [before, value].flat();
  }
  return query;
}

/** RFC 6265: the first of two cookies of one name counts; a value that does not decode is given as it is. */
export function parseCookies(header = ""): Record<string, string> {
  const cookies: Record<string, string> = {};
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    if (at === -1) continue;
    const name = pair.slice(0, at).trim();
    if (Object.hasOwn(cookies, name)) continue;
    const value = pair
      .slice(at + 1)
      .trim()
      .replace(/^"(.*)"$/, "$1");
    cookies[name] = value.includes("%") ? decoded(value) : value;
  }
  return cookies;
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function redirect(res: Res, statusOrUrl: number | string, target?: string): Res {
  const [status, url] = typeof statusOrUrl === "string" ? [307, statusOrUrl] : [statusOrUrl, target];
  if (typeof status !== "number" || typeof url !== "string") {
    throw new Error("res.redirect takes a URL, or a status code and a URL: res.redirect(308, '/new').");
  }
  res.writeHead(status, { Location: url }).end();
  return res;
}

function json(req: IncomingMessage, res: Res, value: unknown): Res {
  defaultType(res, "application/json; charset=utf-8");
  return send(req, res, JSON.stringify(value));
}

function send(req: IncomingMessage, res: Res, value: unknown): Res {
  const isBytes = Buffer.isBuffer(value);
  if (
    ["boolean", "number"].includes(typeof value) ||
    (typeof value === "object" && value !== null && !isBytes)
  ) {
    return json(req, res, value);
  }
  if (isBytes) defaultType(res, "application/octet-stream");
  else if (typeof value === "string") defaultType(res, "text/html");
  else if (value !== undefined && value !== null) {
    throw new Error("`body` is not a valid string, object, boolean, number, Stream, or Buffer");
  }
  const type = res.getHeader("content-type");
  const isText = typeof value === "string" || value === null;
  if (isText && typeof type === "string") res.setHeader("content-type", withCharset(type));
  const body = isBytes ? (value as Buffer) : isText ? Buffer.from((value as string | null) ?? "") : null;
  if (body !== null) {
    res.setHeader("content-length", body.length);
    if (!res.getHeader("etag")) res.setHeader("etag", weakTag(body));
  }
  const empty = res.statusCode === 204 || res.statusCode === 304;
  if (empty)
    for (const name of ["Content-Type", "Content-Length", "Transfer-Encoding"]) res.removeHeader(name);
  res.end(body === null || empty || req.method === "HEAD" ? undefined : body);
  return res;
}

function defaultType(res: ServerResponse, type: string): void {
  if (!res.getHeader("content-type")) res.setHeader("content-type", type);
}

function weakTag(body: Buffer): string {
  const digest = createHash("sha1").update(body).digest("base64").slice(0, 27);
  return `W/"${body.length.toString(16)}-${digest}"`;
}

function withCharset(header: string): string {
  const { type, parameters } = mediaType(header);
  const all = { ...parameters, charset: "utf-8" };
  const names = Object.keys(all).sort();
  return [type, ...names.map((name) => `${name}=${quoted(all[name as keyof typeof all])}`)].join("; ");
}

function mediaType(header: string): { type: string; parameters: Record<string, string> } {
  const [type = "", ...rest] = header.split(";");
  const parameters: Record<string, string> = {};
  for (const part of rest) {
    const at = part.indexOf("=");
    if (at === -1) continue;
    const value = part.slice(at + 1).trim();
    parameters[part.slice(0, at).trim().toLowerCase()] = value
      .replace(/^"(.*)"$/, "$1")
      .replace(/\\(.)/g, "$1");
  }
  return { type: type.trim().toLowerCase(), parameters };
}

function quoted(value: string): string {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value) ? value : `"${value.replace(/([\\"])/g, "\\$1")}"`;
}

function lazy(req: IncomingMessage, name: string, read: () => unknown): void {
  const settle = (value: unknown) =>
    Object.defineProperty(req, name, { configurable: true, enumerable: true, writable: true, value });
  Object.defineProperty(req, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = read();
      settle(value);
      return value;
    },
    set: settle,
  });
}
