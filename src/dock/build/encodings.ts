import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { ManifestFile } from "../../gateway/snapshot.ts";
import type { FileStore } from "../store/store.ts";
import { inParallel } from "./in-parallel.ts";

export type Encodings = ManifestFile["encodings"];
/** What is known of a digest's variants: kept between builds, so that a redeploy compresses only what changed. */
export type EncodingIndex = Record<string, Encodings>;

const brotli = promisify(brotliCompress);
const deflate = promisify(gzip);

/** Below this, headers cost more than compression saves. */
export const SMALLEST = 1024;
// Beyond this a file is media or data; holding it and its variants in memory is not worth the bytes saved.
const LARGEST = 16 * 2 ** 20;
const SMALL = 64 * 2 ** 10;
const SMALL_WIDTH = 64;

/**
 * Puts the Brotli and gzip variants of stored files into the store, where they are smaller.
 * `digests`: sizes by digest. `known`: variants of an earlier build, used when the store still has them.
 */
export async function encodeAll(
  digests: ReadonlyMap<string, number>,
  known: EncodingIndex,
  store: FileStore,
  signal: AbortSignal,
): Promise<EncodingIndex> {
  const index: EncodingIndex = await stillStored(digests, known, store);
  const todo = [...digests].filter(
    ([digest, size]) => size >= SMALLEST && size <= LARGEST && !Object.hasOwn(index, digest),
  );
  const quality = qualityFor(todo.reduce((sum, [, size]) => sum + size, 0));
  const work = async ([digest, size]: [string, number]) => {
    signal.throwIfAborted();
    index[digest] = await encode(store, digest, size > 2 ** 20 ? Math.min(quality, 5) : quality);
  };
  // Many small files wait for the disk, a few large ones for the processor and for memory.
  await inParallel(
    todo.filter(([, size]) => size < SMALL),
    SMALL_WIDTH,
    work,
  );
  await inParallel(
    todo.filter(([, size]) => size >= SMALL),
    availableParallelism() * 2,
    work,
  );
  return index;
}

/**
 * The best Brotli quality costs about 1 s of CPU for a MiB; 9 a tenth of that, 5 a thirtieth. A site of a few MiB gets
 * the best, a big one what keeps a first build within seconds.
 */
export function qualityFor(totalBytes: number): number {
  if (totalBytes <= 2 * 2 ** 20) return 11;
  return totalBytes <= 16 * 2 ** 20 ? 9 : 5;
}

async function encode(store: FileStore, digest: string, quality: number): Promise<Encodings> {
  const bytes = await readFile(store.path(digest));
  const [br, gz] = await Promise.all([
    brotli(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: quality,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        // The window need not be larger than the file; the default one allocates megabytes for each call.
        [constants.BROTLI_PARAM_LGWIN]: Math.min(22, Math.max(10, Math.ceil(Math.log2(bytes.length + 16)))),
      },
    }),
    deflate(bytes, { level: quality >= 9 ? 9 : 6 }),
  ]);
  return {
    ...(br.length < bytes.length ? { br: await put(store, br) } : {}),
    ...(gz.length < bytes.length ? { gzip: await put(store, gz) } : {}),
  };
}

async function put(store: FileStore, bytes: Buffer): Promise<{ digest: string; size: number }> {
  const digest = createHash("sha1").update(bytes).digest("hex");
  await store.put(digest, bytes);
  return { digest, size: bytes.length };
}

async function stillStored(
  digests: ReadonlyMap<string, number>,
  known: EncodingIndex,
  store: FileStore,
): Promise<EncodingIndex> {
  const kept = Object.entries(known).filter(([digest]) => digests.has(digest));
  const variants = kept.flatMap(([, encodings]) => Object.values(encodings).map((variant) => variant.digest));
  const gone = new Set(await store.missing(variants));
  return Object.fromEntries(
    kept.filter(([, encodings]) => Object.values(encodings).every((variant) => !gone.has(variant.digest))),
  );
}
