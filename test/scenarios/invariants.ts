import assert from "node:assert/strict";
import { approvalDigest } from "../../src/deployments/decide-gate.ts";
import type { Phase } from "../../src/deployments/index.ts";
import type { Deployment } from "../../src/deployments/record.ts";
import { isSettled } from "../../src/deployments/state.ts";
import type { Target } from "../../src/targets/target.ts";
import { keyOf } from "./simulated-target.ts";
import { appOf, HEALTH, PROJECT, ROLLBACK_WINDOW_MS, type World } from "./world.ts";

/** Invariants 2 and 7 of ARCHITECTURE.md: no traffic to what is not proven, or not approved. */
export function noteShift(world: World, { to, weight }: Parameters<Target["shift"]>[0]): void {
  const before = world.weights.get(to) ?? 0;
  const isWayUp = ownerOf(world, to)?.state === "shifting";
  if (isWayUp && weight < before)
    world.violations.push(`${to} was lowered from ${before} to ${weight} % on its way up`);
  world.weights.set(to, weight);
  if (world.served.has(to)) return;
  const since = world.healthySince.get(to);
  const isProven = since !== undefined && world.time.now - since >= (HEALTH.minHealthyMs ?? 0);
  if (!isProven) world.violations.push(`traffic to ${to} before it was healthy for its time`);
  const owner = ownerOf(world, to);
  const missing = owner ? missingApprovals(world, owner) : 0;
  if (missing > 0) world.violations.push(`traffic to ${to} with ${missing} approvals missing`);
  world.served.set(to, world.time.now);
}

export function noteRollback(world: World, to: string): void {
  if (!world.served.has(to)) world.violations.push(`rolled back to ${to}, which never served`);
}

/** Expand comes before traffic; contract only when the release before can not be gone back to any more. */
export function noteMigration(world: World, row: Deployment, phase: Phase): void {
  if (phase === "expand") {
    if (isLocked(world, row)) world.violations.push(`expand of ${row.id} while its environment is locked`);
    if (row.weight > 0) world.violations.push(`expand of ${row.id} after it took traffic`);
    return;
  }
  const due = (row.liveAt?.getTime() ?? Number.POSITIVE_INFINITY) + ROLLBACK_WINDOW_MS;
  if (row.state !== "live" || world.time.now < due)
    world.violations.push(`contract of ${row.id} while it is ${row.state}, before its window is closed`);
}

function ownerOf(world: World, release: string): Deployment | undefined {
  const id = world.target.builds.get(release)?.input.key.split(":")[0] ?? "";
  return world.ledger.rows.deployments.get(id);
}

function isLocked({ people, time }: World, { id }: Deployment): boolean {
  if (people.breakGlass.some((each) => each.deploymentId === id)) return false;
  return people.locks.some(({ expiresAt }) => expiresAt === null || expiresAt.getTime() > time.now);
}

/** The gate has to be open at the last moment, not only when it was asked first. Locks come between turns only. */
function noteTakingTraffic(world: World, row: Deployment): void {
  if (row.state !== "shifting" || world.shifted.has(row.id)) return;
  world.shifted.add(row.id);
  assert.ok(!isLocked(world, row), `${row.id} takes traffic while its environment is locked`);
}

/** Counted here by itself, not by the gate's own code. */
function missingApprovals({ people, apps }: World, deployment: Deployment): number {
  const required = apps.get(deployment.id)?.gate?.approvals?.required ?? 0;
  if (people.breakGlass.some((each) => each.deploymentId === deployment.id)) return 0;
  const digest = approvalDigest(deployment);
  const valid = people.approvals.filter(
    (each) =>
      each.deploymentId === deployment.id &&
      !each.stale &&
      each.digest === digest &&
      each.decision === "approve" &&
      each.actorName !== deployment.actor,
  );
  return required - new Set(valid.map((each) => each.actorName)).size;
}

