import type { AnswerHeaders, ParseHeaders } from "./answer-headers.ts";

/** What a parser tells of the answer that it reads. */
export type AnswerEvents = {
  onHead(head: AnswerHead): void;
  /** A part of the body. Text stands for bytes, one each (ISO 8859-1). */
  onBody(part: Buffer | string): void;
  /** The answer is whole. */
  onEnd(): void;
};

export type AnswerHead = AnswerHeaders & { readonly status: number };

/** The answer breaks the protocol: it is not passed on, and its connection not used again. */
export class MalformedAnswer extends Error {}

const MAX_HEAD_BYTES = 64 * 1_024;
const HEAD_END = Buffer.from("\r\n\r\n");
// A body this small is handed over as text: node writes a head and a text in one call.
export const SMALL_BODY_BYTES = 8 * 1_024;

type State = "head" | "fixed" | "until-close" | "chunk-size" | "chunk" | "chunk-end" | "trailers" | "done";

/**
 * Reads the answers of one connection (RFC 9112), one after the other. Strict: only CRLF ends a line, lengths are
 * plain digits, and an answer has one way to end; what breaks that throws.
 */
export class AnswerParser {
  private state: State = "done";
  private head = "";
  private remaining = 0;
  private line = "";
  private isHead = false;
  private readonly parseHeaders: ParseHeaders;
  /** After the end: whether the connection may be used for another request, and for how long it may wait for it. */
  reusable = false;
  idleLimitMs = Infinity;

  constructor(parseHeaders: ParseHeaders) {
    this.parseHeaders = parseHeaders;
  }

  /** Expects the answer of a request. */
  start(method: string): void {
    this.state = "head";
    this.head = "";
    this.line = "";
    this.isHead = method === "HEAD";
    this.reusable = false;
  }

  get isDone(): boolean {
    return this.state === "done";
  }

  /** The connection was closed by the other side. @returns false when that cut the answer short */
  close(events: AnswerEvents): boolean {
    if (this.state === "until-close") this.end(events);
    return this.state === "done";
  }

  /** Takes bytes `0..length` of a buffer that is used again afterwards. @throws MalformedAnswer */
  read(buffer: Buffer, length: number, events: AnswerEvents): void {
    let at = 0;
    while (at < length) {
      switch (this.state) {
        case "head":
          at = this.readHead(buffer, at, length, events);
          break;
        case "fixed":
        case "chunk":
          at = this.readBody(buffer, at, length, events);
          break;
        case "until-close":
          events.onBody(Buffer.from(buffer.subarray(at, length)));
          at = length;
          break;
        case "done":
          throw new MalformedAnswer("bytes after the end of the answer");
        default:
          at = this.readLine(buffer, at, length, events);
      }
    }
  }

  private readHead(buffer: Buffer, at: number, length: number, events: AnswerEvents): number {
    let next: number;
    if (this.head === "") {
      const end = buffer.indexOf(HEAD_END, at);
      next = end + HEAD_END.length;
      const isWhole = end !== -1 && next <= length;
      this.head = buffer.toString("latin1", at, isWhole ? end : length);
      if (!isWhole) return this.needMore(length);
    } else {
      const before = this.head.length;
      this.head += buffer.toString("latin1", at, length);
      const end = this.head.indexOf("\r\n\r\n", Math.max(0, before - 3));
      if (end === -1) return this.needMore(length);
      next = at + end + HEAD_END.length - before;
      this.head = this.head.slice(0, end);
    }
    const head = this.head;
    this.head = "";
    this.begin(head, events);
    return next;
  }

  private needMore(length: number): number {
    if (this.head.length > MAX_HEAD_BYTES) throw new MalformedAnswer(`a head over ${MAX_HEAD_BYTES} bytes`);
    return length;
  }

  /** Decides how the body ends (RFC 9112 §6.3). */
  private begin(text: string, events: AnswerEvents): void {
    const firstLine = text.indexOf("\r\n");
    const statusLine = firstLine === -1 ? text : text.slice(0, firstLine);
    const status = statusOf(statusLine);
    // 100 and 103 announce another answer; nobody asked for an upgrade here.
    if (status < 200) {
      if (status === 101) throw new MalformedAnswer("an upgrade that nobody asked for");
      return;
    }
    const head = this.parseHeaders(firstLine === -1 ? "" : text, firstLine + 2);
    if (head.malformed !== null) throw new MalformedAnswer(head.malformed);
    this.reusable = statusLine.charCodeAt(7) === 49 ? !head.close : head.keepAlive;
    this.idleLimitMs = head.idleLimitMs;
    events.onHead({ ...head, status });
    if (this.isHead || status === 204 || status === 304) return void this.end(events);
    if (head.chunked) {
      this.state = "chunk-size";
    } else if (head.length >= 0) {
      this.remaining = head.length;
      this.state = "fixed";
      if (head.length === 0) this.end(events);
    } else {
      this.state = "until-close";
      this.reusable = false;
    }
  }

  private readBody(buffer: Buffer, at: number, length: number, events: AnswerEvents): number {
    const next = Math.min(length, at + this.remaining);
    const bytes = next - at;
    this.remaining -= bytes;
    const isSmall = this.state === "fixed" && this.remaining === 0 && bytes <= SMALL_BODY_BYTES;
    events.onBody(isSmall ? buffer.toString("latin1", at, next) : Buffer.from(buffer.subarray(at, next)));
    if (this.remaining === 0) {
      if (this.state === "fixed") this.end(events);
      else this.state = "chunk-end";
    }
    return next;
  }

  /** The lines between chunks: sizes, the empty line after each, and the trailers, which are not passed on. */
  private readLine(buffer: Buffer, at: number, length: number, events: AnswerEvents): number {
    const newline = buffer.indexOf(10, at);
    const next = newline === -1 || newline >= length ? length : newline + 1;
    this.line += buffer.toString("latin1", at, next);
    if (this.line.length > MAX_HEAD_BYTES) throw new MalformedAnswer("an endless line in a chunked body");
    if (!this.line.endsWith("\n")) return next;
    if (!this.line.endsWith("\r\n")) throw new MalformedAnswer("a line without CR in a chunked body");
    const line = this.line.slice(0, -2);
    this.line = "";
    if (this.state === "chunk-size") {
      this.remaining = chunkSize(line);
      this.state = this.remaining === 0 ? "trailers" : "chunk";
    } else if (this.state === "chunk-end") {
      if (line !== "") throw new MalformedAnswer("a chunk longer than it said");
      this.state = "chunk-size";
    } else if (line === "") {
      this.end(events);
    }
    return next;
  }

  private end(events: AnswerEvents): void {
    this.state = "done";
    events.onEnd();
  }
}

function statusOf(line: string): number {
  const status = Number(line.slice(9, 12));
  const isHttp = line.startsWith("HTTP/1.1 ") || line.startsWith("HTTP/1.0 ");
  const after = line.charCodeAt(12);
  const isWhole = line.length === 12 || after === 32;
  if (isHttp && isWhole && status >= 100 && status <= 999) return status;
  throw new MalformedAnswer(`"${line.slice(0, 40)}" is no status line`);
}

function chunkSize(line: string): number {
  const digits = /^([0-9a-f]{1,12})[\t ]*(?:;.*)?$/i.exec(line)?.[1];
  if (digits === undefined) throw new MalformedAnswer(`"${line.slice(0, 40)}" is no chunk size`);
  return Number.parseInt(digits, 16);
}
