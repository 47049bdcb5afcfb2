import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemActor } from "../../src/access/index.ts";
import {
  type Columns,
  type Ledger,
  LedgerConflict,
  type NewDeployment,
} from "../../src/deployments/ledger.ts";
import type { Deployment } from "../../src/deployments/record.ts";
import { ACTIVE, STATES, type State } from "../../src/deployments/state.ts";
import { aDeployment, aService, at, T0 } from "../support/deployment-row.ts";

export type LedgerUnderTest = AsyncDisposable & {
  readonly ledger: Ledger;
  /** A project that deployments can belong to. */
  newProject(): Promise<string>;
  /** What was written beside the rows, in order. */
  auditOf(subject: string): Promise<string[]>;
};

let under: LedgerUnderTest;
let count = 0;

/** What every ledger must do with the same calls. One to a test file. */
export function ledgerContract(name: string, start: () => Promise<LedgerUnderTest>): void {
  describe(`the ledger in ${name}`, () => {
    beforeAll(async () => {
      under = await start();
    });
    afterAll(() => under[Symbol.asyncDispose]());
    describe("keeps rows", rows);
    describe("refuses a second one", conflicts);
    describe("lends a deployment to one owner", leases);
    describe("hands work over", handingOver);
    describe("reads a place", places);
    describe("knows who competes", competition);
    describe("writes all of it or nothing", transactions);
    describe("remembers what people asked for", requests);
  });
}

const ledger = () => under.ledger;
const ids = (found: readonly { id: string }[]) => found.map(({ id }) => id);

export function newRow(projectId: string, change: Partial<Deployment> = {}): NewDeployment {
  const { seq: _, project: __, ...row } = aDeployment("queued");
  const fresh = { leaseToken: 0, leaseOwner: null, leaseUntil: null, deadlineAt: null };
  return { ...row, ...fresh, id: `dep_${++count}_${projectId}`, projectId, ...change };
}

async function insert(projectId: string, change: Partial<Deployment> = {}): Promise<Deployment> {
  return ledger().insert(newRow(projectId, change));
}

async function conflictOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof LedgerConflict ? error.kind : `no conflict but ${error}`;
}

function rows(): void {
  it("gives back what was put in, with the project's name and its order of arrival", async () => {
    const project = await under.newProject();
    const full: Partial<Deployment> = {
      state: "live",
      facts: {
        waitedMs: 5,
        schema: { held: false, expanded: true, version: { expand: "1.sql", contract: null } },
      },
      services: [aService("api"), aService("web")],
      cleanup: "retire",
      contractAt: at(5),
      outcome: "success",
      pullRequest: 7,
      liveAt: at(1),
      idempotencyKey: `key ${project}`,
    };
    const first = await insert(project, full);
    const second = await insert(project);
    expect(await ledger().load(first.id)).toEqual(first);
    expect(first).toMatchObject({ ...full, projectId: project, project: expect.stringMatching(/./) });
    expect(second.seq).toBeGreaterThan(first.seq);
    expect(await ledger().load("dep_none")).toBeNull();
  });

  it("changes a row only in the state and under the lease that is meant", async () => {
    const { id } = await insert(await under.newProject());
    const set = { reason: "r" };
    expect(await ledger().update({ id, state: "live" }, set)).toBeNull();
    expect(await ledger().update({ id, leaseToken: 1 }, set)).toBeNull();
    expect(await ledger().update({ id: "dep_none" }, set)).toBeNull();
    expect((await ledger().load(id))?.reason).toBeNull();
    expect(await ledger().update({ id, state: "queued", leaseToken: 0 }, set)).toMatchObject({
      reason: "r",
      leaseToken: 0,
    });
    expect(await ledger().update({ id }, { hint: "h" }, { bumpToken: true })).toMatchObject({
      reason: "r",
      hint: "h",
      leaseToken: 1,
    });
  });

  it("leaves what is not given, and takes null for what it says", async () => {
    const row = await insert(await under.newProject(), { reason: "r", plan: aDeployment("queued").plan });
    const set = {
      reason: undefined,
      plan: null,
      commit: { sha: "s", message: null, dirty: true },
    } as unknown as Columns;
    expect(await ledger().update({ id: row.id }, set)).toEqual({
      ...row,
      plan: null,
      commit: { sha: "s", message: null, dirty: true },
    });
  });
}

