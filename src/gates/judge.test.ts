import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gateDigest } from "./digest.ts";
import type { Approval, GateFacts, GatePolicy, Lock } from "./facts.ts";
import type { Freeze } from "./freeze.ts";
import { type GateInput, judgeGate, judgeStart } from "./judge.ts";
import { weighApprovals } from "./weigh.ts";

const ASKED_AT = new Date("2026-11-27T12:00:00Z");
const HOUR_MS = 3_600_000;
const later = (ms: number) => new Date(ASKED_AT.getTime() + ms);
const DIGEST = "a".repeat(64);
const OTHER = "b".repeat(64);
const NO_FACTS: GateFacts = { approvals: [], locks: [], freezes: [], breakGlass: null };

function asks(change: Partial<NonNullable<GatePolicy["approvals"]>> = {}): GatePolicy {
  const approvals = { required: 1, reviewers: [], selfApproval: false, expiresMs: 24 * HOUR_MS, ...change };
  return { approvals, waitMs: 0 };
}

function said(actorName: string, change: Partial<Approval> = {}): Approval {
  return {
    id: `apr_${actorName}`,
    deploymentId: "dep_1",
    digest: DIGEST,
    decision: "approve",
    actorId: `tok_${actorName}`,
    actorName,
    comment: null,
    at: later(60_000),
    ...change,
  };
}

const lock: Lock = {
  id: "lck_1",
  projectId: null,
  environment: "production",
  ownerId: "tok_eve",
  ownerName: "eve",
  reason: "moving the database",
  createdAt: ASKED_AT,
  expiresAt: later(3 * HOUR_MS),
};

const weekend: Freeze = {
  id: "frz_1",
  projectId: null,
  environment: null,
  name: "Weekend",
  reason: null,
  ownerId: null,
  ownerName: "owner",
  createdAt: ASKED_AT,
  expiresAt: null,
  kind: "weekly",
  days: ["fri"],
  from: "13:00",
  until: "08:00",
  untilDay: "mon",
  timeZone: "Europe/Berlin",
};

function judge(change: Partial<Omit<GateInput, "facts">> & { facts?: Partial<GateFacts> } = {}) {
  return judgeGate({
    policy: asks(),
    digest: DIGEST,
    requestedBy: { id: "tok_dan", name: "dan" },
    askedAt: ASKED_AT,
    now: later(HOUR_MS),
    ...change,
    facts: { ...NO_FACTS, ...change.facts },
  });
}

