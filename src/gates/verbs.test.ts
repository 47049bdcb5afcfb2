import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import type { Actor, ActorEnv } from "../access/index.ts";
import { type Clock, systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { createApi } from "../foundation/http.ts";
import { randomIds } from "../foundation/ids.ts";
import { silentLog } from "../foundation/log.ts";
import {
  approveDeployment,
  breakGlass,
  createFreeze,
  createLock,
  deleteFreeze,
  type GateDeps,
  type GateSubject,
  type GateTables,
  gateRoutes,
  listApprovals,
  readGateFacts,
  rejectDeployment,
  releaseLock,
} from "./index.ts";

const HOUR_MS = 3_600_000;
const DIGEST = "a".repeat(64);
const OTHER = "b".repeat(64);

const as = (name: string, role: Actor["role"] = "deployer"): Actor =>
  ({ kind: "token", id: `tok_${name}`, name, role }) as Actor;
const [ann, bob, dan] = [as("ann"), as("bob"), as("dan")];
const [viewer, owner] = [as("vic", "viewer"), as("olga", "owner")];

let fresh: FreshDatabase;
let db: Database<GateTables>;
let deps: GateDeps;
let now: Date;
let subject: GateSubject;
let woken: unknown[];
let id: string;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  for (const name of ["shop", "blog"]) {
    await fresh.pool.query("insert into projects (id, name, created_at) values ($1, $2, $3)", [
      `prj_${name}`,
      name,
      systemClock.now(),
    ]);
  }
});
afterAll(() => fresh[Symbol.asyncDispose]());

beforeEach(async () => {
  now = new Date("2026-11-25T12:00:00Z");
  woken = [];
  id = randomIds("dep");
  for (const table of ["deploy_locks", "freeze_windows"]) await fresh.pool.query(`delete from ${table}`);
  await fresh.pool.query(
    `insert into deployments (id, project_id, environment, slot, dirty, source, force, state, state_since,
      actor_name, created_at, updated_at)
     values ($1, 'prj_shop', 'production', $1, false, '{}', false, 'awaiting_approval', $2, 'dan', $2, $2)`,
    [id, now],
  );
  subject = {
    projectId: "prj_shop",
    environment: "production",
    state: "awaiting_approval",
    digest: DIGEST,
    requestedBy: { id: dan.id, name: dan.name },
    policy: {
      approvals: { required: 2, reviewers: [], selfApproval: false, expiresMs: 24 * HOUR_MS },
      waitMs: 0,
    },
    askedAt: now,
  };
  const clock: Clock = { ...systemClock, now: () => now };
  deps = {
    db,
    clock,
    ids: randomIds,
    readSubject: async (_tx, deploymentId) => (deploymentId === id ? subject : null),
    wake: async (_tx, where) => void woken.push(where),
    projectIdOf: async (name) => {
      if (name === "shop" || name === "blog") return `prj_${name}`;
      throw new AppError("not_found", `There is no project "${name}".`, {});
    },
  };
});

const pass = (ms: number) => {
  now = new Date(now.getTime() + ms);
};
const approvals = (change: object) => {
  if (subject.policy?.approvals) {
    subject = { ...subject, policy: { waitMs: 0, approvals: { ...subject.policy.approvals, ...change } } };
  }
};
const audited = async (subjectId: string) => {
  const rows = await db
    .selectFrom("audit_log")
    .select(["action", "actor_name"])
    .where("subject_id", "=", subjectId)
    .orderBy("id")
    .execute();
  return rows.map((row) => `${row.action} by ${row.actor_name}`);
};
const approve = (actor: Actor, more: object = {}) => {
  pass(1);
  return approveDeployment(deps, actor, { deploymentId: id, ...more });
};
const facts = (place: Partial<Parameters<typeof readGateFacts>[1]> = {}) =>
  readGateFacts(db, { deploymentId: id, projectId: "prj_shop", environment: "production", now, ...place });

test("every write verb refuses a viewer, and leaves nothing behind", async () => {
  const attempts = [
    () => approve(viewer),
    () => rejectDeployment(deps, viewer, { deploymentId: id, comment: "no" }),
    () => breakGlass(deps, viewer, { deploymentId: id, reason: "checkout is down" }),
    () => createLock(deps, viewer, { reason: "mine" }),
    () => releaseLock(deps, viewer, "lck_1"),
    () => createFreeze(deps, viewer, { name: "x", window: NIGHT }),
    () => deleteFreeze(deps, viewer, "frz_1"),
  ];
  for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: "forbidden" });
  expect(await facts()).toEqual({ approvals: [], locks: [], freezes: [], breakGlass: null });
  expect(woken).toEqual([]);
});

