import type { IncomingMessage, ServerResponse } from "node:http";
import { requests } from "./context.ts";

/** The classes of a realm: Node's own, or those of an edge function's context. */
export type Realm = {
  readonly Request: typeof Request;
  readonly ReadableStream: typeof ReadableStream;
};

const BODYLESS = new Set(["GET", "HEAD", "TRACE"]);

/** A request of Node's as the web's. Its body is read only when the handler reads it. */
export function toWebRequest(req: IncomingMessage, realm: Realm): Request {
  const context = requests.getStore();
  const method = req.method ?? "GET";
  const headers: [string, string][] = [];
  for (let at = 0; at < req.rawHeaders.length; at += 2) {
    headers.push([req.rawHeaders[at] ?? "", req.rawHeaders[at + 1] ?? ""]);
  }
  const hasBody =
    !BODYLESS.has(method) &&
    (req.headers["transfer-encoding"] !== undefined || (req.headers["content-length"] ?? "0") !== "0");
  const init = {
    method,
    headers,
    ...(hasBody ? { body: bodyOf(req, realm), duplex: "half" } : {}),
    ...(context?.cancellation ? { signal: context.cancellation.signal } : {}),
  };
  return new realm.Request(context?.url ?? `http://localhost${req.url}`, init as RequestInit);
}

function bodyOf(req: IncomingMessage, realm: Realm): ReadableStream<Uint8Array> {
  const reader = req.iterator({ destroyOnReturn: false });
  return new realm.ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await reader.next();
      if (done) controller.close();
      else controller.enqueue(new Uint8Array(value));
    },
    async cancel() {
      await reader.return?.();
    },
  });
}

/** Writes a web `Response` as it comes, at the client's pace. */
export async function sendWebResponse(
  response: Response,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const headers: string[] = [];
  // `set-cookie` comes once for each cookie: it is the one header whose values must not be joined.
  response.headers.forEach((value, name) => {
    headers.push(name, value);
  });
  res.writeHead(response.status, response.statusText || undefined, headers);
  if (response.body === null || req.method === "HEAD") {
    await response.body?.cancel().catch(() => {});
    res.end();
    return;
  }
  // Headers at once: the first byte of the body may come much later.
  res.flushHeaders();
  const reader = response.body.getReader();
  res.once("close", () => {
    if (!res.writableFinished) reader.cancel().catch(() => {});
  });
  for (;;) {
    const { value, done } = await reader.read();
    if (done || res.destroyed) break;
    if (!res.write(bytesOf(value))) await drained(res);
  }
  res.end();
}

function bytesOf(chunk: unknown): Uint8Array {
  if (typeof chunk === "string") return Buffer.from(chunk);
  // Bytes of another realm are no `Uint8Array` to this one.
  if (ArrayBuffer.isView(chunk)) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  throw new TypeError("A Response's body gave a chunk that is neither bytes nor text.");
}

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.off("drain", done);
      res.off("close", done);
      resolve();
    };
    res.on("drain", done);
    res.on("close", done);
  });
}
