import { createReadStream, type ReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The bytes behind a digest. Small ones are kept in memory, least recently used out first. */
export type Content = {
  /** The whole file when it is small; null when it has to be streamed. */
  small(store: string, digest: string, size: number): Buffer | Promise<Buffer> | null;
  /** @param range the first and the last byte */
  stream(store: string, digest: string, range: { first: number; last: number }): ReadStream;
};

const SMALL_BYTES = 256 * 1_024;

export function createContent(limitBytes = 64 * 1_024 * 1_024): Content {
  const kept = new Map<string, Buffer>();
  let keptBytes = 0;
  const keep = (digest: string, bytes: Buffer) => {
    if (kept.has(digest)) return;
    kept.set(digest, bytes);
    keptBytes += bytes.length;
    for (const [oldest, { length }] of kept) {
      if (keptBytes <= limitBytes) break;
      kept.delete(oldest);
      keptBytes -= length;
    }
  };
  return {
    small(store, digest, size) {
      if (size > SMALL_BYTES) return null;
      // By digest: the same one is the same bytes, whatever store they came from.
      const bytes = kept.get(digest);
      if (bytes === undefined)
        return readSmall(contentPath(store, digest), size, (read) => keep(digest, read));
      kept.delete(digest);
      kept.set(digest, bytes);
      return bytes;
    },
    stream: (store, digest, { first, last }) =>
      createReadStream(contentPath(store, digest), { start: first, end: last, highWaterMark: SMALL_BYTES }),
  };
}

async function readSmall(path: string, size: number, keep: (bytes: Buffer) => void): Promise<Buffer> {
  const bytes = await readFile(path);
  // A truncated file must not be served under a length and an ETag that promise another.
  if (bytes.length !== size) throw new Error(`${path} has ${bytes.length} bytes instead of ${size}`);
  keep(bytes);
  return bytes;
}

function contentPath(store: string, digest: string): string {
  return join(store, digest.slice(0, 2), digest.slice(2));
}