describe("a gate", () => {
  test("that asks for nothing is open", () => {
    expect(judge({ policy: { approvals: null, waitMs: 0 } })).toEqual({
      is: "open",
      because: "Nothing asks for approval.",
    });
  });

  test("opens with enough approvals, and names who gave them", () => {
    const facts = { approvals: [said("ann"), said("bob")] };
    expect(judge({ policy: asks({ required: 2 }), facts })).toEqual({
      is: "open",
      because: "Approved by ann, bob.",
    });
  });

  test("tells everything that holds in one sentence, and when to look again", () => {
    const facts = { approvals: [said("ann")], freezes: [weekend] };
    expect(judge({ policy: asks({ required: 2 }), facts })).toEqual({
      is: "waits",
      for: "freeze",
      reason: 'Waits for 1 of 2 approvals; and for the freeze "Weekend" until Mon 08:00 Europe/Berlin.',
      until: later(24 * HOUR_MS),
    });
    const all = judge({
      policy: { ...asks(), waitMs: 2 * HOUR_MS },
      facts: { freezes: [weekend], locks: [lock] },
    });
    expect(all).toEqual({
      is: "waits",
      for: "lock",
      reason:
        'Waits for 1 approval; for the lock by eve ("moving the database") until Fri 15:00 UTC; ' +
        'for the freeze "Weekend" until Mon 08:00 Europe/Berlin; and for its wait timer until Fri 14:00 UTC.',
      until: later(2 * HOUR_MS),
    });
  });

  test("holds for a data store that is down, and lets a broken glass through all the same", () => {
    const unwell = [{ name: "database", since: later(0), message: "the connection was refused" }];
    const open = { approvals: null, waitMs: 0 };
    expect(judge({ policy: open, facts: { unwell } })).toEqual({
      is: "waits",
      for: "health",
      reason: "Waits for database to be up again: down since Fri 12:00 UTC (the connection was refused).",
      until: null,
    });
    const breakGlass = { deploymentId: "dep_1", actorName: "ann", reason: "this mends it", at: ASKED_AT };
    expect(judge({ policy: open, facts: { unwell, breakGlass } })).toMatchObject({ is: "open" });
  });

  test("names who may approve, and a lock that has no end has no time to look", () => {
    expect(judge({ policy: asks({ reviewers: ["ann", "bob"] }) })).toMatchObject({
      for: "approval",
      reason: "Waits for 1 approval (by ann, bob).",
    });
    const forever = { ...lock, expiresAt: null };
    expect(judge({ policy: { approvals: null, waitMs: 0 }, facts: { locks: [forever] } })).toEqual({
      is: "waits",
      for: "lock",
      reason: 'Waits for the lock by eve ("moving the database") until it is released.',
      until: null,
    });
  });

  test("counts its wait from when it asked, apart from approvals", () => {
    const policy = { approvals: null, waitMs: 2 * HOUR_MS };
    expect(judge({ policy })).toMatchObject({ is: "waits", for: "timer", until: later(2 * HOUR_MS) });
    expect(judge({ policy, now: later(2 * HOUR_MS) })).toMatchObject({ is: "open" });
  });

  test("is passed by a broken glass whatever holds it, and says so", () => {
    const breakGlass = { deploymentId: "dep_1", actorName: "ann", reason: "checkout is down", at: ASKED_AT };
    const facts = {
      breakGlass,
      locks: [lock],
      freezes: [weekend],
      approvals: [said("bob", { decision: "reject" })],
    };
    expect(judge({ facts })).toEqual({ is: "open", because: "Break-glass by ann: checkout is down" });
  });

  test("rejects when its time is over, and never because of a lock or a freeze that outlasts it", () => {
    const now = later(24 * HOUR_MS);
    const facts = { approvals: [said("ann")], freezes: [weekend] };
    expect(judge({ policy: asks({ required: 2, reviewers: ["ann", "bob"] }), now, facts })).toEqual({
      is: "rejected",
      reason: "1 of 2 approvals came within 24 h.",
      hint: "Deploy it again and ask for approval: ann, bob may give it.",
    });
    expect(judge({ now, facts })).toMatchObject({ is: "waits", for: "freeze" });
  });

  test("is closed by one rejection, before anything else is told", () => {
    const no = said("bob", { decision: "reject", comment: "the price is wrong" });
    expect(judge({ facts: { approvals: [said("ann"), no], locks: [lock] } })).toMatchObject({
      is: "rejected",
      reason: "Rejected by bob: the price is wrong",
    });
  });
});

