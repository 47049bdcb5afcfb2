import type { ServerResponse } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { errorCodeOf } from "../foundation/errors.ts";
import { forwardedFor } from "./connections.ts";
import { type ErrorPage, PAGES, sendErrorPage } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import { HEADERS_TIMEOUT_MS } from "./pool.ts";
import type { ScannedHeaders } from "./request-headers.ts";
import { answerHeaders } from "./response-headers.ts";
import type { LongStream } from "./streams.ts";
import type { Served } from "./table.ts";

// An app that restarts is away for about this long; nothing was sent yet, so waiting is safe for any method.
const CONNECT_RETRY_MS = 2_000;
const FIRST_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 250;
// Node writes a head and body of up to 16 KiB in one call without allocating.
const ONE_WRITE_BYTES = 8 * 1_024;

/** Sends a request to the release's process and its answer to the client, both as streams, at the slower's pace. */
export function forward(exchange: Exchange, served: Served, scanned: ScannedHeaders, target: string): void {
  if (served.upstream === null) return void fail(exchange, PAGES.asleep);
  const forwarding = new Forwarding(exchange, served, scanned, target);
  exchange.onGone = () => forwarding.gone();
  forwarding.dispatch();
}

/** The two header lists that name the client, appended to what the client sent. */
export function addForwarded(exchange: Exchange, scanned: ScannedHeaders): string[] {
  const { connection } = exchange;
  const host = scanned.host ?? exchange.host;
  scanned.forward.push(
    "x-forwarded-for",
    connection.address,
    "x-forwarded-host",
    host,
    "x-forwarded-proto",
    "http",
    "forwarded",
    forwardedFor(connection, host),
  );
  return scanned.forward;
}

export function fail(exchange: Exchange, page: ErrorPage): void {
  const { res, req, served } = exchange;
  if (exchange.status === 0) exchange.answered(page.status);
  exchange.bytes = sendErrorPage(res, page, {
    accept: req.headers.accept ?? "",
    head: req.method === "HEAD",
    release: served?.id ?? null,
  });
}

class Forwarding implements Dispatcher.DispatchHandler {
  readonly exchange: Exchange;
  readonly served: Served;
  readonly options: Dispatcher.DispatchOptions & { readonly servername: string };
  readonly body: Readable | null;
  abort: ((error?: Error) => void) | null = null;
  isGone = false;
  backoffMs = FIRST_BACKOFF_MS;
  staleRetried = false;
  length = -1;
  ended = false;
  stream: LongStream | null = null;

  constructor(exchange: Exchange, served: Served, scanned: ScannedHeaders, path: string) {
    this.exchange = exchange;
    this.served = served;
    const { req } = exchange;
    // Not the request itself: undici destroys a body that it no longer needs, and with it the client's connection.
    this.body = scanned.hasBody ? req.pipe(new PassThrough()) : null;
    this.options = {
      path,
      method: req.method ?? "GET",
      headers: addForwarded(exchange, scanned),
      body: this.body,
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: 0,
      // Otherwise undici closes the connection after each HEAD.
      reset: false,
      // Otherwise undici parses the host as an IP address each time, for a TLS that a unix socket never has.
      servername: "app",
    };
  }

  dispatch(): void {
    this.served.upstream?.dispatch(this.options, this);
  }

  gone(): void {
    this.isGone = true;
    this.body?.destroy();
    this.abort?.();
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.isGone) abort();
    else this.abort = abort;
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    if (status < 200) return true;
    const { exchange } = this;
    const { res, setCookie } = exchange;
    const answer = answerHeaders(raw, this.served.id);
    if (setCookie !== null) answer.headers.push("set-cookie", setCookie);
    this.length = answer.length;
    exchange.answered(status);
    res.writeHead(status, answer.headers);
    // A body this small comes with the head, and goes out with it. Any other must not keep the head waiting.
    if (answer.length < 0 || answer.length > ONE_WRITE_BYTES) setImmediate(flushHead, res);
    if (answer.eventStream) this.openStream();
    res.on("drain", resume);
    return true;
  }

  onData(chunk: Buffer): boolean {
    const { res } = this.exchange;
    this.exchange.bytes += chunk.length;
    if (chunk.length === this.length && chunk.length <= ONE_WRITE_BYTES) {
      this.ended = true;
      res.end(chunk.toString("latin1"), "latin1");
      return true;
    }
    return res.write(chunk);
  }

  onComplete(): void {
    this.abort = null;
    this.exchange.onGone = null;
    if (!this.ended) this.exchange.res.end();
    this.closeStream();
  }

  onError(error: Error): void {
    this.closeStream();
    if (this.isGone || this.ended) return;
    const { exchange } = this;
    const wasSent = this.abort !== null;
    this.abort = null;
    if (exchange.res.headersSent || exchange.status !== 0) {
      exchange.res.destroy();
      return;
    }
    if (!wasSent && this.canRetryConnect(error)) return void this.retryLater();
    if (wasSent && this.canRetryStale(error)) {
      this.staleRetried = true;
      return void this.dispatch();
    }
    fail(exchange, pageOf(error, wasSent));
  }

  canRetryConnect(error: Error): boolean {
    const { gateway, startedMs } = this.exchange;
    return (
      RETRIED.has(errorCodeOf(error) ?? "") && gateway.clock.monotonicMs() - startedMs < CONNECT_RETRY_MS
    );
  }

  /** The app closed an idle connection just as we used it. Only safe to send again when the method says so. */
  canRetryStale(error: Error): boolean {
    const { method } = this.options;
    const safe = method === "GET" || method === "HEAD" || method === "OPTIONS";
    return safe && this.body === null && !this.staleRetried && errorCodeOf(error) === "UND_ERR_SOCKET";
  }

  async retryLater(): Promise<void> {
    const { gateway } = this.exchange;
    await gateway.clock.sleep(this.backoffMs);
    this.backoffMs = Math.min(this.backoffMs * 2, MAX_BACKOFF_MS);
    if (this.isGone) return;
    this.dispatch();
  }

  openStream(): void {
    const { exchange, served } = this;
    this.stream = {
      host: exchange.host,
      release: served.id,
      end: () => {
        this.ended = true;
        exchange.res.end();
        this.abort?.();
      },
    };
    exchange.gateway.streams.add(this.stream);
  }

  closeStream(): void {
    if (this.stream !== null) this.exchange.gateway.streams.delete(this.stream);
    this.stream = null;
  }
}

// What connecting to a unix socket fails with while its process is away, starting, or behind with accepting.
const RETRIED = new Set([
  "ECONNREFUSED",
  "ENOENT",
  "EAGAIN",
  "ECONNRESET",
  "UND_ERR_SOCKET",
  "UND_ERR_CLOSED",
]);

function pageOf(error: Error, wasSent: boolean): ErrorPage {
  const code = errorCodeOf(error);
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_CONNECT_TIMEOUT") return PAGES.timeout;
  if (code === "UND_ERR_INVALID_ARG" || code === "UND_ERR_NOT_SUPPORTED") {
    return PAGES.badRequest("The request has a header or a path that cannot be passed on.");
  }
  return wasSent ? PAGES.broken : PAGES.unreachable;
}

function flushHead(res: ServerResponse): void {
  if (!res.writableEnded && !res.destroyed) res.flushHeaders();
}