describe("approving", () => {
  test("two of two open the gate; each is audited and wakes the deployment", async () => {
    expect(await approve(ann, { digest: DIGEST, comment: " looks good " })).toMatchObject({
      approvals: [{ actorName: "ann", comment: "looks good", counts: true }],
      verdict: { is: "waits", reason: "Waits for 1 of 2 approvals." },
    });
    expect((await approve(bob)).verdict).toEqual({ is: "open", because: "Approved by ann, bob." });
    expect(await audited(id)).toEqual(["deployment.approve by ann", "deployment.approve by bob"]);
    expect(woken).toEqual([{ deploymentId: id }, { deploymentId: id }]);
  });

  test("again, and ten times at once, is one approval", async () => {
    await Promise.all(Array.from({ length: 10 }, () => approve(ann)));
    expect((await approve(ann)).approvals).toHaveLength(1);
    expect(await audited(id)).toEqual(["deployment.approve by ann"]);
    expect(woken).toHaveLength(1);
  });

  test("is void once something has changed: the row stays, and says so", async () => {
    await approve(ann);
    subject = { ...subject, digest: OTHER };
    const view = await approve(bob);
    expect(view.approvals).toMatchObject([
      { actorName: "ann", counts: false, whyNot: expect.stringContaining("Void") },
      { actorName: "bob", counts: true },
    ]);
    expect((await approve(ann)).verdict).toMatchObject({ is: "open" });
  });

  test.each([
    [
      "what has changed since it was looked at",
      () => approve(ann, { digest: OTHER }),
      "conflict",
      /has changed/,
    ],
    ["one's own deployment", () => approve(dan), "forbidden", /started this deployment/],
    ["an unknown one", () => approve(ann, { deploymentId: "dep_none" }), "not_found", /dep_none/],
  ])("%s is refused", async (_name, act, code, message) => {
    await expect(act()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await audited(id)).toEqual([]);
  });

  test("by who is no reviewer is refused, and the hint says who is", async () => {
    approvals({ reviewers: ["bob", "tok_eve"] });
    await expect(approve(ann)).rejects.toMatchObject({
      code: "forbidden",
      hint: "One of these may: bob, tok_eve.",
    });
    await approve(bob);
    await approve(as("eve"));
  });

  test("one's own deployment is allowed where the policy says so", async () => {
    approvals({ selfApproval: true, required: 1 });
    expect((await approve(dan)).verdict).toMatchObject({ is: "open" });
  });

  test.each([
    ["it is in another state", { state: "live" }, /it is live/],
    ["there is nothing to approve yet", { digest: null }, /nothing to approve yet/],
    ["nobody is asked", { policy: { approvals: null, waitMs: 1_000 } }, /asks nobody/],
    ["its time is over", { askedAt: new Date("2026-11-24T12:00:00Z") }, /24 h\) is over/],
  ])("is a conflict when %s", async (_name, change, message) => {
    subject = { ...subject, ...change };
    await expect(approve(ann)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
  });
});

test("one rejection rejects, whoever approved, and needs a comment", async () => {
  await approve(ann);
  const reject = (comment: string) => rejectDeployment(deps, bob, { deploymentId: id, comment });
  await expect(reject("  ")).rejects.toMatchObject({ code: "bad_request" });
  const view = await reject("the price is wrong");
  expect(view.verdict).toMatchObject({ is: "rejected", reason: "Rejected by bob: the price is wrong" });
  await reject("the price is wrong");
  expect(await audited(id)).toEqual(["deployment.approve by ann", "deployment.reject by bob"]);
});