function conflicts(): void {
  it.each(ACTIVE)("in a place that has one which is %s", async (state) => {
    const project = await under.newProject();
    await insert(project, { state });
    expect(await conflictOf(insert(project, { state: "building" }))).toBe("occupied");
    const queued = await insert(project);
    expect(await conflictOf(ledger().update({ id: queued.id }, { state: "preparing" }))).toBe("occupied");
    await insert(project, { state: "live" });
    expect(await conflictOf(insert(project, { state: "live" }))).toBe("occupied");
    await insert(project, { state, slot: "staging" });
    await insert(await under.newProject(), { state });
  });

  it("under the same key by the same actor, also by one without an id", async () => {
    const [project, other] = [await under.newProject(), await under.newProject()];
    const key = { idempotencyKey: `key ${project}` };
    for (const actorId of ["tok_1", null]) {
      const row = await insert(project, { ...key, actorId });
      expect(await conflictOf(insert(other, { ...key, actorId }))).toBe("known");
      expect((await ledger().findByKey(actorId, key.idempotencyKey))?.id).toBe(row.id);
    }
    await insert(project, { ...key, actorId: "tok_2" });
    expect(await ledger().findByKey("tok_3", key.idempotencyKey)).toBeNull();
  });
}

function leases(): void {
  it("until its time is over, and to its own owner again; each lease has a token of its own", async () => {
    const { id } = await insert(await under.newProject(), { wakeAt: at(99) });
    const first = await ledger().claim(id, "a", at(0), at(10));
    expect(first).toMatchObject({ leaseToken: 1, leaseOwner: "a", leaseUntil: at(10), wakeAt: null });
    expect(await ledger().claim(id, "b", at(9), at(19))).toBeNull();
    expect(await ledger().claim(id, "a", at(9), at(19))).toMatchObject({ leaseToken: 2 });
    expect(await ledger().claim(id, "b", at(19), at(29))).toMatchObject({ leaseToken: 3, leaseOwner: "b" });
    expect(await ledger().claim("dep_none", "a", at(0), at(10))).toBeNull();
  });

  it.each(STATES)("only while there is work: %s", async (state) => {
    const project = await under.newProject();
    const works = state === "queued" || (ACTIVE as readonly State[]).includes(state);
    const claimed = async (change: Partial<Deployment>) => {
      const row = await insert(project, { slot: `preview:${++count}`, state, ...change });
      return (await ledger().claim(row.id, "a", at(0), at(10))) !== null;
    };
    expect([
      await claimed({}),
      await claimed({ cleanup: "retire" }),
      await claimed({ contractAt: at(5) }),
    ]).toEqual([works, true, true]);
  });

  it("who keeps it and gives it back by the token that they had; a stale owner changes nothing", async () => {
    const { id } = await insert(await under.newProject());
    const stale = await ledger().claim(id, "a", at(0), at(10));
    const held = await ledger().claim(id, "b", at(10), at(20));
    if (!stale || !held) throw new Error("both had it");
    expect(await ledger().renew(stale, at(99))).toBe(false);
    await ledger().release(stale);
    expect(await ledger().load(id)).toEqual(held);
    expect(await ledger().renew(held, at(30))).toBe(true);
    expect(await ledger().renew({ ...held, state: "preparing" }, at(99))).toBe(false);
    expect((await ledger().load(id))?.leaseUntil).toEqual(at(30));
    await ledger().release(held);
    expect(await ledger().load(id)).toMatchObject({
      leaseOwner: null,
      leaseUntil: null,
      wakeAt: null,
      leaseToken: 2,
    });
  });
}

