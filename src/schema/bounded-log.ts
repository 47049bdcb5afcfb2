export type BoundedLog = {
  add(line: string): void;
  lines(): string[];
  /** How many lines were ever added: it changed if this did. */
  count(): number;
};

/**
 * The first and the last lines within `maxBytes`, and how many are missing between: how it began and how it ended say
 * most. A line is cut at a quarter of that.
 */
export function createBoundedLog(maxBytes: number): BoundedLog {
  // Room for the sentence about what is missing.
  const half = Math.floor(maxBytes / 2) - 64;
  const head: string[] = [];
  const tail: string[] = [];
  let [headBytes, tailBytes, count, left] = [0, 0, 0, 0];
  return {
    add(line) {
      count++;
      const text = cut(line, Math.floor(maxBytes / 4));
      const size = Buffer.byteLength(text) + 1;
      if (tail.length === 0 && headBytes + size <= half) {
        head.push(text);
        headBytes += size;
        return;
      }
      tail.push(text);
      tailBytes += size;
      for (let first = tail[0]; tailBytes > half && first !== undefined; first = tail[0]) {
        tail.shift();
        tailBytes -= Buffer.byteLength(first) + 1;
        left++;
      }
    },
    lines: () => [...head, ...(left === 0 ? [] : [`… ${left} lines left out …`]), ...tail],
    count: () => count,
  };
}

function cut(line: string, maxBytes: number): string {
  const bytes = Buffer.from(line);
  return bytes.length <= maxBytes ? line : `${bytes.toString("utf8", 0, maxBytes - 8)} …`;
}
