import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BUCKETS, type Pin, pick, pickOfRoute } from "./pick.ts";
import { bucketOf, createSticky, STICKY_COOKIE } from "./sticky.ts";

const SECRET = "a secret of the tests, long enough";
const split = (canary: number, rollout = "r1") => ({
  targets: [
    { release: "stable", weight: 100 - canary },
    { release: "canary", weight: canary },
  ],
  rollout,
});
const bucket = fc.integer({ min: 0, max: BUCKETS - 1 });
const percent = fc.integer({ min: 0, max: 100 });
const pinOf = (release: string, rollout = "r1"): Pin => ({ visitor: "v", rollout, release });

describe("pick", () => {
  it("sends everything to a single target, without a cookie and without asking for a bucket", () => {
    const route = { targets: [{ release: "only", weight: 100 }], rollout: "r1" };
    const refuse = () => {
      throw new Error("a bucket was asked for");
    };
    expect(pick("shop.localhost", pinOf("other"), { hosts: { "shop.localhost": route } }, refuse)).toEqual({
      release: "only",
      stick: false,
    });
  });

  it.each(["unknown.localhost", "__proto__", "constructor"])("knows no host %s", (host) => {
    expect(pick(host, null, { hosts: { "shop.localhost": split(10) } }, () => 0)).toBeNull();
  });

  it("raising the canary's weight moves nobody back to stable", () => {
    fc.assert(
      fc.property(bucket, percent, percent, (visitor, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const before = pickOfRoute(split(low), null, () => visitor)?.release;
        const after = pickOfRoute(split(high), null, () => visitor)?.release;
        return before !== "canary" || after === "canary";
      }),
    );
  });

  it("a visitor pinned to the canary keeps it at every weight above 0", () => {
    fc.assert(
      fc.property(bucket, fc.integer({ min: 1, max: 99 }), (visitor, weight) => {
        const picked = pickOfRoute(split(weight), pinOf("canary"), () => visitor);
        return picked?.release === "canary" && !picked.stick;
      }),
    );
  });

  it("a visitor pinned to stable moves forward once the weight reaches their bucket, and is given a new cookie", () => {
    expect(pickOfRoute(split(5), pinOf("stable"), () => 1_000)).toEqual({ release: "stable", stick: false });
    expect(pickOfRoute(split(25), pinOf("stable"), () => 1_000)).toEqual({ release: "canary", stick: true });
  });

  it("picks again for a pin whose release is gone, has no weight, or belongs to another rollout", () => {
    expect(pickOfRoute(split(10), pinOf("gone"), () => 9_999)).toEqual({ release: "stable", stick: true });
    expect(pickOfRoute(split(0), pinOf("canary"), () => 0)).toEqual({ release: "stable", stick: true });
    expect(pickOfRoute(split(10), pinOf("canary", "r0"), () => 9_999)).toEqual({
      release: "stable",
      stick: true,
    });
  });

  it("gives each of any number of targets its exact share of the buckets", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 4 }), (weights) => {
        const rest = 100 - weights.slice(1).reduce((sum, weight) => sum + weight, 0);
        const targets = [rest, ...weights.slice(1)].map((weight, i) => ({ release: `r${i}`, weight }));
        const counts = new Map<string, number>();
        for (let at = 0; at < BUCKETS; at += 100) {
          const picked = pickOfRoute({ targets, rollout: "r1" }, null, () => at)?.release ?? "";
          counts.set(picked, (counts.get(picked) ?? 0) + 1);
        }
        return targets.every(({ release, weight }) => counts.get(release) === weight);
      }),
      { numRuns: 50 },
    );
  });
});

describe("the sticky cookie", () => {
  const sticky = createSticky(SECRET);
  const cookie = sticky.write({ visitor: "v_1", rollout: "r1", release: "dpl_a" }).split(";")[0] ?? "";

  it("reads back what it wrote, between other cookies", () => {
    expect(sticky.read(`a=b; ${cookie}; c=d`)).toEqual({ visitor: "v_1", rollout: "r1", release: "dpl_a" });
  });

  it.each([
    ["another release", cookie.replace("dpl_a", "dpl_b")],
    ["another key's signature", createSticky(`${SECRET}!`).write(pinOf("dpl_a")).split(";")[0] ?? ""],
    ["a missing signature", `${STICKY_COOKIE}=v_1.r1.dpl_a`],
    ["nothing", `${STICKY_COOKIE}=`],
    ["a name that only ends like it", `x${cookie}`],
    ["a very long value", `${STICKY_COOKIE}=${"v".repeat(10_000)}.r1.dpl_a.x`],
  ])("does not believe %s", (_, header) => {
    expect(sticky.read(header)).toBeNull();
  });

  it("spreads visitors over the buckets as the weights say", () => {
    let canary = 0;
    for (let i = 0; i < 20_000; i++) if (bucketOf("r1", `visitor ${i}`) < 1_000) canary++;
    // 10 % of 20,000, within four standard deviations.
    expect(Math.abs(canary - 2_000)).toBeLessThan(4 * Math.sqrt(20_000 * 0.1 * 0.9));
  });
});
