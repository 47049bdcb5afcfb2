/** The two messages of grpc.health.v1, each of one field. Source: grpc/grpc-proto, grpc/health/v1/health.proto. */

export type Serving = "UNKNOWN" | "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";
const STATUSES: readonly Serving[] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** HealthCheckRequest { string service = 1 }, framed: not compressed, length, message. */
export function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

/** HealthCheckResponse { ServingStatus status = 1 }. Null: it is none. */
export function decodeResponse(body: Buffer): Serving | null {
  if (body.length < 5 || body[0] !== 0 || body.length !== 5 + body.readUInt32BE(1)) return null;
  let status = 0;
  for (let at = 5; at < body.length; ) {
    const [key, afterKey] = readVarint(body, at);
    const kind = key & 7;
    const [value, afterValue] = kind === 0 || kind === 2 ? readVarint(body, afterKey) : [0, afterKey];
    if (key === 0x08) status = value;
    // Fields of later versions are skipped (varint, 8 bytes, text, 4 bytes).
    const skipped = { 0: 0, 1: 8, 2: value, 5: 4 }[kind];
    if (skipped === undefined || afterValue + skipped > body.length) return null;
    at = afterValue + skipped;
  }
  return STATUSES[status] ?? null;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  return Buffer.from([...bytes, rest]);
}

function readVarint(body: Buffer, from: number): [value: number, next: number] {
  let value = 0;
  for (let at = from, factor = 1; at < body.length; at++, factor *= 128) {
    const byte = body[at] ?? 0;
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at + 1];
  }
  return [value, body.length + 1];
}
