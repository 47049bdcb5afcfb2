import { expect, test } from "vitest";
import { PLAN, SERVICE, trigger } from "../../test/scenarios/engine-stand.ts";
import { useProjects } from "../../test/scenarios/project-stand.ts";
import type { Actor } from "../access/index.ts";
import { systemClock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { randomIds } from "../foundation/ids.ts";
import {
  approveDeployment,
  createLock,
  type GateDeps,
  type GateTables,
  rejectDeployment,
  releaseLock,
} from "../gates/index.ts";
import { readGateSubject, wakeWaiting } from "./index.ts";
import type { Tx } from "./tables.ts";

const s = useProjects("g");
const { stand, here, view, stateOf, eventually } = s;

const gates = (): GateDeps => ({
  db: stand().db as unknown as Database<GateTables>,
  clock: systemClock,
  ids: randomIds,
  readSubject: (tx, id) => readGateSubject(tx as unknown as Tx, id),
  wake: (tx, where) => wakeWaiting(tx, where),
  projectIdOf: async (name) => `prj_${name}`,
});
const person = (name: string): Actor => ({ kind: "token", id: `tok_${name}`, name, role: "deployer" });
const asks = (required: number) => {
  const approvals = { required, reviewers: [], selfApproval: false, expiresMs: 600_000 };
  s.prepare({ plan: { ...PLAN, gate: { approvals, waitMs: 0 } } });
};
const waits = (id: string) => eventually(() => stateOf(id)).toBe("awaiting_approval");

test("a built release waits for approval without traffic, says of what, and goes on once enough approved", async () => {
  asks(2);
  const id = await trigger(stand(), here());
  await waits(id);
  const waiting = await view(id);
  expect([waiting.reason, waiting.approvalDigest]).toEqual([
    expect.stringContaining("2 approvals"),
    expect.stringMatching(/^[0-9a-f]{64}$/),
  ]);
  expect(s.traffic()).toEqual({});
  await approveDeployment(gates(), person("ann"), { deploymentId: id });
  await approveDeployment(gates(), person("ann"), { deploymentId: id });
  expect(await stateOf(id)).toBe("awaiting_approval");
  await approveDeployment(gates(), person("bob"), { deploymentId: id });
  await eventually(() => stateOf(id)).toBe("live");
  expect((await view(id)).phases.map((phase) => phase.state)).toContain("awaiting_approval");
});

test("an approval of something else does not count: only what was looked at is let through", async () => {
  asks(1);
  const id = await trigger(stand(), here());
  await waits(id);
  const row = ["apr_stale", id, "0".repeat(64), "approve", "tok_ann", "ann", systemClock.now()];
  await stand().pool.query(
    `insert into deployment_approvals (id, deployment_id, digest, decision, actor_id, actor_name, at)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    row,
  );
  await stand()
    .db.transaction()
    .execute((tx) => wakeWaiting(tx, { deploymentId: id }));
  await expect(
    approveDeployment(gates(), person("bob"), { deploymentId: id, digest: "0".repeat(64) }),
  ).rejects.toMatchObject({ code: "conflict" });
  expect(await stateOf(id)).toBe("awaiting_approval");
  const digest = (await view(id)).approvalDigest ?? "";
  await approveDeployment(gates(), person("bob"), { deploymentId: id, digest });
  await eventually(() => stateOf(id)).toBe("live");
});

test("another release of the same commit, and another policy, have another digest", async () => {
  asks(1);
  const id = await trigger(stand(), here({ commit: "abc" }));
  await waits(id);
  const first = (await view(id)).approvalDigest;
  await s.api().post(`/cancel/${id}`, {});
  asks(2);
  s.prepare({ plan: stand().world.preparation.plan, services: [{ ...SERVICE, inputs: "other" }] });
  const again = await trigger(stand(), here({ commit: "abc" }));
  await waits(again);
  expect((await view(again)).approvalDigest).not.toBe(first);
  await s.api().post(`/cancel/${again}`, {});
});

test("whoever started it may not approve it, and a viewer approves nothing", async () => {
  asks(1);
  const id = await trigger(stand(), here());
  await waits(id);
  for (const actor of [stand().as.deployer, stand().as.viewer]) {
    await expect(approveDeployment(gates(), actor, { deploymentId: id })).rejects.toMatchObject({
      code: "forbidden",
    });
  }
  expect(await stateOf(id)).toBe("awaiting_approval");
  await s.api().post(`/cancel/${id}`, {});
  expect((await s.row(id)).outcome).toBe("cancellation");
});

test("a rejection ends it with its comment, and lets its release go", async () => {
  asks(1);
  const id = await trigger(stand(), here());
  await waits(id);
  await rejectDeployment(gates(), person("ann"), { deploymentId: id, comment: "Not on a Friday." });
  await eventually(() => stateOf(id)).toBe("rejected");
  const rejected = await view(id);
  expect([rejected.reason, rejected.hint, rejected.outcome]).toEqual([
    expect.stringContaining("Not on a Friday."),
    expect.any(String),
    "cancellation",
  ]);
  await eventually(() => stand().target.retired()).toContain(rejected.targetDeploymentId);
});

test("a lock keeps what comes queued, and its release lets it begin", async () => {
  const { lock } = await createLock(gates(), person("ann"), { project: s.name(), reason: "sale" });
  const id = await trigger(stand(), here());
  await eventually(async () => (await s.row(id)).wakeAt).not.toBeNull();
  expect([await stateOf(id), stand().target.effects.some((effect) => effect.includes(id))]).toEqual([
    "queued",
    false,
  ]);
  await releaseLock(gates(), person("ann"), lock.id);
  await eventually(() => stateOf(id)).toBe("live");
});

test("a lock that is set while it waits for approval holds it although it is approved", async () => {
  asks(1);
  const id = await trigger(stand(), here());
  await waits(id);
  const { lock } = await createLock(gates(), person("cy"), { project: s.name(), reason: "incident" });
  await approveDeployment(gates(), person("ann"), { deploymentId: id });
  expect([await stateOf(id), s.traffic()]).toEqual(["awaiting_approval", {}]);
  await releaseLock(gates(), person("cy"), lock.id);
  await eventually(() => stateOf(id)).toBe("live");
});