describe("breaking the glass", () => {
  const smash = (actor: Actor, reason = "checkout is down") =>
    breakGlass(deps, actor, { deploymentId: id, reason });

  test("opens what is locked and not approved; the first reason stays", async () => {
    await createLock(deps, ann, { reason: "migration" });
    expect((await smash(owner)).verdict).toEqual({
      is: "open",
      because: "Break-glass by olga: checkout is down",
    });
    await smash(owner, "another reason");
    expect((await listApprovals(deps, id)).breakGlass).toMatchObject({ reason: "checkout is down" });
    expect(await audited(id)).toEqual(["deployment.break_glass by olga"]);
    expect(woken.at(-1)).toEqual({ deploymentId: id });
  });

  test("needs an owner, a reason that says something, and a gate that is still shut", async () => {
    await expect(smash(ann)).rejects.toMatchObject({ code: "forbidden" });
    await expect(smash(owner, "a b c d e f g h i")).rejects.toMatchObject({ code: "bad_request" });
    subject = { ...subject, state: "rejected" };
    await expect(smash(owner)).rejects.toMatchObject({ code: "conflict" });
    subject = { ...subject, state: "queued", digest: null, askedAt: null };
    expect((await smash(owner)).verdict).toBeNull();
  });
});

describe("a lock", () => {
  test("holds where it says, ends by itself, and is audited", async () => {
    const { lock, created } = await createLock(deps, ann, {
      project: "shop",
      environment: "production",
      reason: "migration",
      ttlMs: HOUR_MS,
    });
    expect([created, lock]).toMatchObject([true, { project: "shop", ownerName: "ann" }]);
    expect((await facts()).locks).toMatchObject([
      { id: lock.id, expiresAt: new Date(now.getTime() + HOUR_MS) },
    ]);
    expect((await facts({ environment: "staging" })).locks).toEqual([]);
    expect((await facts({ projectId: "prj_blog" })).locks).toEqual([]);
    expect(await audited(lock.id)).toEqual(["lock.create by ann"]);
    expect(woken).toEqual([{ projectId: "prj_shop", environment: "production" }]);
    pass(HOUR_MS);
    expect((await facts()).locks).toEqual([]);
  });

  test("of nothing in particular holds everywhere, for a day", async () => {
    const { lock } = await createLock(deps, ann, { reason: "incident" });
    expect((await facts({ projectId: "prj_blog", environment: "preview" })).locks).toHaveLength(1);
    expect(lock.expiresAt).toEqual(new Date(now.getTime() + 24 * HOUR_MS));
  });

  test("made again is the same lock, prolonged; also at once", async () => {
    const make = (ttlMs: number, actor = ann) => createLock(deps, actor, { reason: "incident", ttlMs });
    const made = await Promise.all([1, 2, 3].map((hours) => make(hours * HOUR_MS)));
    expect(new Set(made.map(({ lock }) => lock.id)).size).toBe(1);
    expect((await facts()).locks).toMatchObject([{ expiresAt: new Date(now.getTime() + 3 * HOUR_MS) }]);
    expect((await make(HOUR_MS)).lock.expiresAt).toEqual(new Date(now.getTime() + 3 * HOUR_MS));
    await make(HOUR_MS, bob);
    expect((await facts()).locks).toHaveLength(2);
  });

  test.each([
    ["no reason", { reason: " " }, "bad_request"],
    ["no time at all", { reason: "x", ttlMs: 0 }, "bad_request"],
    ["more than 30 days", { reason: "x", ttlMs: 31 * 24 * HOUR_MS }, "bad_request"],
    ["an unknown project", { reason: "x", project: "shp" }, "not_found"],
  ])("with %s is refused", async (_name, input, code) => {
    await expect(createLock(deps, ann, input)).rejects.toMatchObject({ code });
  });

  test("is released by who made it or an owner, once", async () => {
    const { lock } = await createLock(deps, ann, { reason: "incident" });
    await expect(releaseLock(deps, bob, lock.id)).rejects.toMatchObject({
      code: "forbidden",
      hint: "Ask ann or an owner to release it.",
    });
    await releaseLock(deps, ann, lock.id, { reason: "over" });
    await releaseLock(deps, owner, lock.id);
    expect((await facts()).locks).toEqual([]);
    expect(await audited(lock.id)).toEqual(["lock.create by ann", "lock.release by ann"]);
    expect(woken).toHaveLength(2);
    const second = await createLock(deps, ann, { reason: "incident" });
    await releaseLock(deps, owner, second.lock.id);
    expect(await audited(second.lock.id)).toEqual(["lock.create by ann", "lock.release by olga"]);
    await expect(releaseLock(deps, owner, "lck_none")).rejects.toMatchObject({ code: "not_found" });
  });
});

