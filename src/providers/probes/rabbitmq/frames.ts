/** The frames, methods and tables of AMQP 0-9-1 that opening a connection needs. Source: amqp0-9-1.xml, errata. */

export const PROTOCOL_HEADER = Buffer.from("AMQP\0\0\u0009\u0001", "latin1");

/** Type, channel, size. */
export const FRAME_HEADER_BYTES = 7;
export const FRAME_END = 0xce;
export const METHOD_FRAME = 1;

/** Class 10 is the connection's; the numbers are those of its methods. */
export const CONNECTION = 10;
export const METHODS = {
  start: 10,
  startOk: 11,
  tune: 30,
  tuneOk: 31,
  open: 40,
  openOk: 41,
  close: 50,
  closeOk: 51,
  blocked: 60,
  unblocked: 61,
} as const;

/** One method of the connection, on channel 0. */
export function methodFrame(method: number, ...parts: readonly Buffer[]): Buffer {
  return frame(METHOD_FRAME, 0, uint16(CONNECTION), uint16(method), ...parts);
}

const CHANNEL = 20;
const BASIC = 60;
const OPEN = 10;
const PUBLISH = 40;
const HEADER_FRAME = 2;

/**
 * The beginning of a message without its end: a broker with an alarm says so to whoever begins to publish, and to no
 * one else; and a message that never becomes whole is neither routed, counted, nor subject to permissions.
 */
export function unfinishedMessage(): Buffer {
  const [channel, reserved] = [1, uint16(0)];
  const [exchange, routingKey, flags, noProperties] = [
    shortString(""),
    shortString(""),
    Buffer.of(0),
    uint16(0),
  ];
  const [weight, size] = [uint16(0), Buffer.concat([uint32(0), uint32(1)])];
  return Buffer.concat([
    frame(METHOD_FRAME, channel, uint16(CHANNEL), uint16(OPEN), shortString("")),
    frame(METHOD_FRAME, channel, uint16(BASIC), uint16(PUBLISH), reserved, exchange, routingKey, flags),
    frame(HEADER_FRAME, channel, uint16(BASIC), weight, size, noProperties),
  ]);
}

function frame(type: number, channel: number, ...parts: readonly Buffer[]): Buffer {
  const payload = Buffer.concat(parts);
  const head = [Buffer.of(type), uint16(channel), uint32(payload.length)];
  return Buffer.concat([...head, payload, Buffer.of(FRAME_END)]);
}

/** @param text at most 255 bytes */
export function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

export function longString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** What we send: texts, flags, and tables of them. */
export type Sendable = { readonly [name: string]: string | boolean | Sendable };

export function table(entries: Sendable): Buffer {
  const fields = Object.entries(entries).map(([name, value]) => {
    const kind = typeof value === "string" ? "S" : typeof value === "boolean" ? "t" : "F";
    const bytes =
      typeof value === "string"
        ? longString(value)
        : typeof value === "boolean"
          ? Buffer.of(value ? 1 : 0)
          : table(value);
    return Buffer.concat([shortString(name), Buffer.from(kind), bytes]);
  });
  const size = fields.reduce((sum, field) => sum + field.length, 0);
  return Buffer.concat([uint32(size), ...fields]);
}

/** Bytes of the kinds of field whose value does not matter here. Source: rabbitmq.com/amqp-0-9-1-errata, 3. */
const WIDTHS: Readonly<Record<string, number>> = {
  ...{ t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, l: 8, L: 8, f: 4, d: 8, D: 5, T: 8, V: 0 },
};

/** Reads the arguments of a method in turn. Throws RangeError where they are shorter than they say. */
export class Arguments {
  private at = 0;
  private readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  uint8(): number {
    return this.next(1).readUInt8();
  }

  uint16(): number {
    return this.next(2).readUInt16BE();
  }

  uint32(): number {
    return this.next(4).readUInt32BE();
  }

  shortString(): string {
    return this.next(this.uint8()).toString();
  }

  longString(): string {
    return this.next(this.uint32()).toString();
  }

  /** The texts of a table by their names; those of a table within as `within.name`. Others are passed over. */
  texts(prefix = "", into = new Map<string, string>()): Map<string, string> {
    const end = this.uint32() + this.at;
    while (this.at < end) {
      const name = `${prefix}${this.shortString()}`;
      const kind = this.next(1).toString("latin1");
      if (kind === "S") into.set(name, this.longString());
      else if (kind === "F") this.texts(`${name}.`, into);
      else if (kind === "A" || kind === "x") this.next(this.uint32());
      else this.next(WIDTHS[kind] ?? this.bytes.length);
    }
    return into;
  }

  private next(length: number): Buffer {
    if (this.at + length > this.bytes.length) throw new RangeError("The arguments end early.");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}
