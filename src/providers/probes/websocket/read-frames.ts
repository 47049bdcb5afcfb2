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

/** Puts the frames of a server together to messages. No extension was offered, so none may be used. */
export class FramesReader {
  private readonly maxBytes: number;
  private rest: Buffer = Buffer.alloc(0);
  private parts: Buffer[] | null = null;
  private size = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** @throws MalformedFrame; @throws RangeError for a message over the limit */
  read(chunk: Buffer): Received[] {
    this.rest = Buffer.concat([this.rest, chunk]);
    const received: Received[] = [];
    for (let frame = this.next(); frame !== null; frame = this.next()) {
      const one = this.take(frame);
      if (one !== null) received.push(one);
    }
    return received;
  }

  private next(): { first: number; payload: Buffer } | null {
    const { rest } = this;
    if (rest.length < 2) return null;
    const [first = 0, second = 0] = rest;
    if (first & RESERVED) throw new MalformedFrame("a frame with an extension that was not agreed on");
    if (second & MASKED) throw new MalformedFrame("a masked frame from a server");
    const short = second & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (rest.length < head) return null;
    const length =
      short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short;
    if (length + this.size > this.maxBytes) throw new RangeError(`a message over ${this.maxBytes} bytes`);
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
      return { kind, payload };
    }
    const continues = opcode === 0;
    if (opcode > 2 || continues !== (this.parts !== null))
      throw new MalformedFrame(`a frame of the type ${opcode} where none may be`);
    const parts = [...(this.parts ?? []), payload];
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