describe("an approval", () => {
  const weigh = (approvals: Approval[], policy = asks()) => {
    const asked = policy.approvals;
    if (!asked) throw new Error("asks for approvals");
    const input = { asked, digest: DIGEST, requestedBy: { id: "tok_dan", name: "dan" }, askedAt: ASKED_AT };
    return weighApprovals(approvals, input).map(({ counts, whyNot }) => (counts ? "counts" : whyNot));
  };
  const listed = asks({ reviewers: ["ann", "tok_bob"] });

  test.each([
    ["of what is there", [said("ann")], asks(), ["counts"]],
    [
      "of what it was before",
      [said("ann", { digest: OTHER })],
      asks(),
      ["Void: what it was given for has changed since."],
    ],
    ["by a reviewer, listed by name or by id", [said("ann"), said("bob")], listed, ["counts", "counts"]],
    ["by anybody else", [said("cid")], listed, ["cid is not among the reviewers."]],
    ["by the same person again", [said("ann"), said("ann")], asks(), ["counts", "Said before."]],
    [
      "by two of the same name",
      [said("ann"), said("ann", { actorId: "tok_2" })],
      asks(),
      ["counts", "counts"],
    ],
    ["by who started it", [said("dan")], asks(), ["dan started this deployment."]],
    ["by another of the same name", [said("dan", { actorId: "tok_2" })], asks(), ["counts"]],
    [
      "by their name, where there is no id",
      [said("dan", { actorId: null })],
      asks(),
      ["dan started this deployment."],
    ],
    ["by who started it, where that is allowed", [said("dan")], asks({ selfApproval: true }), ["counts"]],
    [
      "that came late",
      [said("ann", { at: later(24 * HOUR_MS) })],
      asks(),
      ["It came after the time to approve had ended."],
    ],
    ["refused late", [said("ann", { at: later(25 * HOUR_MS), decision: "reject" })], asks(), ["counts"]],
    ["refused by who started it", [said("dan", { decision: "reject" })], asks(), ["counts"]],
    [
      "refused by no reviewer",
      [said("cid", { decision: "reject" })],
      listed,
      ["cid is not among the reviewers."],
    ],
  ])("%s", (_name, approvals, policy, expected) => {
    expect(weigh(approvals, policy)).toEqual(expected);
  });
});

describe("before it begins", () => {
  test("only a lock that still holds forbids it, and a broken glass lets it through", () => {
    const at = { now: later(HOUR_MS) };
    const breakGlass = { deploymentId: "d", actorName: "ann", reason: "checkout is down", at: ASKED_AT };
    expect(judgeStart({ facts: { locks: [], breakGlass: null }, ...at })).toMatchObject({ is: "open" });
    expect(judgeStart({ facts: { locks: [lock], breakGlass: null }, ...at })).toMatchObject({
      is: "waits",
      for: "lock",
      until: lock.expiresAt,
    });
    expect(judgeStart({ facts: { locks: [lock], breakGlass: null }, now: later(3 * HOUR_MS) }).is).toBe(
      "open",
    );
    expect(judgeStart({ facts: { locks: [lock], breakGlass }, ...at })).toMatchObject({
      because: "Break-glass by ann: checkout is down",
    });
  });
});

const names = fc.constantFrom("ann", "bob", "cid", "dan");
const minutes = (max: number) => fc.integer({ min: 0, max }).map((minute) => later(minute * 60_000));
const approvals = fc.array(
  fc
    .record({
      actorName: names,
      decision: fc.constantFrom("approve", "approve", "approve", "reject"),
      digest: fc.constantFrom(DIGEST, DIGEST, OTHER),
      at: minutes(2_000),
      noId: fc.boolean(),
    })
    .map(({ actorName, noId, ...change }) =>
      said(actorName, { ...change, ...(noId ? { actorId: null } : {}) }),
    ),
  { maxLength: 5 },
);
const policies: fc.Arbitrary<GatePolicy> = fc.record({
  approvals: fc.option(
    fc.record({
      required: fc.integer({ min: 0, max: 3 }),
      reviewers: fc.subarray(["ann", "bob", "tok_cid", "dan"]),
      selfApproval: fc.boolean(),
      expiresMs: fc.integer({ min: 1, max: 1_500 }).map((minute) => minute * 60_000),
    }),
    { freq: 6 },
  ),
  waitMs: fc.constantFrom(0, 0, 30 * 60_000, 600 * 60_000),
});
const locks = fc.array(
  fc.option(minutes(2_000)).map((expiresAt) => ({ ...lock, expiresAt })),
  { maxLength: 2 },
);
const inputs: fc.Arbitrary<GateInput> = fc.record({
  policy: policies,
  digest: fc.constant(DIGEST),
  requestedBy: fc.constantFrom({ id: "tok_dan", name: "dan" }, { id: null, name: "dan" }),
  askedAt: fc.constant(ASKED_AT),
  now: minutes(2_000),
  facts: fc.record({
    approvals,
    locks,
    freezes: fc.subarray([weekend]),
    breakGlass: fc.constant(null),
  }),
});

