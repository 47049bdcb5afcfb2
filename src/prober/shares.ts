import { SHARDS } from "../checks/index.ts";

/** A share of a location's work as its row says. `leaseUntil`: ms since the epoch. */
export type ShardRow = {
  readonly shard: number;
  readonly owner: string | null;
  readonly leaseUntil: number;
};

export type Plan = {
  /** To be claimed now: free, or left by a prober that is gone. */
  readonly claim: readonly number[];
  /** To be given back: others are there that have less. */
  readonly release: readonly number[];
  /** When a lease that might then be taken over ends. Null: none would be. */
  readonly next: number | null;
};

/**
 * What one prober should hold of a location's shards: a fair part, rounded up, so that all are held. Whoever has more
 * gives back, whoever has less takes what is free; nobody takes what is held.
 */
export function planShards(
  rows: readonly ShardRow[],
  me: string,
  probers: readonly string[],
  now: number,
): Plan {
  const fair = Math.ceil(SHARDS / Math.max(1, new Set([...probers, me]).size));
  const mine = rows.filter(({ owner }) => owner === me).map(({ shard }) => shard);
  const known = new Set(rows.map(({ shard }) => shard));
  const unknown = Array.from({ length: SHARDS }, (_, shard) => shard).filter((shard) => !known.has(shard));
  const lapsed = rows.filter(
    ({ owner, leaseUntil }) => owner !== me && (owner === null || leaseUntil <= now),
  );
  const wanted = Math.max(0, fair - mine.length);
  const others = rows.filter(({ owner, leaseUntil }) => owner !== null && owner !== me && leaseUntil > now);
  const ends = others.map(({ leaseUntil }) => leaseUntil);
  return {
    claim: [...unknown, ...lapsed.map(({ shard }) => shard)].slice(0, wanted),
    release: mine.sort((a, b) => a - b).slice(fair),
    next: ends.length > 0 ? Math.min(...ends) : null,
  };
}
