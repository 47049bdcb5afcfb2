import { createHash } from "node:crypto";

export const SHARDS = 64;

/** The share of the work that a check belongs to, for good: 0 to 63. */
export function shardOf(checkId: string): number {
  return (createHash("sha1").update(checkId).digest()[0] ?? 0) % SHARDS;
}