function handingOver(): void {
  it("who tells the next owner of a rollback that nothing is under way any more, and no later one", async () => {
    const settleAtMs = at(5).getTime();
    const held = await insert(await under.newProject(), {
      state: "rolling_back",
      facts: { settleAtMs, waitedMs: 1 },
    });
    const settles = async () => (await ledger().load(held.id))?.facts.settleAtMs;
    await ledger().letGo(held);
    expect(await settles()).toBe(settleAtMs);
    await ledger().update({ id: held.id }, {}, { bumpToken: true });
    await ledger().letGo({ ...held, leaseToken: 1 });
    expect(await settles()).toBe(settleAtMs);
    await ledger().letGo(held);
    expect((await ledger().load(held.id))?.facts).toEqual({ waitedMs: 1 });
    const shifting = await insert(await under.newProject(), {
      state: "shifting",
      facts: { settleAtMs },
      leaseToken: 1,
    });
    await ledger().letGo({ ...shifting, leaseToken: 0 });
    expect((await ledger().load(shifting.id))?.facts).toEqual({ settleAtMs });
  });

  it("who has nothing to wait for is due, first come first", async () => {
    const project = await under.newProject();
    const add = async (change: Partial<Deployment>) =>
      (await insert(project, { slot: `preview:${++count}`, ...change })).id;
    const now = at(50);
    const due = [
      await add({}),
      await add({ state: "building", leaseUntil: at(50) }),
      await add({ state: "failed", cleanup: "retire", wakeAt: at(50) }),
    ];
    const not = [
      await add({ leaseUntil: at(51) }),
      await add({ wakeAt: at(51) }),
      await add({ state: "failed" }),
      await add({ state: "live" }),
    ];
    const all = await ledger().due(now, 10_000);
    expect(all.filter((id) => [...due, ...not].includes(id))).toEqual(due);
    expect(await ledger().due(now, 1)).toEqual(all.slice(0, 1));
  });
}

function places(): void {
  it("what competes and what could serve again, newest first", async () => {
    const project = await under.newProject();
    const was = { liveAt: at(1) };
    const kept = [
      await insert(project, { state: "superseded", ...was }),
      await insert(project, { state: "rolled_back", liveAt: at(9), cleanup: "retire" }),
      await insert(project, { state: "live", ...was }),
      await insert(project, { state: "shifting" }),
      await insert(project),
    ];
    await insert(project, { state: "superseded" });
    await insert(project, { state: "superseded", ...was, retiredAt: at(2) });
    await insert(project, { state: "failed", ...was });
    await insert(project, { slot: "staging" });
    expect(ids(await ledger().place(project, "production"))).toEqual(ids(kept).reverse());
    expect((await ledger().liveOf(project, "production"))?.id).toBe(kept[2]?.id);
    expect(await ledger().liveOf(project, "staging")).toBeNull();
  });

  it("who is queued, first come first; and which releases are kept, last served first", async () => {
    const project = await under.newProject();
    const queued = [await insert(project), await insert(project)];
    expect(ids(await ledger().queuedIn(project, "production"))).toEqual(ids(queued));
    const served = async (ms: number, change: Partial<Deployment> = {}) =>
      (await insert(project, { state: "superseded", liveAt: at(ms), ...change })).id;
    const [b, c, a] = [await served(20), await served(10, { state: "rolled_back" }), await served(30)];
    await served(40, { retiredAt: at(1) });
    await served(50, { cleanup: "retire" });
    await served(60, { state: "superseded", liveAt: null });
    expect(ids(await ledger().retained(project, "production"))).toEqual([a, b, c]);
  });
}