/** Counted in another way than the code does: people, as sets. */
function peopleWhoApproved({ policy, digest, requestedBy, askedAt, facts }: GateInput): number {
  const asked = policy.approvals;
  if (!asked) return 0;
  const good = facts.approvals.filter(
    (each) =>
      each.decision === "approve" &&
      each.digest === digest &&
      each.at.getTime() < askedAt.getTime() + asked.expiresMs &&
      (asked.reviewers.length === 0 ||
        asked.reviewers.some((name) => name === each.actorName || name === each.actorId)) &&
      (asked.selfApproval || each.actorName !== requestedBy.name),
  );
  return new Set(good.map((each) => each.actorId ?? `?${each.actorName}`)).size;
}

describe("whatever is said", () => {
  const holds = (check: (input: GateInput) => void) =>
    fc.assert(fc.property(inputs, check), { numRuns: 2_000 });

  test("it does not open with too few approvals that count", () => {
    let opened = 0;
    holds((input) => {
      if (judgeGate(input).is !== "open") return;
      opened++;
      expect(peopleWhoApproved(input)).toBeGreaterThanOrEqual(input.policy.approvals?.required ?? 0);
    });
    expect(opened).toBeGreaterThan(50);
  });

  test("what has changed since does not open, if it asks for approval at all", () => {
    holds((input) => {
      if (!input.policy.approvals?.required) return;
      expect(judgeGate({ ...input, digest: "c".repeat(64) }).is).not.toBe("open");
    });
  });

  test("one more lock, freeze or rejection opens nothing", () => {
    holds((input) => {
      if (judgeGate(input).is === "open") return;
      const more: Partial<GateFacts>[] = [
        { locks: [...input.facts.locks, lock] },
        { freezes: [...input.facts.freezes, weekend] },
        { approvals: [...input.facts.approvals, said("ann", { decision: "reject" })] },
      ];
      for (const change of more) {
        expect(judgeGate({ ...input, facts: { ...input.facts, ...change } }).is).not.toBe("open");
      }
    });
  });

  test("while it waits, nothing but a new fact changes that before the time to look again", () => {
    fc.assert(
      fc.property(inputs, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (input, share) => {
        const verdict = judgeGate(input);
        if (verdict.is !== "waits") return;
        const until = verdict.until ?? new Date(input.now.getTime() + 30 * 24 * HOUR_MS);
        expect(until > input.now).toBe(true);
        const now = new Date(
          input.now.getTime() + Math.floor((until.getTime() - input.now.getTime()) * share),
        );
        expect(judgeGate({ ...input, now }).is).toBe("waits");
      }),
      { numRuns: 2_000 },
    );
  });

  test("a broken glass opens", () => {
    const breakGlass = { deploymentId: "dep_1", actorName: "ann", reason: "checkout is down", at: ASKED_AT };
    holds((input) => {
      expect(judgeGate({ ...input, facts: { ...input.facts, breakGlass } }).is).toBe("open");
    });
  });
});

describe("a digest", () => {
  test("is the same under any order of keys, and of any value that is written the same", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), (parts) => {
        expect(gateDigest(reversed(parts) as Record<string, unknown>)).toBe(gateDigest(parts));
        expect(gateDigest({ ...parts, absent: undefined })).toBe(gateDigest({ ...parts }));
      }),
    );
  });

  test.each([
    [{ commit: "a" }, { commit: "b" }],
    [{ list: [1, 2] }, { list: [2, 1] }],
    [{ a: { b: 1 } }, { a: { b: 2 } }],
    [{ a: 1 }, { a: "1" }],
    [{ a: null }, {}],
    [{ a: [[1], 2] }, { a: [1, [2]] }],
  ])("of %j differs from that of %j", (one, other) => {
    expect(gateDigest(one)).not.toBe(gateDigest(other));
  });

  test("of what JSON cannot tell apart is refused", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 1, new Map()]) {
      expect(() => gateDigest({ value })).toThrow();
    }
    expect(gateDigest({})).toMatch(/^[0-9a-f]{64}$/);
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).reverse();
  return Object.fromEntries(entries.map(([key, field]) => [key, reversed(field)]));
}
