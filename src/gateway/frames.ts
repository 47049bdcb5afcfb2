const CLOSE = 8;

/**
 * Follows the frames of one direction of a WebSocket (RFC 6455 §5.2) without looking into them: where one ends, another
 * can be put in. Extensions such as permessage-deflate change payloads only.
 */
export class FrameReader {
  // 2 bytes, 8 of length, 4 of mask.
  private readonly header = Buffer.alloc(14);
  private headerLength = 0;
  private remaining = 0;
  private inMessage = false;
  /** A close frame went by: nothing may follow it. */
  closed = false;

  /** True: the bytes so far end with a whole message. */
  get atMessageEnd(): boolean {
    return this.atFrameEnd && !this.inMessage;
  }

  /** True: the bytes so far end with a whole frame. */
  get atFrameEnd(): boolean {
    return this.headerLength === 0;
  }

  /**
   * Reads on. @param toMessageEnd stop where a message ends
   * @returns how many bytes of the chunk were read
   */
  read(chunk: Uint8Array, toMessageEnd = false): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.remaining > 0) {
        const bytes = Math.min(this.remaining, chunk.length - at);
        at += bytes;
        this.remaining -= bytes;
        if (this.remaining === 0) this.headerLength = 0;
      } else {
        this.header[this.headerLength++] = chunk[at++] ?? 0;
        if (this.headerLength === this.headerSize()) this.beginPayload();
      }
      if (toMessageEnd && this.atMessageEnd) return at;
    }
    return at;
  }

  private headerSize(): number {
    if (this.headerLength < 2) return 2;
    const second = this.header[1] ?? 0;
    const length = second & 0x7f;
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0);
  }

  private beginPayload(): void {
    const [first = 0, second = 0] = this.header;
    const opcode = first & 0x0f;
    // Control frames come between the fragments of a message, and are whole.
    if (opcode < CLOSE) this.inMessage = (first & 0x80) === 0;
    else if (opcode === CLOSE) this.closed = true;
    const length = second & 0x7f;
    if (length < 126) this.remaining = length;
    else
      this.remaining = length === 126 ? this.header.readUInt16BE(2) : Number(this.header.readBigUInt64BE(2));
    if (this.remaining === 0) this.headerLength = 0;
  }
}
