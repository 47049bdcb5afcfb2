import type { ServerResponse } from "node:http";
import { type AnswerHead, MalformedAnswer, SMALL_BODY_BYTES } from "../foundation/http1/answer-parser.ts";
import {
  type AnswerSink,
  type AppConnection,
  type AppFailure,
  type AppRequest,
  isRepeatable,
} from "./app-connection.ts";
import { forwardedFor } from "./connections.ts";
import { type ErrorPage, PAGES, sendErrorPage } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import type { ScannedHeaders } from "./request-headers.ts";
import type { LongStream } from "./streams.ts";
import type { Served } from "./table.ts";

// An app that restarts is away for about this long; nothing was sent yet, so waiting is safe for any method.
const CONNECT_RETRY_MS = 2_000;
const FIRST_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 250;

/** Sends a request to the release's process and its answer to the client, both as streams, at the slower's pace. */
export function forward(exchange: Exchange, served: Served, scanned: ScannedHeaders, target: string): void {
  if (served.upstream === null) return void fail(exchange, PAGES.asleep);
  if (NOT_A_TARGET.test(target))
    return void fail(exchange, PAGES.badRequest("The path cannot be passed on."));
  const forwarding = new Forwarding(exchange, served, scanned, target);
  exchange.onGone = () => forwarding.gone();
  forwarding.send();
}

// What would end the request line early, or be more than a byte.
const NOT_A_TARGET = /[^\u0021-\u00ff]/;

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

class Forwarding implements AnswerSink {
  private readonly exchange: Exchange;
  private served: Served;
  private readonly request: AppRequest;
  private connection: AppConnection | null = null;
  private isGone = false;
  private isEnded = false;
  private backoffMs = FIRST_BACKOFF_MS;
  private wasRetried = false;
  private isPaused = false;
  private stream: LongStream | null = null;

  constructor(exchange: Exchange, served: Served, scanned: ScannedHeaders, target: string) {
    this.exchange = exchange;
    this.served = served;
    const { req } = exchange;
    this.request = {
      method: req.method ?? "GET",
      target,
      headers: addForwarded(exchange, scanned),
      body: scanned.hasBody ? req : null,
      chunked: scanned.chunked,
    };
  }

  send(): void {
    const { served, request, exchange } = this;
    this.connection = served.upstream?.send(request, this, exchange.gateway.clock.monotonicMs()) ?? null;
  }

  gone(): void {
    this.isGone = true;
    this.connection?.abandon();
    this.closeStream();
  }

  onHead(head: AnswerHead): void {
    const { exchange, served } = this;
    const { res, setCookie } = exchange;
    head.headers.push("x-signalbox-deployment", served.id);
    if (setCookie !== null) head.headers.push("set-cookie", setCookie);
    if (exchange.gateway.draining) res.shouldKeepAlive = false;
    try {
      res.writeHead(head.status, head.headers);
    } catch {
      // node refuses to send what is no header.
      throw new MalformedAnswer("a header that cannot be passed on");
    }
    exchange.answered(head.status);
    // A body this small comes with the head, and goes out with it. Any other must not keep the head waiting.
    if (head.length < 0 || head.length > SMALL_BODY_BYTES) setImmediate(flushHead, res);
    if (head.eventStream) this.openStream();
  }

  onBody(part: Buffer | string): void {
    const { exchange } = this;
    const { res } = exchange;
    exchange.bytes += part.length;
    if (typeof part === "string") {
      // The rest of the body: head and text leave in one write.
      this.isEnded = true;
      res.end(part, "latin1");
    } else if (!res.write(part) && !this.isPaused) {
      this.isPaused = true;
      this.connection?.pause();
      res.once("drain", () => {
        this.isPaused = false;
        this.connection?.resume();
      });
    }
  }

  onEnd(): void {
    this.exchange.onGone = null;
    this.connection = null;
    if (!this.isEnded) this.exchange.res.end();
    this.closeStream();
  }

  onFailure(failure: AppFailure): void {
    this.closeStream();
    if (this.isGone || this.isEnded) return;
    const { exchange } = this;
    if (exchange.res.headersSent) return void exchange.res.destroy();
    if (failure.kind === "connect" && this.isInRetryTime()) return void this.retryLater();
    // The app closed an idle connection just as it was used. Only safe to send again when it cannot have been read.
    const isSafe = failure.untouched || isRepeatable(this.request);
    if (failure.kind === "lost" && failure.reused && !this.wasRetried && isSafe) {
      this.wasRetried = true;
      return void this.send();
    }
    fail(exchange, pageOf(failure));
  }

  private isInRetryTime(): boolean {
    const { gateway, startedMs } = this.exchange;
    return gateway.clock.monotonicMs() - startedMs < CONNECT_RETRY_MS;
  }

  private async retryLater(): Promise<void> {
    const { gateway } = this.exchange;
    await gateway.clock.sleep(this.backoffMs);
    // A snapshot in the meantime may have brought the app's new socket.
    this.served = gateway.table.release(this.served.id) ?? this.served;
    this.backoffMs = Math.min(this.backoffMs * 2, MAX_BACKOFF_MS);
    if (!this.isGone) this.send();
  }

  private openStream(): void {
    const { exchange, served } = this;
    served.tally.streams++;
    this.stream = {
      host: exchange.host,
      release: served.id,
      named: exchange.named,
      end: () => {
        this.isEnded = true;
        exchange.res.end();
        this.connection?.abandon();
        this.closeStream();
      },
    };
    exchange.gateway.streams.add(this.stream);
  }

  private closeStream(): void {
    if (this.stream === null) return;
    this.exchange.gateway.streams.delete(this.stream);
    this.served.tally.streams--;
    this.stream = null;
  }
}

function pageOf({ kind }: AppFailure): ErrorPage {
  if (kind === "timeout") return PAGES.timeout;
  return kind === "connect" ? PAGES.unreachable : PAGES.broken;
}

function flushHead(res: ServerResponse): void {
  if (!res.writableEnded && !res.destroyed) res.flushHeaders();
}
