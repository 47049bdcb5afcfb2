import { ask } from "./cache-channel.ts";

/**
 * What Next.js looks for on its platform: a cache for `fetch` and one for `use cache`, whose tags are the way on which
 * `revalidatePath` and `revalidateTag` reach the platform. Their shapes are Next.js's `CacheHandler`s.
 */
export function installNextCaches(global: object): void {
  Object.defineProperty(global, Symbol.for("@next/cache-handlers"), {
    enumerable: false,
    configurable: true,
    value: {
      FetchCache,
      ...(global === globalThis ? { DefaultCache: useCache, RemoteCache: useCache } : {}),
    },
  });
}

type Durations = { readonly expire?: number };
type FetchContext = {
  readonly kind?: string;
  readonly fetchCache?: boolean;
  readonly tags?: readonly string[];
  readonly softTags?: readonly string[];
};
type FetchValue = { readonly kind?: string; readonly tags?: readonly string[] };

// So old that Next.js takes it for stale however long a value is good: it is shown once more and fetched again.
const LONG_AGO_MS = -1e15;

class FetchCache {
  readonly #revalidated: readonly string[];

  constructor(context: { readonly revalidatedTags?: readonly string[] }) {
    this.#revalidated = context.revalidatedTags ?? [];
  }

  /** Pages are asked for too: their answers are the platform's to keep. */
  async get(key: string, { kind, tags = [], softTags = [] }: FetchContext) {
    const all = [...tags, ...softTags];
    if (kind !== "FETCH" || all.some((tag) => this.#revalidated.includes(tag))) return null;
    const found = await ask({ verb: "get", space: "fetch", key, tags: all });
    if (found === null) return null;
    return { value: found.value, lastModified: found.stale ? LONG_AGO_MS : found.storedAtMs };
  }

  async set(key: string, value: FetchValue | null, context: FetchContext): Promise<void> {
    if (value?.kind !== "FETCH" || context.fetchCache !== true) return;
    const tags = [...(context.tags ?? []), ...(value.tags ?? [])];
    await ask({ verb: "set", space: "fetch", key, value, tags, ttlS: null });
  }

  async revalidateTag(tags: string | readonly string[], durations?: Durations): Promise<void> {
    await change(typeof tags === "string" ? [tags] : tags, durations);
  }

  resetRequestCache(): void {}
}

/** A result of `use cache`, without its bytes. */
type Head = {
  readonly tags: readonly string[];
  readonly stale: number;
  readonly timestamp: number;
  readonly expire: number;
  readonly revalidate: number;
};
type Entry = Head & { readonly value: ReadableStream<Uint8Array> };

// Results that are being made in this process: who asks meanwhile waits for them.
const making = new Map<string, Promise<void>>();

const useCache = {
  async get(key: string, softTags: readonly string[] = []): Promise<Entry | undefined> {
    await making.get(key);
    const found = await ask({ verb: "get", space: "use", key, tags: softTags });
    if (found === null) return undefined;
    const { head, text } = found.value as { head: Head; text: string };
    const value = new Blob([Buffer.from(text, "base64")]).stream();
    return { ...head, ...(found.stale ? { revalidate: -1 } : {}), value };
  },

  set(key: string, pending: Promise<Entry>): Promise<void> {
    const made = keep(key, pending).finally(() => {
      if (making.get(key) === made) making.delete(key);
    });
    making.set(key, made);
    return made;
  },

  async refreshTags(): Promise<void> {},

  /** Soft tags are judged in `get`: the release's tags are in another process. */
  getExpiration: async () => Number.POSITIVE_INFINITY,

  async updateTags(tags: readonly string[], durations?: Durations): Promise<void> {
    await change(tags, durations);
  },

  // Next.js 15's names for the same.
  async expireTags(...tags: readonly string[]): Promise<void> {
    await change(tags, undefined);
  },

  async receiveExpiredTags(): Promise<void> {},
};

/** A result that fails in the middle is not kept, and that is no failure of who asked for it. */
async function keep(key: string, pending: Promise<Entry>): Promise<void> {
  try {
    const { value, ...head } = await pending;
    if (head.expire <= 0) return;
    const text = Buffer.from(await new Response(value).arrayBuffer()).toString("base64");
    const ttlS = Number.isFinite(head.expire) ? head.expire : null;
    const { tags, timestamp: madeAtMs } = head;
    await ask({ verb: "set", space: "use", key, value: { head, text }, tags, ttlS, madeAtMs });
  } catch {
    // Its reader gets the error.
  }
}

/** Without durations it is gone at once; with them it is shown while it is made again, until `expire`. */
async function change(tags: readonly string[], durations: Durations | undefined): Promise<void> {
  if (tags.length === 0) return;
  await ask({ verb: "change", tags: [...tags], goneInS: durations ? (durations.expire ?? null) : 0 });
}
