import fc from "fast-check";
import { expect, test } from "vitest";
import { planShards, type ShardRow } from "./shares.ts";

const NOW = 1_000_000;
const all = (owner: (shard: number) => string | null, leaseUntil = NOW + 5_000): ShardRow[] =>
  Array.from({ length: 64 }, (_, shard) => ({ shard, owner: owner(shard), leaseUntil }));

test("the first prober takes everything", () => {
  expect(planShards([], "a", ["a"], NOW).claim.length).toBe(64);
});

test("a second one is given half, and takes nothing that is held", () => {
  const rows = all(() => "a");
  expect(planShards(rows, "b", ["a", "b"], NOW)).toEqual({ claim: [], release: [], next: NOW + 5_000 });
  expect(planShards(rows, "a", ["a", "b"], NOW).release.length).toBe(32);
});

test("what a dead one held is taken when its lease ends, and not before", () => {
  const rows = all((shard) => (shard < 32 ? "a" : "dead"), NOW + 1);
  expect(planShards(rows, "a", ["a"], NOW)).toMatchObject({ claim: [], next: NOW + 1 });
  expect(planShards(rows, "a", ["a"], NOW + 1).claim.length).toBe(32);
});

test("however many there are and whoever holds what, they come to rest with all shards held, each by one", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.constantFrom("p0", "p1", "p2", "gone", null), { minLength: 64, maxLength: 64 }),
      (count, owners) => {
        const probers = Array.from({ length: count }, (_, n) => `p${n}`);
        const rows = owners.map((owner, shard): ShardRow => {
          const isLive = owner !== null && probers.includes(owner);
          return { shard, owner, leaseUntil: isLive ? NOW + 5_000 : NOW };
        });
        for (let turn = 0; turn < 3; turn++)
          for (const me of probers) {
            const { claim, release } = planShards(rows, me, probers, NOW);
            for (const shard of claim) rows[shard] = { shard, owner: me, leaseUntil: NOW + 5_000 };
            for (const shard of release) rows[shard] = { shard, owner: null, leaseUntil: NOW };
          }
        const held = probers.map((me) => rows.filter(({ owner }) => owner === me).length);
        expect(held.reduce((sum, each) => sum + each, 0)).toBe(64);
        expect(Math.max(...held)).toBe(Math.ceil(64 / count));
      },
    ),
  );
});
