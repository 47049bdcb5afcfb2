import type { IncomingMessage } from "node:http";
import net from "node:net";
import { type AnswerEvents, AnswerParser, MalformedAnswer } from "../foundation/http1/answer-parser.ts";
import { parseAnswerHeaders } from "./response-headers.ts";

export type AppRequest = {
  readonly method: string;
  /** Path and query, visible ASCII or ISO 8859-1 only. */
  readonly target: string;
  /** Name and value alternating; as strict a parser as node's has passed them. */
  readonly headers: readonly string[];
  /** The request whose body is sent along; null: no body. */
  readonly body: IncomingMessage | null;
  /** True: the body has no length, and goes in chunks. */
  readonly chunked: boolean;
};

/** Who gets an answer. Exactly one of `onEnd` and `onFailure` is the last call. */
export type AnswerSink = AnswerEvents & { onFailure(failure: AppFailure): void };

export type AppFailure = {
  /** `connect`: nothing was sent. `lost`: the connection ended before the answer did. */
  readonly kind: "connect" | "lost" | "malformed" | "timeout";
  /** True: the app cannot have seen any of the request, and nothing of its body was taken. */
  readonly untouched: boolean;
  /** The connection had served other requests before: the app may just have closed it for being idle. */
  readonly reused: boolean;
  readonly code: string;
};

// Each read is dealt with before the next: all connections of a worker can share one buffer.
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1_024);

/** One connection to an app: one request at a time. */
export class AppConnection implements AnswerEvents {
  private readonly socket: net.Socket;
  private readonly parser = new AnswerParser(parseAnswerHeaders);
  private readonly onFree: (connection: AppConnection) => void;
  private sink: AnswerSink | null = null;
  private body: IncomingMessage | null = null;
  private bodyDone = true;
  private untouched = true;
  private uses = 0;
  private connected = false;
  private isPaused = false;
  private errorCode = "";
  private failureKind: AppFailure["kind"] | null = null;
  /** Since when it waits for the head of an answer; 0: it does not. */
  waitingSinceMs = 0;
  idleSinceMs = 0;

  /** @param onFree called when it is ready for the next request */
  constructor(
    path: string,
    onFree: (connection: AppConnection) => void,
    onClose: (connection: AppConnection) => void,
  ) {
    this.onFree = onFree;
    this.socket = net.connect({
      path,
      onread: { buffer: READ_BUFFER, callback: (bytes, buffer) => this.read(buffer, bytes) },
    });
    this.socket.once("connect", () => {
      this.connected = true;
    });
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code ?? "";
    });
    this.socket.on("drain", () => this.body?.resume());
    this.socket.once("end", () => {
      if (this.sink !== null) this.parser.close(this);
      this.socket.destroy();
    });
    this.socket.once("close", () => {
      onClose(this);
      this.fail();
    });
  }

  send(request: AppRequest, sink: AnswerSink, nowMs: number): void {
    this.sink = sink;
    this.uses++;
    this.untouched = true;
    this.waitingSinceMs = nowMs;
    this.parser.start(request.method);
    const head = headOf(request);
    if (request.body === null) {
      this.bodyDone = true;
      // Whether it was touched only matters for what must not be sent twice.
      if (isRepeatable(request)) this.socket.write(head, "latin1");
      else this.socket.write(head, "latin1", this.onWritten);
      return;
    }
    this.bodyDone = false;
    // The body only follows once the head was taken: until then the request can go to another connection.
    this.socket.write(head, "latin1", (error) => {
      this.onWritten(error);
      if (!error) this.sendBody(request);
    });
  }

  private onWritten = (error?: Error | null): void => {
    if (!error) this.untouched = false;
  };

  private sendBody({ body, chunked }: AppRequest): void {
    if (body === null || this.sink === null) return;
    this.body = body;
    const { socket } = this;
    body.on("data", (chunk: Buffer) => {
      if (this.body !== body) return;
      if (!writeChunk(socket, chunk, chunked)) body.pause();
    });
    body.once("end", () => {
      if (this.body !== body) return;
      this.body = null;
      this.bodyDone = true;
      if (chunked) socket.write("0\r\n\r\n", "latin1");
    });
  }

  /** Stops reading until `resume`, or until the answer turns out to have been read already. */
  pause(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.socket.resume();
  }

  /** Ends it whatever it is doing; its sink hears of it, unless `abandon` was called before. */
  destroy(kind: AppFailure["kind"] | null = null): void {
    this.failureKind = kind;
    this.socket.destroy();
  }

  /** The client is gone: nobody wants the answer any more. */
  abandon(): void {
    this.sink = null;
    this.body = null;
    this.socket.destroy();
  }

  private read(buffer: Uint8Array, bytes: number): boolean {
    if (this.sink === null) {
      this.socket.destroy();
      return true;
    }
    try {
      this.parser.read(buffer as Buffer, bytes, this);
    } catch (error) {
      if (!(error instanceof MalformedAnswer)) throw error;
      this.errorCode = error.message;
      this.destroy("malformed");
    }
    return true;
  }

  onHead(head: Parameters<AnswerEvents["onHead"]>[0]): void {
    this.waitingSinceMs = 0;
    this.sink?.onHead(head);
  }

  onBody(part: Buffer | string): void {
    this.sink?.onBody(part);
  }

  onEnd(): void {
    const { sink } = this;
    this.sink = null;
    // An answer before the end of its request: the rest of the body is not for the next one to find.
    const reusable = this.parser.reusable && this.bodyDone;
    this.body = null;
    if (this.isPaused) this.resume();
    sink?.onEnd();
    if (reusable && !this.socket.destroyed) this.onFree(this);
    else this.socket.destroy();
  }

  get idleLimitMs(): number {
    return this.parser.idleLimitMs;
  }

  private fail(): void {
    const { sink } = this;
    this.sink = null;
    this.body = null;
    if (sink === null) return;
    sink.onFailure({
      kind: this.failureKind ?? (this.connected ? "lost" : "connect"),
      untouched: this.untouched,
      reused: this.uses > 1,
      code: this.errorCode,
    });
  }
}

/** True: sending it twice does no harm (RFC 9110 §9.2.1). */
export function isRepeatable({ method, body }: Pick<AppRequest, "method" | "body">): boolean {
  return body === null && (method === "GET" || method === "HEAD" || method === "OPTIONS");
}

function headOf({ method, target, headers, chunked }: AppRequest): string {
  let head = `${method} ${target} HTTP/1.1\r\nconnection: keep-alive\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return chunked ? `${head}transfer-encoding: chunked\r\n\r\n` : `${head}\r\n`;
}

function writeChunk(socket: net.Socket, chunk: Buffer, chunked: boolean): boolean {
  if (!chunked) return socket.write(chunk);
  socket.cork();
  socket.write(`${chunk.length.toString(16)}\r\n`, "latin1");
  socket.write(chunk);
  const more = socket.write("\r\n", "latin1");
  socket.uncork();
  return more;
}
