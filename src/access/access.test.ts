import { expect, test } from "vitest";
import { freshDatabase } from "../../test/support/database.ts";
import { type Clock, systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { randomIds } from "../foundation/ids.ts";
import {
  type AccessTables,
  type Actor,
  createToken,
  ensureOwnerToken,
  findActor,
  once,
  requireRole,
  revokeToken,
} from "./index.ts";

async function setup() {
  const fresh = await freshDatabase({ migrations: ["control"] });
  const db: Database<AccessTables> = createDatabase(fresh.pool);
  let now = systemClock.now();
  const clock: Clock = { ...systemClock, now: () => now };
  return {
    deps: { db, clock, ids: randomIds },
    pass: (ms: number) => {
      now = new Date(now.getTime() + ms);
    },
    audited: () =>
      db.selectFrom("audit_log").select(["action", "subject_id", "actor_name"]).orderBy("id").execute(),
    [Symbol.asyncDispose]: () => fresh[Symbol.asyncDispose](),
  };
}

const viewer: Actor = { kind: "token", id: "tok_v", name: "reader", role: "viewer" };

test("a fresh installation gets one owner token, however many start at once, and stores only its hash", async () => {
  await using at = await setup();
  const made = await Promise.all([1, 2, 3].map(() => ensureOwnerToken(at.deps)));
  const tokens = made.filter((token) => token !== null);
  expect(tokens).toHaveLength(1);
  const [token = ""] = tokens;
  expect(await findActor(at.deps, token)).toMatchObject({ role: "owner", name: "owner" });
  const rows = JSON.stringify(await at.deps.db.selectFrom("tokens").selectAll().execute());
  expect(rows).not.toContain(token);
  expect(await at.audited()).toMatchObject([{ action: "token.create", actor_name: "setup" }]);
});

test("a token is made and revoked by an owner only, each with its audit entry", async () => {
  await using at = await setup();
  const owner = (await findActor(at.deps, (await ensureOwnerToken(at.deps)) ?? "")) ?? viewer;
  const { id, token } = await createToken(at.deps, owner, { name: "ci", role: "deployer" });
  await expect(createToken(at.deps, viewer, { name: "x", role: "owner" })).rejects.toMatchObject({
    code: "forbidden",
  });
  await expect(revokeToken(at.deps, viewer, id)).rejects.toMatchObject({ code: "forbidden" });
  await revokeToken(at.deps, owner, id);
  expect(await findActor(at.deps, token)).toBeNull();
  await expect(revokeToken(at.deps, owner, id)).rejects.toMatchObject({ code: "not_found" });
  expect((await at.audited()).map((row) => row.action)).toEqual([
    "token.create",
    "token.create",
    "token.revoke",
  ]);
});

test("each role includes the one before", () => {
  const as = (role: Actor["role"]): Actor => ({ kind: "token", id: "t", name: "n", role: role as "owner" });
  expect(() => requireRole(as("deployer"), "viewer")).not.toThrow();
  expect(() => requireRole(as("owner"), "deployer")).not.toThrow();
  expect(() => requireRole(as("viewer"), "deployer")).toThrow('needs the role "deployer"');
});

test("the same key and body act once; another body is refused; an unfinished one is in flight", async () => {
  await using at = await setup();
  const request = { actorId: "tok_1", route: "POST /x", key: "k", body: { a: 1 } };
  let acts = 0;
  const act = async () => ({ status: 202, body: { n: ++acts } });
  expect(await once(at.deps, request, act)).toEqual({ status: 202, body: { n: 1 } });
  expect(await once(at.deps, request, act)).toEqual({ status: 202, body: { n: 1 } });
  await expect(once(at.deps, { ...request, body: { a: 2 } }, act)).rejects.toMatchObject({
    code: "unprocessable",
  });
  await once(at.deps, { ...request, actorId: "tok_2" }, act);
  expect(acts).toBe(2);

  const other = { ...request, key: "slow" };
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const slow = once(at.deps, other, async () => {
    started.resolve();
    await finish.promise;
    return { status: 200, body: {} };
  });
  await started.promise;
  await expect(once(at.deps, other, act)).rejects.toMatchObject({ code: "in_flight" });
  finish.resolve();
  await slow;
});

test("a refusal is repeated, a failure of ours frees the key, a dead process's claim is taken over", async () => {
  await using at = await setup();
  const request = { actorId: "tok_1", route: "POST /x", key: "k", body: {} };
  const refuse = () => once(at.deps, request, () => Promise.reject(new AppError("conflict", "no")));
  await expect(refuse()).rejects.toMatchObject({ code: "conflict" });
  expect(await once(at.deps, request, async () => ({ status: 200, body: {} }))).toMatchObject({
    status: 409,
  });

  const failing = { ...request, key: "f" };
  await expect(once(at.deps, failing, () => Promise.reject(new Error("bug")))).rejects.toThrow("bug");
  expect(await once(at.deps, failing, async () => ({ status: 200, body: {} }))).toMatchObject({
    status: 200,
  });

  const abandoned = { ...request, key: "dead" };
  const claimed = Promise.withResolvers<void>();
  void once(at.deps, abandoned, () => {
    claimed.resolve();
    return new Promise(() => {});
  });
  await claimed.promise;
  const repeat = () => once(at.deps, abandoned, async () => ({ status: 200, body: {} }));
  await expect(repeat()).rejects.toMatchObject({ code: "in_flight" });
  at.pass(61_000);
  expect(await once(at.deps, abandoned, async () => ({ status: 200, body: {} }))).toMatchObject({
    status: 200,
  });
});
