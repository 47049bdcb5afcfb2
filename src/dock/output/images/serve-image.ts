import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { AppError } from "../../../foundation/errors.ts";
import { type RouteHeaders, withRouteHeaders } from "../answer-headers.ts";
import type { PlatformError } from "../error-page.ts";
import { sendError } from "../error-page.ts";
import { guardedRequest } from "../guarded-request.ts";
import type { StaticFile } from "../read-output.ts";
import { matches } from "../serve-file.ts";
import { type ImageRequest, type Images, readImageRequest } from "./image-request.ts";

export type ImageExchange = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  readonly query: URLSearchParams;
  readonly routed: RouteHeaders;
};

export type ImageSources = {
  readonly images: Images;
  /** The path of the endpoint that was asked. */
  readonly endpoint: string;
  readonly fileOf: (path: string) => StaticFile | null;
  /** A local image that is no file: the answer that has it, or null when there is none. */
  readonly ask: (path: string) => Promise<IncomingMessage | null>;
  readonly allowNetworks: readonly string[];
};

const MINIMUM_TTL_S = 60;
const LARGEST_BYTES = 100 * 2 ** 20;
const REMOTE_TIMEOUT_MS = 30_000;
const REDIRECTS = 3;
const CSP = "script-src 'none'; frame-src 'none'; sandbox;";

type Image = { readonly type: string; readonly body: Buffer };

class ImageFailure extends Error {
  readonly answer: PlatformError;
  constructor(answer: PlatformError) {
    super(answer.message);
    this.answer = answer;
  }
}

/**
 * The image endpoint. Parameters are checked as Vercel checks them; the image itself is passed through as it is, in the
 * headers of an optimised one.
 */
export async function serveImage(exchange: ImageExchange, sources: ImageSources): Promise<void> {
  const { images } = sources;
  const request = readImageRequest(exchange.query, images, sources.endpoint);
  if (typeof request === "string") {
    const refused = { status: 400, code: "INVALID_IMAGE_OPTIMIZE_REQUEST", message: request };
    return sendError(refused, exchange, exchange.routed);
  }
  try {
    const image =
      request.kind === "local" ? await localImage(request, sources) : await remoteImage(request.url, sources);
    sendImage(image, nameOf(request), exchange, images);
  } catch (error) {
    if (!(error instanceof ImageFailure)) throw error;
    sendError(error.answer, exchange, exchange.routed);
  }
}

function sendImage(image: Image, name: string, exchange: ImageExchange, images: Images): void {
  const { req, res } = exchange;
  const isSvg = /^image\/svg\+xml\b/i.test(image.type);
  if (!/^image\//i.test(image.type) || (isSvg && !images.dangerouslyAllowSVG)) {
    const message = isSvg ? '"url" parameter is valid but image type is not allowed' : NOT_AN_IMAGE;
    throw new ImageFailure({ status: 400, code: "INVALID_IMAGE_OPTIMIZE_REQUEST", message });
  }
  const tag = `"${createHash("sha256").update(image.body).digest("base64url").slice(0, 32)}"`;
  const ttl = Math.max(images.minimumCacheTTL ?? MINIMUM_TTL_S, 0);
  const own = [
    ...[
      "content-type",
      image.type,
      "vary",
      "Accept",
      "cache-control",
      `public, max-age=${ttl}, must-revalidate`,
    ],
    ...["etag", tag, "content-security-policy", images.contentSecurityPolicy ?? CSP],
    ...["content-disposition", `${images.contentDispositionType ?? "inline"}; filename="${name}"`],
    ...["x-vercel-cache", "MISS", "x-vercel-id", exchange.requestId, "x-content-type-options", "nosniff"],
  ];
  const headers = withRouteHeaders(own, exchange.routed, "override");
  if (matches(req.headers["if-none-match"], tag)) return void res.writeHead(304, headers).end();
  res.writeHead(200, [...headers, "content-length", String(image.body.length)]);
  res.end(req.method === "HEAD" ? undefined : image.body);
}

const NOT_AN_IMAGE = "The requested resource isn't a valid image";

function nameOf(request: ImageRequest): string {
  const path = request.kind === "local" ? request.path : request.url.pathname;
  return (path.split("/").at(-1) ?? "").replace(/[^\w.-]+/g, "_") || "image";
}

async function localImage(
  request: Extract<ImageRequest, { kind: "local" }>,
  sources: ImageSources,
): Promise<Image> {
  const file = sources.fileOf(request.path);
  if (file !== null) return { type: file.type, body: await buffer(createReadStream(file.path)) };
  const asked = await sources.ask(`${request.path}${request.query}`);
  if (asked !== null) return { type: asked.headers["content-type"] ?? "", body: await bounded(asked) };
  throw new ImageFailure({ status: 404, code: "NOT_FOUND", message: NOT_AN_IMAGE });
}

/** Each hop of a redirect is checked like the first, for the address as for what the configuration allows. */
async function remoteImage(first: URL, sources: ImageSources): Promise<Image> {
  let url = first;
  for (let hop = 0; hop <= REDIRECTS; hop++) {
    const answer = await askRemote(url, sources).catch((error) => {
      const refused = error instanceof AppError && error.code === "bad_request";
      throw new ImageFailure(refused ? NOT_ALLOWED : externalFailure("could not be fetched"));
    });
    const { statusCode = 0, headers } = answer;
    if (statusCode >= 300 && statusCode < 400 && headers.location) {
      answer.destroy();
      url = nextHop(headers.location, url, sources);
      continue;
    }
    if (statusCode !== 200) {
      answer.destroy();
      throw new ImageFailure(externalFailure(`answered with status ${statusCode}`));
    }
    return { type: headers["content-type"] ?? "", body: await bounded(answer) };
  }
  throw new ImageFailure(externalFailure("redirects too often"));
}

const NOT_ALLOWED = {
  status: 400,
  code: "INVALID_IMAGE_OPTIMIZE_REQUEST",
  message: '"url" parameter is not allowed',
};

function externalFailure(problem: string): PlatformError {
  const message = `The external image ${problem}`;
  return { status: 502, code: "OPTIMIZED_EXTERNAL_IMAGE_REQUEST_FAILED", message };
}

const TOO_LARGE = { ...externalFailure(""), message: "The image is larger than 100 MB" };

function nextHop(location: string, from: URL, { images, endpoint }: ImageSources): URL {
  const next = URL.parse(location, from.href);
  const query = new URLSearchParams({ url: next?.href ?? "", w: String(images.sizes[0] ?? 0), q: "75" });
  const checked = readImageRequest(query, { ...images, qualities: null }, endpoint);
  if (typeof checked === "string" || checked.kind !== "remote") throw new ImageFailure(NOT_ALLOWED);
  return checked.url;
}

async function askRemote(url: URL, { allowNetworks }: ImageSources): Promise<IncomingMessage> {
  const headers = { host: url.host, accept: "image/*", "user-agent": "Signalbox image endpoint" };
  const request = await guardedRequest(url, { headers, allowNetworks, timeout: REMOTE_TIMEOUT_MS });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.once("response", resolve);
  request.on("error", reject);
  request.on("timeout", () => request.destroy(new Error("timeout")));
  request.end();
  return promise;
}

async function bounded(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BYTES) throw new ImageFailure(TOO_LARGE);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