function competition(): void {
  it("who has to go first: the active one of the place, or who came earlier", async () => {
    const project = await under.newProject();
    const [first, second] = [await insert(project), await insert(project)];
    expect([await ledger().blockedBy(first), await ledger().blockedBy(second)]).toEqual([null, first.id]);
    const active = await insert(project, { state: "verifying" });
    expect([await ledger().blockedBy(first), await ledger().blockedBy(second)]).toEqual([
      active.id,
      first.id,
    ]);
    expect(await ledger().blockedBy(await insert(project, { slot: "staging" }))).toBeNull();
  });

  it("whether a release is in use by another that may serve", async () => {
    const project = await under.newProject();
    const services = [aService("api"), aService("web", { targetDeploymentId: `dpl ${project}` })];
    const used = (besides: string) => ledger().releaseInUse(`dpl ${project}`, besides);
    const own = await insert(project, { state: "superseded", services });
    expect([await used(own.id), await used("dep_none")]).toEqual([false, true]);
    for (const over of [
      { state: "failed" },
      { state: "canceled" },
      { state: "rejected" },
      { state: "superseded", retiredAt: T0 },
      { state: "superseded", cleanup: "retire" },
    ] as const) {
      await insert(project, { services, ...over });
    }
    expect(await used(own.id)).toBe(false);
    await insert(project, { state: "live", services });
    expect(await used(own.id)).toBe(true);
  });

  it("the places of an environment that are in use, by name, each as its newest deployment knows it", async () => {
    const project = await under.newProject();
    const preview = (slot: string, change: Partial<Deployment> = {}) =>
      insert(project, { environment: "preview", slot, branch: slot, ...change });
    await preview("preview:b");
    await preview("preview:pr-7", { state: "live", branch: "old", pullRequest: 7 });
    await preview("preview:pr-7", { branch: "new", pullRequest: 7 });
    await preview("preview:gone", { state: "superseded" });
    await insert(project);
    expect(await ledger().slots(project, "preview")).toEqual([
      { slot: "preview:b", branch: "preview:b", pullRequest: null },
      { slot: "preview:pr-7", branch: "new", pullRequest: 7 },
    ]);
  });
}

function transactions(): void {
  it("undoes every write when its work throws, and says what it threw", async () => {
    const project = await under.newProject();
    const row = await insert(project);
    const fresh = newRow(project);
    const work = ledger().transaction(async (tx) => {
      await tx.update({ id: row.id }, { reason: "r" }, { bumpToken: true });
      await tx.insert(fresh);
      await tx.signal({ deploymentId: row.id, kind: "pause", by: "ann", reason: null, at: T0 });
      await tx.intent(intentOf(project, row.id, `undone ${project}`));
      await tx.audit({
        actor: systemActor("t"),
        action: "x.y",
        subject: { type: "deployment", id: row.id },
        at: T0,
      });
      expect(await tx.load(fresh.id)).not.toBeNull();
      throw new Error("no");
    });
    await expect(work).rejects.toThrow("no");
    expect(await ledger().load(row.id)).toEqual(row);
    expect(await ledger().load(fresh.id)).toBeNull();
    expect(await ledger().signals(row.id, 0)).toEqual([]);
    expect(await ledger().findIntent("tok_1", `undone ${project}`)).toBeNull();
    expect(await under.auditOf(row.id)).toEqual([]);
  });

  it("keeps every write, and gives back what its work gave; a conflict inside is named outside", async () => {
    const project = await under.newProject();
    const row = await insert(project, { state: "live" });
    const done = await ledger().transaction(async (tx) => {
      await tx.audit({
        actor: systemActor("t"),
        action: "x.y",
        subject: { type: "deployment", id: row.id },
        at: T0,
      });
      return tx.update({ id: row.id }, { reason: "r" });
    });
    expect(await ledger().load(row.id)).toEqual(done);
    expect(await under.auditOf(row.id)).toEqual(["x.y"]);
    expect(
      await conflictOf(ledger().transaction((tx) => tx.insert(newRow(project, { state: "live" })))),
    ).toBe("occupied");
  });
}

const intentOf = (projectId: string, toId: string, key: string) => ({
  id: `rbk ${key}`,
  projectId,
  fromId: null,
  toId,
  stopped: ["dep_x"],
  reason: "bad",
  actorId: "tok_1",
  actorName: "ann",
  idempotencyKey: key,
  createdAt: T0,
});

