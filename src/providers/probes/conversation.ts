import { isIP, type Socket } from "node:net";
import tls from "node:tls";
import type { Failure, Outcome } from "../../checks/model.ts";
import type { ProbeContext } from "../../checks/probe-kind.ts";
import { connect, hostAndPort, isConnected, type Target, type TlsSettings } from "./connect.ts";
import { connectionFailure, timedOut } from "./connection-failure.ts";
import { certificateFailure } from "./peer-certificate.ts";

export type Observed = NonNullable<Outcome["observed"]>;

/** Why a conversation ended early; thrown through it, and its outcome. */
export class Ended extends Error {
  readonly failure: Failure;
  readonly observed: Observed;

  constructor(failure: Failure, observed: Observed = {}) {
    super(failure.message);
    this.failure = failure;
    this.observed = observed;
  }
}

/** An open connection on which bytes are asked for one after another. */
export type Conversation = {
  readonly where: string;
  readonly elapsedMs: () => number;
  write(bytes: Buffer | string): void;
  /** Exactly so many bytes. @param awaited what they are, for people: "no greeting" */
  take(length: number, awaited: string): Promise<Buffer>;
  /** Up to the next line feed, without the end of the line. */
  line(awaited: string): Promise<string>;
  /** TLS from here on, on the same connection; nothing of the peer's may be unread. */
  secure(settings: TlsSettings, host: string): Promise<void>;
  /**
   * The socket for a driver, which reads on from here. It is destroyed with the conversation, and by its signal.
   * @param isReadable of what comes, in order; what it refuses does not reach the driver
   */
  handOver(isReadable?: (chunk: Buffer) => boolean): Socket;
};

/** No protocol that is spoken here sends a line, or a piece, longer than this without being asked. */
const LARGEST = 1_048_576;
/** Of a whole conversation, a driver's part of it too: whoever sends on and on must not fill our memory. */
const MOST_READ = 8 * 1_048_576;

/**
 * One conversation on a connection of its own, closed afterwards whatever comes of it. Never rejects: what `talk`
 * throws is its failure, and after the signal that is a timeout.
 */
export async function converse(
  target: Target,
  context: ProbeContext,
  talk: (conversation: Conversation) => Promise<Outcome>,
): Promise<Outcome> {
  const startedMs = context.clock.monotonicMs();
  const connected = await connect(target, context);
  if (!isConnected(connected)) return connected;
  const open = new Open(connected.socket, hostAndPort(target), { context, startedMs });
  try {
    const outcome = await talk(open);
    return { ...outcome, phases: { ...connected.phases, ...open.phases } };
  } catch (error) {
    const observed = error instanceof Ended ? error.observed : {};
    const phases = { ...connected.phases, ...open.phases };
    return { status: "down", failure: open.failureOf(error), phases, observed };
  } finally {
    open.close();
  }
}

type Waiting = {
  readonly awaited: string;
  readonly ready: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
};

type Surroundings = { readonly context: ProbeContext; readonly startedMs: number };

class Open implements Conversation {
  readonly where: string;
  readonly phases: { firstByteMs?: number; tlsMs?: number } = {};
  private socket: Socket;
  private readonly context: ProbeContext;
  private readonly startedMs: number;
  private readonly openedMs: number;
  private buffer: Buffer = Buffer.alloc(0);
  private ended: Error | null = null;
  /** What came and cannot be read: it says more than the errors that come of it. */
  private spoiled: Ended | null = null;
  private bytes = 0;
  private waiting: Waiting | null = null;

  constructor(socket: Socket, where: string, { context, startedMs }: Surroundings) {
    this.socket = socket;
    this.where = where;
    this.context = context;
    this.startedMs = startedMs;
    this.openedMs = context.clock.monotonicMs();
    this.listen();
    context.signal.addEventListener("abort", this.onAbort, { once: true });
    if (context.signal.aborted) this.onAbort();
  }

  elapsedMs = () => this.context.clock.monotonicMs() - this.startedMs;

  write(bytes: Buffer | string): void {
    if (this.ended === null) this.socket.write(bytes);
  }

  async take(length: number, awaited: string): Promise<Buffer> {
    if (length > LARGEST)
      throw new Ended({ class: "too_large", message: `${this.where}: an answer of ${length} bytes.` });
    await this.until(awaited, () => this.buffer.length >= length);
    const taken = this.buffer.subarray(0, length);
    this.buffer = this.buffer.subarray(length);
    return taken;
  }

  async line(awaited: string): Promise<string> {
    await this.until(awaited, () => this.buffer.includes(0x0a) || this.buffer.length > LARGEST);
    const end = this.buffer.indexOf(0x0a);
    if (end < 0) throw new Ended({ class: "protocol", message: `${this.where}: a line without an end.` });
    const text = this.buffer.toString("utf8", 0, end).replace(/\r$/, "");
    this.buffer = this.buffer.subarray(end + 1);
    return text;
  }

