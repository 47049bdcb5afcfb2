import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { addCacheTag, purge, runtimeCache, type Tags } from "./runtime-cache.ts";

/** One request inside a function's process: whose log lines are whose, and what `waitUntil` belongs to. */
export type RequestContext = {
  readonly requestId: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly url: string;
  readonly res: ServerResponse;
  readonly cancellation: AbortController | null;
};

export const requests = new AsyncLocalStorage<RequestContext>();

const pending = new Set<Promise<unknown>>();
let onBusy: (busy: boolean) => void = () => {};

export function contextOf(req: IncomingMessage, res: ServerResponse, cancellation: boolean): RequestContext {
  const { headers, method = "GET", url = "/" } = req;
  const host = first(headers["x-forwarded-host"]) || headers.host || "localhost";
  const at = url.indexOf("?");
  return {
    requestId: first(headers["x-vercel-id"]),
    method,
    host,
    path: at === -1 ? url : url.slice(0, at),
    headers,
    url: `${first(headers["x-forwarded-proto"]) || "https"}://${host}${url}`,
    res,
    cancellation: cancellation ? abortedBy(res) : null,
  };
}

/** A client that goes away before its answer is complete. */
function abortedBy(res: ServerResponse): AbortController {
  const controller = new AbortController();
  res.once("close", () => {
    if (!res.writableFinished) controller.abort();
  });
  return controller;
}

/** The process is kept until the promise has settled. Its failure is logged and ends nothing. */
export function waitUntil(promise: unknown): void {
  const work = Promise.resolve(typeof promise === "function" ? promise() : promise)
    .catch((error) => console.error(error))
    .finally(() => {
      pending.delete(work);
      if (pending.size === 0) onBusy(false);
    });
  pending.add(work);
  if (pending.size === 1) onBusy(true);
}

/** Everything handed to `waitUntil`, and what that hands on in turn. */
export async function settled(): Promise<void> {
  while (pending.size > 0) await Promise.allSettled([...pending]);
}

export function watchBusy(listener: (busy: boolean) => void): void {
  onBusy = listener;
}

/** What `@vercel/functions` and frameworks read: the request at hand, wherever in its code they ask. */
export function installRequestContext(global: object): void {
  Object.defineProperty(global, Symbol.for("@vercel/request-context"), {
    enumerable: false,
    configurable: true,
    value: {
      get() {
        const request = requests.getStore();
        const shared = { waitUntil, cache: runtimeCache, purge };
        if (!request) return shared;
        const { headers, url, res } = request;
        return { ...shared, headers, url, addCacheTag: (tag: Tags) => addCacheTag(res, tag) };
      },
    },
  });
}

function first(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? "";
}