function requests(): void {
  it("signals in their order, those after an id, of one deployment", async () => {
    const project = await under.newProject();
    const [row, other] = [await insert(project), await insert(project)];
    const say = (deploymentId: string, kind: "pause" | "resume" | "abort") =>
      ledger().signal({ deploymentId, kind, by: "ann", reason: kind === "abort" ? "bad" : null, at: T0 });
    await say(row.id, "pause");
    await say(other.id, "resume");
    await say(row.id, "abort");
    const all = await ledger().signals(row.id, 0);
    expect(all.map(({ kind, by, reason }) => [kind, by, reason])).toEqual([
      ["pause", "ann", null],
      ["abort", "ann", "bad"],
    ]);
    expect(await ledger().signals(row.id, all[0]?.id ?? 0)).toEqual(all.slice(1));
  });

  it("a rollback under its key and its actor", async () => {
    const project = await under.newProject();
    const row = await insert(project);
    const intent = intentOf(project, row.id, `key ${project}`);
    await ledger().intent(intent);
    expect(await ledger().findIntent("tok_1", intent.idempotencyKey)).toEqual(intent);
    expect(await ledger().findIntent("tok_2", intent.idempotencyKey)).toBeNull();
    expect(await ledger().findIntent(null, intent.idempotencyKey)).toBeNull();
  });

  it("where a project's deployments came from, newest first, of a branch where one is named", async () => {
    const project = await under.newProject();
    await insert(project, {
      source: { git: "https://x" },
      branch: "main",
      commit: { sha: "1", message: null, dirty: false },
    });
    await insert(project, {
      source: { tree: "t" },
      branch: "fix",
      commit: { sha: null, message: null, dirty: false },
    });
    const fix = { source: { tree: "t" }, commit: null };
    expect(await ledger().sources(project, undefined)).toEqual([
      fix,
      { source: { git: "https://x" }, commit: "1" },
    ]);
    expect(await ledger().sources(project, "fix")).toEqual([fix]);
    expect(await ledger().sources(project, "none")).toEqual([]);
  });
}

type Op = (to: Ledger, names: readonly string[], run: number, step: number) => Promise<unknown>;

const which = fc.nat(3);
const time = fc.nat(40).map(at);
const state = fc.constantFrom(...STATES);
const keys = fc.constantFrom(null, "k1", "k2");
const columns = fc.record(
  {
    state,
    updatedAt: time,
    weight: fc.nat(100),
    cleanup: fc.constantFrom(null, "retire" as const, "cancel_build" as const),
    contractAt: fc.option(time, { nil: null }),
    liveAt: fc.option(time, { nil: null }),
    retiredAt: fc.option(time, { nil: null }),
    wakeAt: fc.option(time, { nil: null }),
    facts: fc.constantFrom({}, { settleAtMs: 5 }, { waitedMs: 1, settleAtMs: 7 }),
    services: fc.constantFrom([], [aService("api")], [aService("api", { targetDeploymentId: "dpl_x" })]),
  },
  // No write of the engine is without it, and SQL has none that sets nothing.
  { requiredKeys: ["updatedAt"] },
);
const token = fc.option(fc.nat(4), { nil: undefined });
const owner = fc.constantFrom("a", "b");
const held = (name: string, leaseToken: number, state_: State) =>
  aDeployment(state_, { id: name, leaseToken });

const insertion: fc.Arbitrary<Op> = fc
  .tuple(
    fc.constantFrom("queued" as const, "live" as const, "building" as const),
    keys,
    fc.constantFrom(null, "tok_1"),
  )
  .map(
    ([is, idempotencyKey, actorId]): Op =>
      async (to, names, run, step) => {
        const projectId = names[4] ?? "";
        await to.insert({
          ...newRow(projectId, {
            state: is,
            // Keys come with queued ones only, so that no write breaks two rules at once.
            idempotencyKey: is === "queued" && idempotencyKey ? `${idempotencyKey} ${run}` : null,
            actorId,
          }),
          id: `dep_more${run}_${step}`,
        });
      },
  );

