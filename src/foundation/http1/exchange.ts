import type net from "node:net";
import type { Clock } from "../clock.ts";
import type { ParseHeaders } from "./answer-headers.ts";
import { type AnswerEvents, type AnswerHead, AnswerParser, MalformedAnswer } from "./answer-parser.ts";

export type Asked = {
  readonly method: string;
  /** The whole head, with the empty line at its end; ISO 8859-1. */
  readonly head: string;
  readonly body: Buffer | null;
  /** More of a body than this is not read. */
  readonly maxBytes: number;
  /** False: the body is counted only. */
  readonly keepBody: boolean;
};

/** How far it came, and what of the answer was there by then. */
export type Exchanged = {
  /**
   * `closed`: the other side closed before the answer was whole; `broken`: so did the system, with `error`;
   * `malformed`: it is no HTTP, `error` says where; `aborted`: by the signal.
   */
  readonly end: "whole" | "closed" | "broken" | "malformed" | "too_large" | "aborted";
  readonly head: AnswerHead | null;
  readonly body: Buffer;
  readonly bytes: number;
  readonly error: Error | null;
  /** From the request handed to the socket to the first byte of the answer. Null: there was none. */
  readonly firstByteMs: number | null;
  /** From then to the end. */
  readonly transferMs: number | null;
};

/**
 * One request over a connection of its own, which is destroyed afterwards whatever comes of it. Never rejects.
 * @param clock read in the callbacks of the socket: what else the event loop does is not counted twice
 */
export function exchange(
  socket: net.Socket,
  asked: Asked,
  { signal, clock, parseHeaders }: { signal: AbortSignal; clock: Clock; parseHeaders: ParseHeaders },
): Promise<Exchanged> {
  return new Promise((resolve) => {
    new Exchange(socket, asked, { signal, clock, parseHeaders }, resolve).begin();
  });
}

const EMPTY = Buffer.alloc(0);

class Exchange implements AnswerEvents {
  private readonly socket: net.Socket;
  private readonly asked: Asked;
  private readonly signal: AbortSignal;
  private readonly clock: Clock;
  private readonly resolve: (exchanged: Exchanged) => void;
  private readonly parser: AnswerParser;
  private head: AnswerHead | null = null;
  private parts: Buffer[] = [];
  private bytes = 0;
  private sentMs = 0;
  private firstMs = 0;
  private settled = false;

  constructor(
    socket: net.Socket,
    asked: Asked,
    { signal, clock, parseHeaders }: { signal: AbortSignal; clock: Clock; parseHeaders: ParseHeaders },
    resolve: (exchanged: Exchanged) => void,
  ) {
    this.socket = socket;
    this.asked = asked;
    this.signal = signal;
    this.clock = clock;
    this.parser = new AnswerParser(parseHeaders);
    this.resolve = resolve;
  }

  begin(): void {
    const { socket, asked, signal } = this;
    if (signal.aborted) return void this.settle("aborted");
    signal.addEventListener("abort", this.onAbort);
    socket.on("data", this.onData);
    socket.on("end", this.onClosed);
    socket.on("close", this.onClosed);
    socket.on("error", this.onError);
    this.parser.start(asked.method);
    this.sentMs = this.clock.monotonicMs();
    if (asked.body === null) socket.write(asked.head, "latin1");
    else socket.write(Buffer.concat([Buffer.from(asked.head, "latin1"), asked.body]));
  }

  onHead(head: AnswerHead): void {
    this.head = head;
    if (head.length > this.asked.maxBytes && this.asked.method !== "HEAD") this.settle("too_large");
  }

  onBody(part: Buffer | string): void {
    this.bytes += part.length;
    if (this.bytes > this.asked.maxBytes) this.settle("too_large");
    else if (this.asked.keepBody)
      this.parts.push(typeof part === "string" ? Buffer.from(part, "latin1") : part);
  }

  onEnd(): void {}

  private onData = (chunk: Buffer): void => {
    if (this.firstMs === 0) this.firstMs = this.clock.monotonicMs();
    try {
      this.parser.read(chunk, chunk.length, this);
    } catch (error) {
      if (!(error instanceof MalformedAnswer)) throw error;
      return void this.settle("malformed", error);
    }
    if (this.parser.isDone) this.settle("whole");
  };

  private onClosed = (): void => this.settle(this.parser.close(this) ? "whole" : "closed");
  private onError = (error: Error): void => this.settle("broken", error);
  private onAbort = (): void => this.settle("aborted");

  private settle(end: Exchanged["end"], error: Error | null = null): void {
    if (this.settled) return;
    this.settled = true;
    const { parts, firstMs, clock } = this;
    this.signal.removeEventListener("abort", this.onAbort);
    // What the socket still has to say of its end is nobody's: its listener for errors stays.
    this.socket.destroy();
    this.resolve({
      end,
      head: this.head,
      body: parts.length === 0 ? EMPTY : parts.length === 1 ? (parts[0] ?? EMPTY) : Buffer.concat(parts),
      bytes: this.bytes,
      error,
      firstByteMs: firstMs === 0 ? null : firstMs - this.sentMs,
      transferMs: firstMs === 0 ? null : clock.monotonicMs() - firstMs,
    });
  }
}
