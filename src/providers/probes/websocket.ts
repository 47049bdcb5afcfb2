import { randomBytes } from "node:crypto";
import type net from "node:net";
import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { closeSoon, connect, hostAndPort, isConnected } from "./connect.ts";
import { connectionFailure, timedOut } from "./connection-failure.ts";
import { address, authorities, requestHeaders } from "./http/settings.ts";
import { clientFrame, FramesReader, MalformedFrame, OPCODE } from "./websocket/read-frames.ts";
import { refusal, upgradeOf } from "./websocket/upgrade.ts";

const websocketSettings = z.strictObject({
  url: address("ws:", "wss:"),
  headers: requestHeaders,
  /** Sent as a text message once it is open. */
  message: z.string().max(65_536).optional(),
  /** Text that one of the messages must have in it, whoever speaks first. */
  expect: z.string().min(1).max(4_096).optional(),
  ca: authorities.optional(),
  /** Any certificate will do. */
  insecure: z.boolean().default(false),
});
type WebsocketSettings = z.output<typeof websocketSettings>;

/** That the other side upgrades, and answers. */
export const websocket = defineProbe<WebsocketSettings>({
  type: "websocket",
  settings: websocketSettings,
  subject: ({ url }) => url.replace(/[?#].*$/s, ""),
  host: ({ url }) => new URL(url).hostname,
  run: async (settings, context) => {
    const url = new URL(settings.url);
    const { ca, insecure } = settings;
    const isSecure = url.protocol === "wss:";
    const port = Number(url.port || (isSecure ? 443 : 80));
    const tls = isSecure ? { ca, insecure, alpn: ["http/1.1"] } : null;
    const connected = await connect({ host: url.hostname, port, tls, isHttp: true }, context);
    if (!isConnected(connected)) return connected;
    const { socket, address, phases } = connected;
    const where = hostAndPort({ host: url.hostname, port });
    const talk = new Talk(socket, { settings, url, where }, context);
    const { failure, firstByteMs, transferMs } = await talk.over();
    const outcome: Outcome = failure === null ? { status: "up" } : { status: "down", failure };
    const more = firstByteMs === null ? {} : { firstByteMs, ...(transferMs === null ? {} : { transferMs }) };
    return { ...outcome, phases: { ...phases, ...more }, observed: { address, messages: talk.messages } };
  },
});

type Ended = { failure: Failure | null; firstByteMs: number | null; transferMs: number | null };
type Asked = { readonly settings: WebsocketSettings; readonly url: URL; readonly where: string };

const MAX_HEAD_BYTES = 65_536;
const MAX_MESSAGE_BYTES = 1_048_576;

/** One conversation: the upgrade, perhaps a message and its answer, the end. */
class Talk {
  private readonly socket: net.Socket;
  private readonly asked: Asked;
  private readonly context: ProbeContext;
  private readonly done = Promise.withResolvers<Ended>();
  private readonly frames = new FramesReader(MAX_MESSAGE_BYTES);
  private readonly key = randomBytes(16).toString("base64");
  private head: Buffer | null = Buffer.alloc(0);
  private readonly sentMs: number;
  private firstMs: number | null = null;
  private ended = false;
  messages = 0;

  constructor(socket: net.Socket, asked: Asked, context: ProbeContext) {
    this.socket = socket;
    this.asked = asked;
    this.context = context;
    this.sentMs = context.clock.monotonicMs();
  }

  over(): Promise<Ended> {
    const { socket, asked, context } = this;
    socket.on("data", this.onData).on("end", this.onClosed).on("close", this.onClosed);
    socket.on("error", (error) => this.end(connectionFailure(error, asked.where, "open")));
    if (context.signal.aborted) this.onAbort();
    else context.signal.addEventListener("abort", this.onAbort);
    socket.write(upgradeOf({ headers: asked.settings.headers, url: asked.url }, this.key), "latin1");
    return this.done.promise;
  }

  private onData = (chunk: Buffer): void => {
    if (this.ended) return;
    this.firstMs ??= this.context.clock.monotonicMs();
    try {
      const rest = this.head === null ? chunk : this.readHead(Buffer.concat([this.head, chunk]));
      if (rest !== null && !this.ended) this.readFrames(rest);
    } catch (error) {
      if (error instanceof MalformedFrame) this.fail("protocol", `sent ${error.message}`);
      else if (error instanceof RangeError) this.fail("too_large", `sent ${error.message}`);
      else throw error;
    }
  };

  /** @returns what came after the head; null: nothing more is to be read for now */
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
    const { message, expect } = this.asked.settings;
    if (message !== undefined) this.send(OPCODE.text, Buffer.from(message));
    if (expect === undefined) this.end(null);
    return head.subarray(end + 4);
  }

  private readFrames(chunk: Buffer): void {
    const { expect = "" } = this.asked.settings;
    for (const { kind, payload } of this.frames.read(chunk)) {
      if (this.ended) return;
      if (kind === "ping") this.send(OPCODE.pong, payload);
      if (kind === "close") return void this.closedBy(payload);
      if (kind !== "message") continue;
      this.messages++;
      if (payload.includes(expect)) return void this.end(null);
    }
  }

  private closedBy(payload: Buffer): void {
    const code = payload.length < 2 ? "no code" : `the code ${payload.readUInt16BE(0)}`;
    if (this.messages === 0) this.fail("reset", `closed the WebSocket with ${code}, without a message`);
    else
      this.fail("assertion", `closed with ${code} after ${this.messages} messages, none of them as expected`);
  }

  private send(opcode: number, payload: Buffer): void {
    this.socket.write(clientFrame(opcode, payload, randomBytes(4)));
  }

  private fail(kind: Failure["class"], what: string): void {
    this.end({ class: kind, message: `${this.asked.where} ${what}.` });
  }

  private onClosed = (): void => {
    const when = this.head === null ? "before the expected message came" : "before the upgrade";
    this.fail("reset", `closed the connection ${when}`);
  };

  private onAbort = (): void => {
    const { clock } = this.context;
    const missing =
      this.messages === 0 ? "upgraded, and no message" : `${this.messages} messages, and not the expected`;
    const what = this.head === null ? missing : "connected, and no upgrade";
    this.end(timedOut(this.asked.where, clock.monotonicMs() - this.sentMs, what));
  };

  private end(failure: Failure | null): void {
    const { socket, sentMs, context } = this;
    const firstMs = this.firstMs;
    if (this.ended) return;
    this.ended = true;
    context.signal.removeEventListener("abort", this.onAbort);
    // A goodbye (1000), so that the other side does not log a lost connection.
    if (failure === null) this.send(OPCODE.close, Buffer.from([0x03, 0xe8]));
    if (failure === null) closeSoon(socket, context.signal);
    else socket.destroy();
    this.done.resolve({
      failure,
      firstByteMs: firstMs === null ? null : firstMs - sentMs,
      transferMs: firstMs === null ? null : context.clock.monotonicMs() - firstMs,
    });
  }
}