/** Calls on three deployments of one place and one of another, as a sequence of anything. */
export function operations(): fc.Arbitrary<readonly Op[]> {
  const one: fc.Arbitrary<Op> = fc.oneof(
    fc.tuple(which, columns, fc.option(state, { nil: undefined }), token, fc.boolean()).map(
      ([n, set, from, leaseToken, bumpToken]): Op =>
        (to, names) =>
          to.update(
            {
              id: names[n] ?? "",
              ...(from ? { state: from } : {}),
              ...(leaseToken === undefined ? {} : { leaseToken }),
            },
            set,
            { bumpToken },
          ),
    ),
    fc.tuple(which, owner, time, time).map(
      ([n, who, now, until]): Op =>
        (to, names) =>
          to.claim(names[n] ?? "", who, now, until),
    ),
    fc.tuple(which, fc.nat(4), state, time).map(
      ([n, lease, is, until]): Op =>
        (to, names) =>
          to.renew(held(names[n] ?? "", lease, is), until),
    ),
    fc.tuple(which, fc.nat(4)).map(
      ([n, lease]): Op =>
        (to, names) =>
          to.release(held(names[n] ?? "", lease, "live")),
    ),
    fc.tuple(which, fc.nat(4)).map(
      ([n, lease]): Op =>
        (to, names) =>
          to.letGo(held(names[n] ?? "", lease, "rolling_back")),
    ),
    fc.tuple(which, which, columns, columns).map(
      ([n, m, first, second]): Op =>
        (to, names) =>
          to.transaction(async (tx) => [
            await tx.update({ id: names[n] ?? "" }, first),
            await tx.update({ id: names[m] ?? "" }, second),
          ]),
    ),
    fc.tuple(which, columns).map(
      ([n, set]): Op =>
        (to, names) =>
          to.transaction(async (tx) => {
            await tx.update({ id: names[n] ?? "" }, set);
            throw new Error("undone");
          }),
    ),
    insertion,
  );
  return fc.array(one, { minLength: 1, maxLength: 14 });
}

/** The same calls on both, one after the other: the same results and, afterwards, the same answers to all questions. */
export async function runBoth(
  first: Ledger,
  second: Ledger,
  run: number,
  project: string,
  ops: readonly Op[],
): Promise<void> {
  const names = [0, 1, 2, 3].map((n) => `dep_d${run}_${n}`);
  for (const to of [first, second]) {
    for (const [n, id] of names.entries())
      await to.insert({ ...newRow(project, { slot: n < 3 ? "production" : "staging" }), id });
  }
  const known = [...names, project];
  for (const [step, op] of ops.entries()) {
    const both = [
      await resultOf(() => op(first, known, run, step)),
      await resultOf(() => op(second, known, run, step)),
    ];
    expect(both[1], `call ${step}`).toEqual(both[0]);
  }
  const answers = async (to: Ledger) => {
    const loaded = await Promise.all(names.map((id) => to.load(id)));
    return comparable({
      loaded,
      place: ids(await to.place(project, "production")),
      retained: (await to.retained(project, "production")).map((each) => [each.liveAt, each.state]),
      queued: ids(await to.queuedIn(project, "production")),
      live: (await to.liveOf(project, "production"))?.id ?? null,
      blocked: await Promise.all(loaded.map((row) => row && to.blockedBy(row))),
      used: await Promise.all(names.map((id) => to.releaseInUse("dpl_x", id))),
      due: (await to.due(at(20), 100_000)).filter(
        (id) => id.includes(`d${run}_`) || id.includes(`more${run}_`),
      ),
      slots: await to.slots(project, "production"),
      byKey: await Promise.all(
        ["tok_1", null].map(async (who) => (await to.findByKey(who, `k1 ${run}`))?.id ?? null),
      ),
    });
  };
  expect(await answers(second)).toEqual(await answers(first));
}

async function resultOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return comparable(await work());
  } catch (error) {
    return error instanceof LedgerConflict
      ? `LedgerConflict ${error.kind}`
      : String((error as Error).message);
  }
}

/** Without the order of arrival, which counts all deployments of a ledger. */
function comparable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value ?? null, (name, field) =>
      name === "seq" || name === "project" ? undefined : field,
    ),
  );
}
