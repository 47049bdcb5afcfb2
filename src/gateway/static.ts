import type { ReadStream } from "node:fs";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Content } from "./content.ts";
import { chooseEncoding, isUnchanged, parseRange, type Range, rangeApplies } from "./preconditions.ts";
import type { ManifestFile } from "./snapshot.ts";

/** The answer to a request for a file: all but its bytes. */
export type FileAnswer = {
  readonly status: number;
  /** Name and value alternating. */
  readonly headers: string[];
  /** What to send; null: no body. */
  readonly body: { readonly digest: string; readonly size: number; readonly range: Range | null } | null;
};

/**
 * Decides the answer for one file. Pure.
 * @param status 200, or the status of the error page that the file is; conditions and ranges only apply to 200
 * @param extra headers of the release's routes, names in lower case; they win over ours
 */
export function answerFile(
  file: ManifestFile,
  request: IncomingHttpHeaders,
  options: {
    readonly status: number;
    readonly head: boolean;
    readonly extra: Readonly<Record<string, string>>;
  },
): FileAnswer {
  const encodings = file.encodings ?? {};
  const encoding = chooseEncoding(request["accept-encoding"], encodings);
  const variant = (encoding === null ? undefined : encodings[encoding]) ?? file;
  const etag = `"${variant.digest}"`;
  const headers = fileHeaders(file, encoding, etag, options);
  if (options.status === 200) {
    if (isUnchanged(request["if-none-match"], etag)) return { status: 304, headers, body: null };
    const range = rangeApplies(request["if-range"]?.toString(), etag)
      ? parseRange(request.range, variant.size)
      : null;
    if (range === "unsatisfiable") {
      return { status: 416, headers: ["content-range", `bytes */${variant.size}`], body: null };
    }
    if (range !== null) {
      headers.push("content-range", `bytes ${range.first}-${range.last}/${variant.size}`);
      headers.push("content-length", String(range.last - range.first + 1));
      return { status: 206, headers, body: options.head ? null : { ...variant, range } };
    }
  }
  headers.push("content-length", String(variant.size));
  return { status: options.status, headers, body: options.head ? null : { ...variant, range: null } };
}

/** Headers of files that no route adds to, by file and encoding: made once, and copied for each answer. */
const plain = new WeakMap<ManifestFile, Map<string | null, readonly string[]>>();

function fileHeaders(
  file: ManifestFile,
  encoding: string | null,
  etag: string,
  options: { readonly status: number; readonly extra: Readonly<Record<string, string>> },
): string[] {
  for (const _ in options.extra) return madeHeaders(file, encoding, etag, options);
  if (options.status !== 200) return madeHeaders(file, encoding, etag, options);
  const known = plain.get(file) ?? new Map<string | null, readonly string[]>();
  const headers = known.get(encoding) ?? madeHeaders(file, encoding, etag, options);
  if (!known.has(encoding)) plain.set(file, known.set(encoding, headers));
  return headers.slice();
}

function madeHeaders(
  file: ManifestFile,
  encoding: string | null,
  etag: string,
  options: { readonly status: number; readonly extra: Readonly<Record<string, string>> },
): string[] {
  const ours: Record<string, string> = {
    "content-type": file.type,
    "cache-control":
      file.immutable && options.status === 200
        ? "public, max-age=31536000, immutable"
        : "public, max-age=0, must-revalidate",
    etag,
    "x-content-type-options": "nosniff",
  };
  if (options.status === 200) ours["accept-ranges"] = "bytes";
  if (Object.keys(file.encodings ?? {}).length > 0) ours.vary = "Accept-Encoding";
  if (encoding !== null) ours["content-encoding"] = encoding;
  const { "content-length": _, ...extra } = options.extra;
  return Object.entries({ ...ours, ...extra }).flat();
}

/**
 * Sends a file's bytes: from memory when it is small, else streamed at the client's pace.
 * @param onHead called just before the head is sent
 * @returns the bytes sent
 * @throws when the store does not hold the bytes; nothing was sent then
 */
export async function sendFile(
  res: ServerResponse,
  answer: FileAnswer,
  store: string,
  content: Content,
  onHead: () => void,
): Promise<number> {
  const { status, headers, body } = answer;
  if (body === null || body.size === 0) {
    onHead();
    res.writeHead(status, headers);
    res.end();
    return 0;
  }
  const kept = content.small(store, body.digest, body.size);
  if (kept !== null) {
    const whole = Buffer.isBuffer(kept) ? kept : await kept;
    const bytes = body.range === null ? whole : whole.subarray(body.range.first, body.range.last + 1);
    if (res.destroyed) return 0;
    onHead();
    res.writeHead(status, headers);
    res.end(bytes);
    return bytes.length;
  }
  const range = body.range ?? { first: 0, last: body.size - 1 };
  return streamFile(res, answer, content.stream(store, body.digest, range), onHead);
}

async function streamFile(
  res: ServerResponse,
  { status, headers }: FileAnswer,
  file: ReadStream,
  onHead: () => void,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  file.once("open", () => {
    if (res.destroyed) return file.destroy();
    onHead();
    res.writeHead(status, headers);
    file.pipe(res);
  });
  file.once("error", (error) => {
    if (!res.headersSent) return reject(error);
    res.destroy();
  });
  res.once("close", () => file.destroy());
  file.once("close", () => resolve(file.bytesRead));
  return promise;
}
