import { StringDecoder } from "node:string_decoder";
import type { Redactor } from "./redact.ts";

// A line without an end is handed on in pieces of this size, so that a build cannot fill our memory with one line.
const LONGEST_LINE = 16_384;

/**
 * Cuts a stream's bytes into redacted lines. A secret is found however the bytes are cut, because text leaves only
 * when it is a whole line, or when nothing at its end can be the beginning of a secret.
 */
export class LineCutter {
  readonly #decoder = new StringDecoder("utf8");
  readonly #redactor: Redactor;
  readonly #emit: (line: string) => void;
  #pending = "";

  constructor(redactor: Redactor, emit: (line: string) => void) {
    this.#redactor = redactor;
    this.#emit = emit;
  }

  write(chunk: Buffer): void {
    this.#pending += this.#decoder.write(chunk);
    const end = this.#pending.lastIndexOf("\n");
    if (end >= 0) {
      const whole = this.#pending.slice(0, end);
      this.#pending = this.#pending.slice(end + 1);
      for (const line of whole.split("\n")) this.#send(line);
    }
    if (this.#pending.length > LONGEST_LINE) this.flushPartial();
  }

  /** True while text waits for the end of its line. */
  get waiting(): boolean {
    return this.#pending !== "";
  }

  /** Hands on an unfinished line, for a prompt or a progress text that ends without a line end. */
  flushPartial(): void {
    const kept = this.#redactor.undecided(this.#pending);
    const text = this.#pending.slice(0, this.#pending.length - kept);
    this.#pending = this.#pending.slice(this.#pending.length - kept);
    if (text !== "") this.#send(text);
  }

  end(): void {
    const text = this.#pending + this.#decoder.end();
    this.#pending = "";
    if (text !== "") this.#send(text);
  }

  #send(line: string): void {
    const text = this.#redactor.redact(line).replace(/\r$/, "");
    // A progress bar rewrites its line with carriage returns: a terminal shows the last writing.
    this.#emit(text.slice(text.lastIndexOf("\r") + 1));
  }
}
