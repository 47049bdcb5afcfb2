/** What a server sent: a whole message, or a control frame. Source: RFC 6455, 5. */
export type Received = {
  readonly kind: "message" | "close" | "ping" | "pong";
  readonly payload: Buffer;
};

/** What came breaks the protocol. */
export class MalformedFrame extends Error {}

const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
const CONTROL = { 8: "close", 9: "ping", 10: "pong" } as const;

/** Frames that carry nothing of a message, or little: more of them are only there to keep us busy. */
const MOST_PARTS = 10_000;
const MOST_CONTROL_FRAMES = 1_000;

/** Puts the frames of a server together to messages. No extension was offered, so none may be used. */
export class FramesReader {
  private readonly maxBytes: number;
  private rest: Buffer = Buffer.alloc(0);
  /** Chunks after `rest`, put together only once a frame is whole: each time would cost its square. */
  private later: Buffer[] = [];
  private held = 0;
  private needed = 2;
  private parts: Buffer[] | null = null;
  private size = 0;
  private controlFrames = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** @throws MalformedFrame; @throws RangeError for a message over the limit */
  read(chunk: Buffer): Received[] {
    this.later.push(chunk);
    this.held += chunk.length;
    const received: Received[] = [];
    if (this.held < this.needed) return received;
    this.rest = Buffer.concat([this.rest, ...this.later]);
    this.later = [];
    for (let frame = this.next(); frame !== null; frame = this.next()) {
      const one = this.take(frame);
      if (one !== null) received.push(one);
    }
    this.held = this.rest.length;
    return received;
  }

  private next(): { first: number; payload: Buffer } | null {
    const { rest } = this;
    this.needed = 2;
    if (rest.length < 2) return null;
    const [first = 0, second = 0] = rest;
    if (first & RESERVED) throw new MalformedFrame("a frame with an extension that was not agreed on");
    if (second & MASKED) throw new MalformedFrame("a masked frame from a server");
    const short = second & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    this.needed = head;
    if (rest.length < head) return null;
    const length =
      short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short;
    if (length + this.size > this.maxBytes) throw new RangeError(`a message over ${this.maxBytes} bytes`);
    this.needed = head + length;
    if (rest.length < head + length) return null;
    this.rest = rest.subarray(head + length);
    return { first, payload: rest.subarray(head, head + length) };
  }

  private take({ first, payload }: { first: number; payload: Buffer }): Received | null {
    const opcode = first & 0x0f;
    const isLast = (first & FIN) !== 0;
    if (opcode >= 8) {
      const kind = CONTROL[opcode as keyof typeof CONTROL];
      if (kind === undefined || !isLast || payload.length > 125)
        throw new MalformedFrame("a bad control frame");
      if (++this.controlFrames > MOST_CONTROL_FRAMES)
        throw new MalformedFrame(`more than ${MOST_CONTROL_FRAMES} control frames`);
      return { kind, payload };
    }
    const continues = opcode === 0;
    if (opcode > 2 || continues !== (this.parts !== null))
      throw new MalformedFrame(`a frame of the type ${opcode} where none may be`);
    const parts = this.parts ?? [];
    if (parts.push(payload) > MOST_PARTS)
      throw new MalformedFrame(`a message in more than ${MOST_PARTS} parts`);
    this.parts = isLast ? null : parts;
    this.size = isLast ? 0 : this.size + payload.length;
    return isLast ? { kind: "message", payload: Buffer.concat(parts) } : null;
  }
}

export const OPCODE = { text: 1, close: 8, pong: 10 } as const;

/** A whole frame of a client: masked, as it must be (5.3). */
export function clientFrame(opcode: number, payload: Buffer, mask: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = FIN | opcode;
  head[1] = MASKED | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  const masked = payload.map((byte, at) => byte ^ (mask[at & 3] ?? 0));
  return Buffer.concat([head, mask, masked]);
}