  async secure({ ca, insecure, servername }: TlsSettings, host: string): Promise<void> {
    // Bytes that came before the handshake are nobody's we know: a man in the middle may have sent them.
    if (this.buffer.length > 0)
      throw new Ended({
        class: "tls",
        message: `${this.where} goes on in plain text after it agreed to TLS.`,
      });
    const startedMs = this.context.clock.monotonicMs();
    const plain = this.unlisten();
    const name = servername ?? host.replace(/^\[(.*)\]$/, "$1");
    const secured = tls.connect({
      socket: plain,
      host: name,
      // Judged below, where it can be said whose certificate it is and what is wrong with it.
      rejectUnauthorized: false,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(ca === undefined ? {} : { ca }),
    });
    this.socket = secured;
    this.listen("tls");
    let done = false;
    secured.once("secureConnect", () => {
      done = true;
      this.look();
    });
    await this.until("no TLS handshake", () => done);
    this.phases.tlsMs = this.context.clock.monotonicMs() - startedMs;
    if (insecure) return;
    const certificate = secured.getPeerX509Certificate() ?? null;
    const failure = certificateFailure(secured, { certificate, name }, this.context.clock.now());
    if (failure !== null) throw new Ended(failure);
  }

  handOver(isReadable: (chunk: Buffer) => boolean = () => true): Socket {
    const socket = this.unlisten();
    if (this.buffer.length > 0) socket.unshift(this.buffer);
    this.buffer = Buffer.alloc(0);
    return this.watched(socket, isReadable);
  }

  failureOf(error: unknown): Failure {
    if (this.spoiled !== null) return this.spoiled.failure;
    if (error instanceof Ended && error !== this.ended) return error.failure;
    const { aborted } = this.context.signal;
    if (aborted) return timedOut(this.where, this.elapsedMs(), this.waiting?.awaited ?? "no whole answer");
    if (error instanceof Ended) return error.failure;
    return connectionFailure(error, this.where, "open");
  }

  close(): void {
    this.context.signal.removeEventListener("abort", this.onAbort);
    this.unlisten();
    this.socket.destroy();
  }

  private readonly onAbort = () => {
    const awaited = this.waiting?.awaited ?? "no whole answer";
    this.end(new Ended(timedOut(this.where, this.elapsedMs(), `connected, and ${awaited}`)));
    this.socket.destroy();
  };

  /** Drivers read within the socket's events: what one of them throws there would end the process. */
  private watched(socket: Socket, isReadable: (chunk: Buffer) => boolean): Socket {
    const emit = socket.emit.bind(socket) as (event: string | symbol, ...values: unknown[]) => boolean;
    return Object.assign(socket, {
      emit: (event: string | symbol, ...values: unknown[]) => {
        if (event !== "data") return emit(event, ...values);
        const chunk = values[0] as Buffer;
        if (this.spoiled !== null || !this.count(chunk)) return false;
        try {
          if (isReadable(chunk)) return emit(event, ...values);
        } catch {
          // Told below.
        }
        this.spoil("protocol", "what it answers cannot be read by its protocol's driver");
        return false;
      },
    });
  }

  /** False: it is more than is read. */
  private count(chunk: Buffer): boolean {
    this.bytes += chunk.length;
    if (this.bytes > MOST_READ) this.spoil("too_large", `an answer over ${MOST_READ} bytes`);
    return this.bytes <= MOST_READ;
  }

  private spoil(kind: "protocol" | "too_large", what: string): void {
    this.spoiled ??= new Ended({ class: kind, message: `${this.where}: ${what}.` });
    this.socket.destroy();
    this.end(this.spoiled);
  }

  private listen(step: "tls" | "open" = "open"): void {
    this.socket.on("data", (chunk: Buffer) => {
      if (!this.count(chunk)) return;
      this.phases.firstByteMs ??= this.context.clock.monotonicMs() - this.openedMs;
      this.buffer = this.buffer.length === 0 ? chunk : Buffer.concat([this.buffer, chunk]);
      this.look();
    });
    this.socket.on("error", (error) => this.end(new Ended(connectionFailure(error, this.where, step))));
    this.socket.on("close", () => {
      const awaited = this.waiting?.awaited ?? "no whole answer";
      this.end(new Ended({ class: "reset", message: `${this.where} closed the connection: ${awaited}.` }));
    });
  }

  private unlisten(): Socket {
    for (const event of ["data", "error", "close"]) this.socket.removeAllListeners(event);
    // An error without a listener would end the process.
    return this.socket.on("error", () => {}).pause();
  }

  private end(error: Error): void {
    this.ended ??= error;
    this.look();
  }

  private look(): void {
    const { waiting } = this;
    if (waiting === null) return;
    if (waiting.ready()) waiting.resolve();
    else if (this.ended !== null) waiting.reject(this.ended);
  }

  private async until(awaited: string, ready: () => boolean): Promise<void> {
    if (ready()) return;
    if (this.ended !== null) throw this.ended;
    this.socket.resume();
    await new Promise<void>((resolve, reject) => {
      this.waiting = { awaited, ready, resolve, reject };
    });
    this.waiting = null;
  }
}
