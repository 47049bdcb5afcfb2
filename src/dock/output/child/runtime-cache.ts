import type { ServerResponse } from "node:http";
import { ask } from "./cache-channel.ts";

/** What `@vercel/functions` finds for `getCache`, `invalidateByTag`, `dangerouslyDeleteByTag` and `addCacheTag`. */
export type Tags = string | readonly string[];

const TAGS = "vercel-cache-tag";

export const runtimeCache = {
  async get(key: string): Promise<unknown> {
    const found = await ask({ verb: "get", space: "runtime", key, tags: [] });
    return found === null || found.stale ? null : found.value;
  },
  async set(
    key: string,
    value: unknown,
    { ttl, tags = [] }: { ttl?: number; tags?: readonly string[] } = {},
  ): Promise<void> {
    const ttlS = ttl !== undefined && ttl > 0 ? ttl : null;
    await ask({ verb: "set", space: "runtime", key, value: value ?? null, tags: [...tags], ttlS });
  },
  async delete(key: string): Promise<void> {
    await ask({ verb: "delete", space: "runtime", key });
  },
  expireTag: (tag: Tags) => change(tag, 0),
};

export const purge = {
  invalidateByTag: (tag: Tags) => change(tag, null),
  dangerouslyDeleteByTag: (tag: Tags, options?: { revalidationDeadlineSeconds?: number }) =>
    change(tag, options?.revalidationDeadlineSeconds ?? 0),
  // Optimised images are made for each request here: there is nothing to make stale.
  invalidateBySrcImage: async () => {},
  dangerouslyDeleteBySrcImage: async () => {},
};

/** Tags of the answer that is being made. */
export async function addCacheTag(res: ServerResponse, tag: Tags): Promise<void> {
  if (res.headersSent) return;
  const before = res.getHeader(TAGS);
  res.setHeader(TAGS, [...(before === undefined ? [] : [String(before)]), ...listOf(tag)].join(","));
}

async function change(tag: Tags, goneInS: number | null): Promise<void> {
  await ask({ verb: "change", tags: listOf(tag), goneInS });
}

function listOf(tag: Tags): string[] {
  return typeof tag === "string" ? [tag] : [...tag];
}
