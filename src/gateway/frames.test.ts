import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameReader } from "./frames.ts";

/** A frame from a server: not masked. */
function frame(opcode: number, payload: number, fin = true): Buffer {
  const first = (fin ? 0x80 : 0) | opcode;
  const length =
    payload < 126
      ? [payload]
      : payload < 65_536
        ? [126, payload >> 8, payload & 255]
        : [127, 0, 0, 0, 0, payload >>> 24, (payload >> 16) & 255, (payload >> 8) & 255, payload & 255];
  return Buffer.concat([Buffer.from([first, ...length]), Buffer.alloc(payload, 0x88)]);
}

const TEXT = 1;
const CONTINUATION = 0;
const PING = 9;

describe("frames", () => {
  it("are followed over any cut of the bytes, whatever their payloads look like", () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 300 }),
      fc.constantFrom(125, 126, 65_535, 65_536, 70_000),
    );
    fc.assert(
      fc.property(
        fc.array(size, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 9_000 }),
        (sizes, cut) => {
          const frames = sizes.map((bytes) => frame(TEXT, bytes));
          const ends = new Set<number>();
          let total = 0;
          for (const one of frames) {
            total += one.length;
            ends.add(total);
          }
          const bytes = Buffer.concat(frames);
          const reader = new FrameReader();
          for (let at = 0; at < total; at += cut) {
            reader.read(bytes.subarray(at, at + cut));
            expect(reader.atFrameEnd).toBe(ends.has(Math.min(at + cut, total)));
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("of one message belong together, also around a control frame", () => {
    const reader = new FrameReader();
    reader.read(frame(TEXT, 10, false));
    expect([reader.atFrameEnd, reader.atMessageEnd]).toEqual([true, false]);
    reader.read(frame(PING, 3));
    expect([reader.atFrameEnd, reader.atMessageEnd]).toEqual([true, false]);
    reader.read(frame(CONTINUATION, 10));
    expect([reader.atFrameEnd, reader.atMessageEnd]).toEqual([true, true]);
  });

  it("are read up to the end of the message when asked to", () => {
    const reader = new FrameReader();
    const message = [frame(TEXT, 200, false), frame(CONTINUATION, 0)];
    const length = message[0]?.length ?? 0;
    reader.read(Buffer.concat(message).subarray(0, 5));
    const rest = Buffer.concat([...message, frame(TEXT, 5)]).subarray(5);
    expect(reader.read(rest, true)).toBe(length + 2 - 5);
  });

  it("that close are noticed", () => {
    const reader = new FrameReader();
    reader.read(frame(8, 2));
    expect(reader.closed).toBe(true);
  });
});
