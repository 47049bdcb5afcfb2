import http from "node:http";
import { duplexPair } from "node:stream";
import { z } from "zod";
import type { CacheAnswer } from "./child/protocol.ts";

const Renewal = z.object({
  verb: z.literal("renew"),
  path: z.string().startsWith("/").max(16_384),
  headers: z.array(z.string()).max(200),
});

/** What a function asks for when it renews a page of its own release; null for any other question. */
export function readRenewal(question: unknown): z.infer<typeof Renewal> | null {
  return Renewal.safeParse(question).data ?? null;
}

/** Asks this server as a visitor would, over a connection that is in memory only. */
export function askSelf(
  server: http.Server,
  { path, headers }: z.infer<typeof Renewal>,
): Promise<CacheAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<CacheAnswer>();
  const [near, far] = duplexPair();
  server.emit("connection", far);
  const request = http.request({
    createConnection: () => near,
    method: "HEAD",
    path,
    headers: [...headers, "connection", "close"],
    setHost: false,
  });
  request.once("response", (response) => {
    response.resume();
    const { statusCode: status = 500, headers: answered } = response;
    resolve({ value: { status, cache: answered["x-vercel-cache"] ?? "" }, storedAtMs: 0, stale: false });
  });
  request.once("error", reject);
  request.end();
  return promise;
}
