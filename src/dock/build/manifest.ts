import type { Manifest, ManifestFile, Route } from "../../gateway/snapshot.ts";
import type { FileStore } from "../store/store.ts";
import { contentTypeOf, isCompressible } from "./content-type.ts";
import { type EncodingIndex, encodeAll } from "./encodings.ts";
import { inParallel } from "./in-parallel.ts";
import { isImmutable } from "./static-path.ts";
import type { StaticSource } from "./static-source.ts";

/** A static file under the URL path it will have. */
export type ServedFile = { readonly urlPath: string; readonly type: string; readonly source: StaticSource };

/** The file under its own path, with the type of its extension. */
export function servedAsIs(source: StaticSource): ServedFile {
  return { urlPath: `/${source.path}`, type: contentTypeOf(source.path), source };
}

/** Takes the files into the store, with their precompressed variants, and says how each is served. */
export async function composeManifest(options: {
  files: readonly ServedFile[];
  routes: readonly Route[];
  server: boolean;
  store: FileStore;
  knownEncodings: EncodingIndex;
  signal: AbortSignal;
}): Promise<{ manifest: Manifest; encodings: EncodingIndex; digests: string[]; sizeBytes: number }> {
  const { files, store, signal } = options;
  const stored = new Map<ServedFile, { sha1: string; size: number }>();
  await inParallel(files, 16, async (file) => {
    signal.throwIfAborted();
    const { sha1, size, location } = file.source;
    stored.set(file, sha1 === null ? await store.importFile(location) : { sha1, size });
  });
  const compressible = new Map<string, number>();
  for (const [{ type }, { sha1, size }] of stored) if (isCompressible(type)) compressible.set(sha1, size);
  const encodings = await encodeAll(compressible, options.knownEncodings, store, signal);
  const table: Record<string, ManifestFile> = {};
  const digests = new Set<string>();
  let sizeBytes = 0;
  for (const file of files) {
    const { sha1, size } = stored.get(file) ?? { sha1: "", size: 0 };
    const own = isCompressible(file.type) ? (encodings[sha1] ?? {}) : {};
    table[file.urlPath] = {
      digest: sha1,
      size,
      type: file.type,
      immutable: isImmutable(file.urlPath),
      encodings: own,
    };
    for (const digest of [sha1, own.br?.digest, own.gzip?.digest]) if (digest) digests.add(digest);
    sizeBytes += size;
  }
  const { routes, server } = options;
  const manifest: Manifest = {
    version: 1,
    store: store.directory,
    files: table,
    routes,
    server,
    cleanUrls: false,
  };
  return { manifest, encodings, digests: [...digests], sizeBytes };
}