/** Invariants 1 and 5, and that what is called live is what serves. After every call that may change something. */
export function checkInvariants(world: World): void {
  for (const [place, traffic] of world.target.places) {
    const sum = Object.values(traffic).reduce((total, weight) => total + weight, 0);
    assert.equal(sum, 100, `weights of ${place} sum to ${sum}`);
  }
  assert.ok(world.violations.length === 0, world.violations[0]);
  const live = new Map<string, Deployment>();
  const moving = new Set<string>();
  for (const row of world.ledger.rows.deployments.values()) {
    const token = world.tokens.get(row.id) ?? 0;
    assert.ok(row.leaseToken >= token, `the lease of ${row.id} went back from ${token} to ${row.leaseToken}`);
    world.tokens.set(row.id, row.leaseToken);
    noteTakingTraffic(world, row);
    if (row.state === "releasing" || row.state === "shifting" || row.state === "rolling_back")
      moving.add(row.slot);
    if (row.state !== "live") continue;
    assert.ok(!live.has(row.slot), `two deployments are live in ${row.slot}`);
    live.set(row.slot, row);
  }
  for (const [slot, row] of live) if (!moving.has(slot)) checkServing(world, row);
}

/** All services of a live deployment serve, together: none of them another deployment's release. */
function checkServing(world: World, row: Deployment): void {
  for (const service of row.services) {
    const { environment, branch, pullRequest } = row;
    const key = keyOf({ project: service.targetProject, environment, branch, pullRequest });
    const weight = world.target.places.get(key)?.[service.targetDeploymentId ?? ""];
    assert.equal(weight, 100, `${row.id} is live and its "${service.name}" has ${weight ?? 0} %`);
  }
}

/** Invariants 4, 5, 6 and 9: what was acknowledged is there, has ended, and has its audit entry; nothing is owed. */
export function checkRest(world: World): void {
  checkInvariants(world);
  const all = [...world.ledger.rows.deployments.values()];
  const open = all.filter((row) => !isSettled(row.state) || row.cleanup || row.contractAt);
  const names = open.map((row) => `${row.id} ${row.state} ${row.cleanup ?? row.contractAt ?? ""}`.trim());
  assert.equal(open.length, 0, `not at rest: ${names.join(", ")}`);
  for (const row of all) {
    if (row.state === "failed")
      assert.ok(row.reason && row.hint, `${row.id} failed without saying why and what to do`);
    assert.ok(row.outcome, `${row.id} is ${row.state} and has no outcome`);
  }
  for (const id of world.acknowledged)
    assert.ok(world.ledger.rows.deployments.has(id), `${id} was acknowledged and is lost`);
  const audited = world.ledger.rows.audit.filter(({ action }) => action === "deployment.trigger");
  assert.equal(audited.length, all.length, "a deployment without its audit entry");
  checkAudit(world);
  const held = [...world.target.held];
  assert.equal(held.length, 0, `requests of ${held.join(", ")} are held, and nobody will let them go`);
  const built = world.target.effects.flatMap((effect) => /^build (.+)/.exec(effect)?.[1] ?? []);
  assert.equal(new Set(built).size, built.length, "something was built twice");
  const files = world.migrated.map(({ name }) => name);
  assert.equal(new Set(files).size, files.length, "a migration was applied twice");
  for (const row of all) assert.ok(appOf(world, row.id), `${PROJECT.name} has a deployment nobody asked for`);
}

/** Invariant 9 for what people do to deployments that are there. */
function checkAudit({ ledger }: World): void {
  const { audit, intents, signals, deployments } = ledger.rows;
  const entries = (...actions: string[]) => audit.filter(({ action }) => actions.includes(action)).length;
  assert.equal(entries("deployment.rollback"), intents.length, "a rollback without its audit entry");
  const told = entries(...SIGNALS.map((kind) => `deployment.${kind}`));
  assert.equal(told, signals.length, "a signal without its audit entry");
  const ended = (reason: string) => [...deployments.values()].filter((row) => row.reason?.startsWith(reason));
  assert.ok(entries("deployment.cancel") >= ended("Canceled by ").length, "canceled without an audit entry");
  const closed = ended("The pull request was closed").length;
  assert.ok(closed === 0 || entries("place.close") > 0, "a preview was closed without an audit entry");
}

const SIGNALS = ["pause", "resume", "advance", "promote", "abort"];
