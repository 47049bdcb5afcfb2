import { randomBytes } from "node:crypto";
import type net from "node:net";
import { z } from "zod";
import type { Failure } from "../../../checks/model.ts";
import type { ProbeContext } from "../../../checks/probe-kind.ts";
import { closeSoon } from "../connect.ts";
import { connectionFailure, timedOut } from "../connection-failure.ts";
import { clientFrame, FramesReader, MalformedFrame, OPCODE } from "../websocket/read-frames.ts";
import { refusal, type Upgrade, upgradeOf } from "../websocket/upgrade.ts";

/** Why a conversation ended early; thrown through it. */
export class Ended extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

export type Event = {
  readonly method: string;
  readonly params: Record<string, unknown>;
  readonly sessionId?: string;
};

type Waiting = {
  readonly isIt: (message: Message) => boolean;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
};

const fields = z.record(z.string(), z.unknown());
/** Of an answer and of an event. */
const anyMessage = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: fields.default({}),
  sessionId: z.string().optional(),
  result: fields.optional(),
  error: z.object({ message: z.string().default("") }).optional(),
});
type Message = z.output<typeof anyMessage>;

/** @throws SyntaxError what is no JSON, or of another shape */
function messageOf(payload: Buffer): Message {
  const read = anyMessage.safeParse(JSON.parse(payload.toString("utf8")));
  if (!read.success) throw new SyntaxError("No message of the DevTools protocol.");
  return read.data;
}

const MAX_HEAD_BYTES = 65_536;
const MAX_MESSAGE_BYTES = 16 * 1_048_576;

/**
 * The DevTools protocol over one WebSocket: commands and their results, and events.
 * Source: chromedevtools.github.io/devtools-protocol
 */
export class Devtools {
  private readonly socket: net.Socket;
  private readonly where: string;
  private readonly context: ProbeContext;
  private readonly frames = new FramesReader(MAX_MESSAGE_BYTES);
  private readonly key = randomBytes(16).toString("base64");
  private readonly startedMs: number;
  private readonly waiting = new Set<Waiting>();
  private head: Buffer | null = Buffer.alloc(0);
  private upgraded = Promise.withResolvers<void>();
  private ended: Ended | null = null;
  private lastId = 0;
  /** What is awaited, for people. */
  private awaited = "no upgrade";

  constructor(socket: net.Socket, where: string, context: ProbeContext) {
    this.socket = socket;
    this.where = where;
    this.context = context;
    this.startedMs = context.clock.monotonicMs();
    this.upgraded.promise.catch(() => {});
    socket.on("data", this.onData).on("close", this.onClosed);
    socket.on("error", (error) => this.end(connectionFailure(error, where, "open")));
    context.signal.addEventListener("abort", this.onAbort, { once: true });
    if (context.signal.aborted) this.onAbort();
  }

  /** @throws Ended */
  async open(upgrade: Upgrade): Promise<void> {
    this.socket.write(upgradeOf(upgrade, this.key), "latin1");
    await this.upgraded.promise;
  }

  /** @throws Ended also where the browser answers with an error */
  async ask(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.lastId;
    const answer = this.until((message) => message.id === id, `no answer to ${method}`);
    this.send({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) });
    const { result, error } = await answer;
    if (error === undefined) return result ?? {};
    const message = `${this.where} answers ${method} with an error: ${error.message.slice(0, 200)}.`;
    throw new Ended({ class: "status", message });
  }

  /** The next event that is meant. @throws Ended */
  event(isIt: (event: Event) => boolean, awaited: string): Promise<Event> {
    return this.until(
      (message) => message.method !== undefined && isIt(message as Event),
      awaited,
    ) as Promise<Event>;
  }

  /** With a goodbye (1000). */
  close(): void {
    this.context.signal.removeEventListener("abort", this.onAbort);
    if (this.ended === null) {
      this.ended = new Ended({ class: "fault", message: "closed" });
      this.socket.write(clientFrame(OPCODE.close, Buffer.from([0x03, 0xe8]), randomBytes(4)));
      closeSoon(this.socket, this.context.signal);
    }
  }

  private send(message: object): void {
    if (this.ended !== null) return;
    this.socket.write(clientFrame(OPCODE.text, Buffer.from(JSON.stringify(message)), randomBytes(4)));
  }

  private until(isIt: Waiting["isIt"], awaited: string): Promise<Message> {
    if (this.ended !== null) return Promise.reject(this.ended);
    this.awaited = awaited;
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    // One may be awaited only later, or not at all once another has failed.
    promise.catch(() => {});
    this.waiting.add({ isIt, resolve, reject });
    return promise;
  }

  private onData = (chunk: Buffer): void => {
    if (this.ended !== null) return;
    try {
      const rest = this.head === null ? chunk : this.readHead(Buffer.concat([this.head, chunk]));
      if (rest === null) return;
      for (const { kind, payload } of this.frames.read(rest)) {
        if (kind === "ping") this.socket.write(clientFrame(OPCODE.pong, payload, randomBytes(4)));
        if (kind === "close") return void this.fail("reset", `closed the WebSocket: ${this.awaited}`);
        if (kind === "message") this.hear(messageOf(payload));
      }
    } catch (error) {
      if (error instanceof MalformedFrame) this.fail("protocol", `sent ${error.message}`);
      else if (error instanceof RangeError) this.fail("too_large", `sent ${error.message}`);
      else if (error instanceof SyntaxError)
        this.fail("protocol", "sent a message that is no JSON of the DevTools protocol");
      else throw error;
    }
  };

  /** @returns what came after the head; null: it is not whole, or refuses */
  private readHead(head: Buffer): Buffer | null {
    this.head = head;
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) {
      if (head.length > MAX_HEAD_BYTES) this.fail("protocol", `sent a head over ${MAX_HEAD_BYTES} bytes`);
      return null;
    }
    const failure = refusal(head.toString("latin1", 0, end), this.key);
    if (failure !== null) {
      this.fail(failure.class, failure.message);
      return null;
    }
    this.head = null;
    this.upgraded.resolve();
    return head.subarray(end + 4);
  }

  private hear(message: Message): void {
    for (const each of this.waiting)
      if (each.isIt(message)) {
        this.waiting.delete(each);
        each.resolve(message);
      }
  }

  private fail(kind: Failure["class"], what: string): void {
    this.end({ class: kind, message: `${this.where} ${what}.` });
  }

  private onClosed = (): void => this.fail("reset", `closed the connection: ${this.awaited}`);

  private onAbort = (): void => {
    const waitedMs = this.context.clock.monotonicMs() - this.startedMs;
    this.end(timedOut(this.where, waitedMs, `connected, and ${this.awaited}`));
  };

  private end(failure: Failure): void {
    if (this.ended !== null) return;
    this.ended = new Ended(failure);
    this.context.signal.removeEventListener("abort", this.onAbort);
    this.upgraded.reject(this.ended);
    for (const { reject } of this.waiting) reject(this.ended);
    this.waiting.clear();
    this.socket.destroy();
  }
}
