const HEAD_BYTES = 5;

/**
 * Reads along what a server says, for one thing: of an error or a notice whose list of fields has no end the driver
 * looks for that end for ever, and everything else in this process waits. False: such a one came.
 * Source: postgresql.org/docs/current/protocol-message-formats.html
 */
export function fieldsEnd(): (chunk: Buffer) => boolean {
  let head: Buffer = Buffer.alloc(0);
  let left = 0;
  let tail: Buffer = Buffer.alloc(0);
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (head.length < HEAD_BYTES) {
        const part = chunk.subarray(at, at + HEAD_BYTES - head.length);
        head = Buffer.concat([head, part]);
        at += part.length;
        if (head.length < HEAD_BYTES) return true;
        left = head.readUInt32BE(1) - 4;
        tail = Buffer.alloc(0);
        if (left < 0) return false;
      }
      const body = chunk.subarray(at, at + left);
      at += body.length;
      left -= body.length;
      tail = Buffer.concat([tail, body.subarray(-2)]).subarray(-2);
      if (left > 0) return true;
      if (isList(head) && (tail.length === 0 || tail.some((byte) => byte !== 0))) return false;
      head = Buffer.alloc(0);
    }
    return true;
  };
}

/** An error or a notice: fields that end with a zero each, and one zero more. */
function isList(head: Buffer): boolean {
  return head[0] === 0x45 || head[0] === 0x4e;
}
