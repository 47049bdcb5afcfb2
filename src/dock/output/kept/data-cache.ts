import { z } from "zod";
import type { Clock } from "../../../foundation/clock.ts";
import type { CacheAnswer } from "../child/protocol.ts";
import type { KeptStore } from "./kept-store.ts";
import { cleanTags, type TagTimes } from "./tag-times.ts";

/**
 * What functions keep between requests, beside their answers: results of `fetch`, of `use cache`, and what they put
 * into the runtime cache. One for all functions of a release.
 */
export type DataCache = {
  /** @param question as it came from a function's process. Rejects when it is none, or the disk fails. */
  answer(question: unknown): Promise<CacheAnswer>;
};

// A value's limit on Vercel; as JSON it may be somewhat longer.
const LARGEST_BYTES = 3 * 2 ** 20;

const Place = { space: z.enum(["fetch", "use", "runtime"]), key: z.string().max(4_096) };
const Tags = z.array(z.string()).max(1_000);
const Question = z.discriminatedUnion("verb", [
  z.object({ verb: z.literal("get"), ...Place, tags: Tags }),
  z.object({
    verb: z.literal("set"),
    ...Place,
    value: z.unknown(),
    tags: Tags,
    ttlS: z.number().positive().nullable(),
    madeAtMs: z.number().optional(),
  }),
  z.object({ verb: z.literal("delete"), ...Place }),
  z.object({ verb: z.literal("change"), tags: Tags, goneInS: z.number().nullable() }),
]);

export function createDataCache(store: KeptStore, tags: TagTimes, clock: Clock): DataCache {
  return {
    async answer(question) {
      const asked = Question.parse(question);
      if (asked.verb === "change") {
        await tags.change(asked.tags, asked.goneInS);
        return null;
      }
      const key = `${asked.space} ${asked.key}`;
      if (asked.verb === "get") return get(store, tags, clock, { key, tags: asked.tags });
      if (asked.verb === "delete") await store.delete(key);
      else await set(store, clock, { ...asked, key });
      return null;
    },
  };
}

async function get(
  store: KeptStore,
  times: TagTimes,
  clock: Clock,
  asked: { key: string; tags: readonly string[] },
): Promise<CacheAnswer> {
  const kept = await store.get(asked.key);
  if (kept === null) return null;
  const { storedAtMs, freshForS, body } = kept;
  if (freshForS !== null && clock.now().getTime() - storedAtMs >= freshForS * 1000) return null;
  const state = times.stateOf([...kept.tags, ...asked.tags], storedAtMs);
  if (state === "gone") return null;
  return { value: JSON.parse(body.toString("utf8")), storedAtMs, stale: state === "stale" };
}

async function set(
  store: KeptStore,
  clock: Clock,
  asked: {
    readonly key: string;
    readonly value?: unknown;
    readonly tags: readonly string[];
    readonly ttlS: number | null;
    readonly madeAtMs?: number | undefined;
  },
): Promise<void> {
  const body = Buffer.from(JSON.stringify(asked.value ?? null));
  if (body.length > LARGEST_BYTES) return store.delete(asked.key);
  const storedAtMs = asked.madeAtMs ?? clock.now().getTime();
  const tags = cleanTags(asked.tags);
  await store.put(asked.key, { status: 0, headers: [], body, storedAtMs, freshForS: asked.ttlS, tags });
}