const NIGHT = {
  kind: "weekly",
  days: ["wed", "mon", "wed"],
  from: "12:00",
  until: "14:00",
  untilDay: null,
  timeZone: "Europe/Berlin",
} as const;
const HOLIDAYS = {
  kind: "once",
  from: new Date("2026-11-25T00:00:00Z"),
  until: new Date("2026-11-26T00:00:00Z"),
} as const;

describe("a freeze", () => {
  test("is kept as it was said, weekly or once, and holds the gate", async () => {
    approvals({ required: 0 });
    const { freeze } = await createFreeze(deps, owner, { name: "Lunch", window: NIGHT });
    pass(1);
    await createFreeze(deps, owner, { name: "Holidays", environment: "production", window: HOLIDAYS });
    expect((await facts()).freezes).toMatchObject([{ ...NIGHT, days: ["mon", "wed"] }, HOLIDAYS]);
    expect((await listApprovals(deps, id)).verdict).toEqual({
      is: "waits",
      for: "freeze",
      reason:
        'Waits for the freeze "Lunch" until Wed 14:00 Europe/Berlin; ' +
        'and for the freeze "Holidays" until Thu 00:00 UTC.',
      until: new Date("2026-11-25T13:00:00Z"),
    });
    expect(await audited(freeze.id)).toEqual(["freeze.create by olga"]);
    pass(12 * HOUR_MS);
    expect((await listApprovals(deps, id)).verdict).toMatchObject({ is: "open" });
    expect((await facts()).freezes).toHaveLength(1);
  });

  test("made again is the same; another of its name in its place is a conflict", async () => {
    const make = (window: Parameters<typeof createFreeze>[2]["window"], more = {}) =>
      createFreeze(deps, owner, { name: "Lunch", window, ...more });
    const made = await Promise.all([make(NIGHT), make(NIGHT), make(NIGHT)]);
    expect(made.filter(({ created }) => created)).toHaveLength(1);
    await expect(make({ ...NIGHT, until: "15:00" })).rejects.toMatchObject({ code: "conflict" });
    expect((await make(NIGHT, { project: "blog" })).created).toBe(true);
  });

  test.each([
    ["no day", { ...NIGHT, days: [] }, /at least one day/],
    ["an unknown zone", { ...NIGHT, timeZone: "Europe/Bern" }, /Europe\/Bern/],
    ["a time that is none", { ...NIGHT, until: "24:00" }, /24:00/],
    ["an end before its beginning", { ...HOLIDAYS, until: new Date(0) }, /before it begins/],
    ["an end in the past", { ...HOLIDAYS, from: new Date(0), until: new Date(1) }, /past/],
  ])("with %s is refused", async (_name, window, message) => {
    await expect(createFreeze(deps, owner, { name: "x", window })).rejects.toMatchObject({
      code: "bad_request",
      message: expect.stringMatching(message),
    });
  });

  test("is an owner's to add and to take away, once", async () => {
    await expect(createFreeze(deps, ann, { name: "x", window: NIGHT })).rejects.toMatchObject({
      code: "forbidden",
    });
    const { freeze } = await createFreeze(deps, owner, { name: "x", window: NIGHT });
    await expect(deleteFreeze(deps, ann, freeze.id)).rejects.toMatchObject({ code: "forbidden" });
    await deleteFreeze(deps, owner, freeze.id);
    await deleteFreeze(deps, owner, freeze.id);
    expect((await facts()).freezes).toEqual([]);
    expect(await audited(freeze.id)).toEqual(["freeze.create by olga", "freeze.delete by olga"]);
    await expect(deleteFreeze(deps, owner, "frz_none")).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("over HTTP", () => {
  function api(actor: Actor) {
    const root = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
    root.use(async (c, next) => {
      c.set("actor", actor);
      await next();
    });
    root.route("/api", gateRoutes(deps));
    return async (method: string, path: string, body?: unknown) => {
      const headers = { "content-type": "application/json" };
      const init = body === undefined ? {} : { body: JSON.stringify(body), headers };
      const response = await root.request(`/api${path}`, { method, ...init });
      // biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
      return [response.status, (await response.json()) as any] as const;
    };
  }

  test("approve, reject, break the glass, and look", async () => {
    expect(await api(ann)("POST", `/deploy/approve/${id}`)).toMatchObject([
      200,
      { approvals: [{ actor: "ann", counts: true, whyNot: null }] },
    ]);
    expect(await api(bob)("POST", `/deploy/approve/${id}`, { digest: OTHER })).toMatchObject([
      409,
      { error: { code: "conflict" } },
    ]);
    const [status, seen] = await api(viewer)("GET", `/deploy/approvals/${id}`);
    expect(status).toBe(200);
    expect(seen).toMatchObject({
      digest: DIGEST,
      policy: { approvals: { required: 2 } },
      verdict: { is: "waits", for: "approval", until: "2026-11-26T12:00:00.000Z" },
    });
    expect(await api(bob)("POST", `/deploy/reject/${id}`, { comment: "no" })).toMatchObject([
      200,
      { verdict: { is: "rejected" } },
    ]);
    expect(
      await api(owner)("POST", `/deploy/break-glass/${id}`, { reason: "checkout is down" }),
    ).toMatchObject([200, { breakGlass: { actor: "olga" }, verdict: { is: "open" } }]);
    expect((await api(viewer)("GET", "/deploy/approvals/dep_none"))[0]).toBe(404);
    expect((await api(bob)("POST", `/deploy/reject/${id}`, {}))[0]).toBe(400);
  });

  test("locks are made, listed and released", async () => {
    const input = { environment: "production", reason: "migration", ttlMs: HOUR_MS };
    const [made, { lock }] = await api(ann)("POST", "/locks", input);
    const [again] = await api(ann)("POST", "/locks", input);
    expect([made, again]).toEqual([201, 200]);
    expect((await api(viewer)("GET", "/locks"))[1]).toEqual({ locks: [lock] });
    expect(lock).toMatchObject({ project: null, owner: "ann", expiresAt: "2026-11-25T13:00:00.000Z" });
    expect(await api(ann)("DELETE", `/locks/${lock.id}?reason=over`)).toEqual([200, { lock }]);
    expect(await api(ann)("POST", `/locks/${lock.id}/release`, { reason: "over" })).toEqual([200, { lock }]);
    expect((await api(viewer)("GET", "/locks"))[1]).toEqual({ locks: [] });
    expect((await api(ann)("POST", "/locks", { enviroment: "production", reason: "x" }))[0]).toBe(400);
  });

  test("freezes are added, listed and taken away", async () => {
    const input = { name: "Lunch", ...NIGHT, untilDay: undefined };
    const [made, { freeze }] = await api(owner)("POST", "/freezes", input);
    expect(made).toBe(201);
    expect(freeze).toMatchObject({
      days: ["mon", "wed"],
      untilDay: null,
      frozenUntil: "2026-11-25T13:00:00.000Z",
    });
    const once = {
      name: "Holidays",
      kind: "once",
      from: "2026-12-24T13:00:00+01:00",
      until: "2027-01-02T08:00:00Z",
    };
    expect(await api(owner)("POST", "/freezes", { ...once, project: "shop" })).toMatchObject([
      201,
      { freeze: { project: "shop", from: "2026-12-24T12:00:00.000Z", frozenUntil: null } },
    ]);
    expect((await api(viewer)("GET", "/freezes"))[1].freezes).toHaveLength(2);
    expect((await api(owner)("DELETE", `/freezes/${freeze.id}`))[0]).toBe(200);
    expect((await api(owner)("POST", `/freezes/${freeze.id}/end`))[0]).toBe(200);
    expect((await api(viewer)("GET", "/freezes"))[1].freezes).toHaveLength(1);
    expect((await api(owner)("POST", "/freezes", { ...once, kind: "monthly" }))[0]).toBe(400);
  });

  test("every route is described", () => {
    const { paths = {} } = gateRoutes(deps).getOpenAPI31Document({
      openapi: "3.1.0",
      info: { title: "gates", version: "1" },
    });
    expect(
      Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods ?? {}).map((m) => `${m} ${path}`),
      ),
    ).toEqual([
      "post /deploy/approve/{deploymentId}",
      "post /deploy/reject/{deploymentId}",
      "post /deploy/break-glass/{deploymentId}",
      "get /deploy/approvals/{deploymentId}",
      "post /locks",
      "get /locks",
      "delete /locks/{id}",
      "post /locks/{id}/release",
      "post /freezes",
      "get /freezes",
      "delete /freezes/{id}",
      "post /freezes/{id}/end",
    ]);
  });
});
