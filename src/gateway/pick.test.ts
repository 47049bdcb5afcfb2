import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Asked, BUCKETS, type Pin, pick, pickOfRoute } from "./pick.ts";
import type { HostRoute } from "./snapshot.ts";
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
const asked = (pin: Pin | null, parts: Partial<Asked> = {}): Asked => ({
  pin,
  override: null,
  named: null,
  nowMs: 1_000,
  ...parts,
});

describe("pick", () => {
  it("sends everything to a single target, without a cookie and without asking for a bucket", () => {
    const route = { targets: [{ release: "only", weight: 100 }], rollout: "r1" };
    const refuse = () => {
      throw new Error("a bucket was asked for");
    };
    expect(
      pick("shop.localhost", asked(pinOf("other")), { hosts: { "shop.localhost": route } }, refuse),
    ).toEqual({
      release: "only",
      stick: false,
    });
  });

  it.each(["unknown.localhost", "__proto__", "constructor"])("knows no host %s", (host) => {
    expect(pick(host, asked(null), { hosts: { "shop.localhost": split(10) } }, () => 0)).toBeNull();
  });

  it("raising the canary's weight moves nobody back to stable", () => {
    fc.assert(
      fc.property(bucket, percent, percent, (visitor, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const before = pickOfRoute(split(low), asked(null), () => visitor)?.release;
        const after = pickOfRoute(split(high), asked(null), () => visitor)?.release;
        return before !== "canary" || after === "canary";
      }),
    );
  });

  it("a visitor pinned to the canary keeps it at every weight above 0", () => {
    fc.assert(
      fc.property(bucket, fc.integer({ min: 1, max: 99 }), (visitor, weight) => {
        const picked = pickOfRoute(split(weight), asked(pinOf("canary")), () => visitor);
        return picked?.release === "canary" && !picked.stick;
      }),
    );
  });

  it("a visitor pinned to stable moves forward once the weight reaches their bucket, and is given a new cookie", () => {
    expect(pickOfRoute(split(5), asked(pinOf("stable")), () => 1_000)).toEqual({
      release: "stable",
      stick: false,
    });
    expect(pickOfRoute(split(25), asked(pinOf("stable")), () => 1_000)).toEqual({
      release: "canary",
      stick: true,
    });
  });

  it("picks again for a pin whose release is gone, has no weight, or belongs to another rollout", () => {
    expect(pickOfRoute(split(10), asked(pinOf("gone")), () => 9_999)).toEqual({
      release: "stable",
      stick: true,
    });
    expect(pickOfRoute(split(0), asked(pinOf("canary")), () => 0)).toEqual({
      release: "stable",
      stick: true,
    });
    expect(pickOfRoute(split(10), asked(pinOf("canary", "r0")), () => 9_999)).toEqual({
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
          const picked = pickOfRoute({ targets, rollout: "r1" }, asked(null), () => at)?.release ?? "";
          counts.set(picked, (counts.get(picked) ?? 0) + 1);
        }
        return targets.every(({ release, weight }) => counts.get(release) === weight);
      }),
      { numRuns: 50 },
    );
  });
});

describe("an override", () => {
  const override = fc.constantFrom("always", "never");
  const pin = fc.constantFrom(null, pinOf("stable"), pinOf("canary"), pinOf("canary", "r0"));

  it("decides over bucket and cookie, also at weight 0, and sets no cookie", () => {
    fc.assert(
      fc.property(bucket, percent, pin, override, (visitor, weight, pin, override) => {
        const picked = pickOfRoute(split(weight), asked(pin, { override }), () => visitor);
        expect(picked).toEqual({ release: override === "always" ? "canary" : "stable", stick: false });
      }),
    );
  });

  it("does not exist without a split", () => {
    const route = { targets: [{ release: "only", weight: 100 }], rollout: null };
    expect(pickOfRoute(route, asked(null, { override: "always" }), () => 0)?.release).toBe("only");
  });

  it("raising the weight from 0 on moves nobody back, whatever they wish for", () => {
    const wish = fc.option(override);
    fc.assert(
      fc.property(bucket, percent, percent, wish, (visitor, a, b, override) => {
        const at = (weight: number) =>
          pickOfRoute(split(weight), asked(null, { override }), () => visitor)?.release;
        return at(Math.min(a, b)) !== "canary" || at(Math.max(a, b)) === "canary";
      }),
    );
  });

  it("nobody is in a canary of weight 0 without one", () => {
    fc.assert(
      fc.property(bucket, pin, (visitor, pin) => {
        return pickOfRoute(split(0), asked(pin), () => visitor)?.release === "stable";
      }),
    );
  });
});

describe("a host that changed hands", () => {
  const route: HostRoute = {
    targets: [{ release: "new", weight: 100 }],
    rollout: null,
    sticky: true,
    draining: [{ release: "old", untilMs: 2_000 }],
  };

  it.each<[string, Pin | null, number, string, boolean]>([
    ["a visitor of the old release keeps it", pinOf("old"), 1_999, "old", false],
    ["until the deadline, and is then given a new cookie", pinOf("old"), 2_000, "new", true],
    ["one of an even older release does not", pinOf("older"), 1_000, "new", true],
    ["one who is new gets the new one", null, 1_000, "new", true],
    ["one of the new one needs no new cookie", pinOf("new", "none"), 1_000, "new", false],
  ])("%s", (_, pin, nowMs, release, stick) => {
    expect(pickOfRoute(route, asked(pin, { nowMs }), () => 0)).toEqual({ release, stick });
  });

  it("keeps them through the next split as well", () => {
    const next = { ...split(100), draining: route.draining ?? [] };
    expect(pickOfRoute(next, asked(pinOf("old")), () => 0)).toEqual({ release: "old", stick: false });
  });
});

describe("a release that is named", () => {
  const protectedRoute = { ...split(10), nameable: [{ release: "old", untilMs: 2_000 }] };

  it.each<[string, HostRoute, string, number, string]>([
    ["answers while it may be named", protectedRoute, "old", 1_999, "old"],
    ["does not afterwards", protectedRoute, "old", 2_000, "stable"],
    ["may be a target", protectedRoute, "canary", 1_000, "canary"],
    ["is ignored when it is unknown", protectedRoute, "other", 1_000, "stable"],
    ["is ignored where skew protection is off", split(10), "canary", 1_000, "stable"],
  ])("%s", (_, route, named, nowMs, release) => {
    const picked = pickOfRoute(route, asked(pinOf("stable"), { named, nowMs }), () => 9_999);
    expect(picked).toEqual({ release, stick: false });
  });

  it("wins over an override: a page's parts belong together", () => {
    const both = asked(null, { named: "old", override: "always" });
    expect(pickOfRoute(protectedRoute, both, () => 0)?.release).toBe("old");
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
