import assert from "node:assert/strict";
import { systemActor } from "../../src/access/index.ts";
import { advanceOnce } from "../../src/deployments/advance.ts";
import { cancelDeployment } from "../../src/deployments/cancel.ts";
import { closePlace } from "../../src/deployments/close-place.ts";
import { approvalDigest } from "../../src/deployments/decide-gate.ts";
import { LedgerConflict } from "../../src/deployments/ledger.ts";
import type { Deployment } from "../../src/deployments/record.ts";
import { rollbackDeployment } from "../../src/deployments/rollback.ts";
import { signalRollout } from "../../src/deployments/signal-rollout.ts";
import { isSettled } from "../../src/deployments/state.ts";
import { triggerDeployment } from "../../src/deployments/trigger.ts";
import { AppError, messageOf } from "../../src/foundation/errors.ts";
import type { Signal } from "../../src/rollouts/index.ts";
import { Crash, type FaultPlan, type Victim } from "./faults.ts";
import { checkRest } from "./invariants.ts";
import type { Random } from "./random.ts";
import { type App, createWorker, createWorld, PROJECT, T0, type Worker, type World } from "./world.ts";

export type { App } from "./world.ts";

export type Action =
  | {
      readonly do: "deploy";
      readonly app: App;
      readonly branch?: string;
      readonly pullRequest?: number;
      readonly key?: string;
    }
  /** The newest delivery once more, as webhooks are. */
  | { readonly do: "redeliver" }
  | { readonly do: "rollback"; readonly stepped?: boolean }
  | { readonly do: "cancel" }
  | { readonly do: "signal"; readonly kind: Signal["kind"] }
  | { readonly do: "approve" | "reject"; readonly by: string; readonly stale?: boolean }
  | { readonly do: "break_glass" }
  | { readonly do: "lock"; readonly forMs: number }
  | { readonly do: "close_preview"; readonly pullRequest: number }
  /** Everybody works until nothing is left to do, or for `turns`. */
  | { readonly do: "work"; readonly turns: number };

export type Result = {
  readonly calls: number;
  readonly trace: readonly string[];
  /** One line a deployment: `dep_1 live All traffic is on it.` */
  readonly end: readonly string[];
  readonly effects: readonly string[];
  readonly virtualMs: number;
};

/** A run that an invariant ended, with all that led to it. */
export class Broken extends Error {
  readonly trace: readonly string[];
  readonly calls: number;
  readonly virtualMs: number;
  constructor(cause: unknown, world: World) {
    super(messageOf(cause), { cause });
    this.trace = [...world.faulty.trace, `-- ${messageOf(cause)}`];
    this.calls = world.faulty.count;
    this.virtualMs = world.time.now - T0;
  }
}

const TURNS_TO_REST = 6_000;
const TURNS_OF_PATIENCE = 400;
const LONGEST_MS = 60 * 86_400_000;
const USER = systemActor("user");

/**
 * Runs the engine's own code (everything but its SQL and its timers) against a world in memory, one worker's turn at
 * a time in an order that the seed gives. Checks the invariants after every call that may change something, and at the
 * end that all is at rest. A crash loses a worker's memory; its successor has only the rows. The same seed and plan
 * give the same trace. @throws what an invariant says.
 */
export async function simulate(options: {
  seed: number;
  actions: readonly Action[];
  faults: (random: Random) => FaultPlan;
}): Promise<Result> {
  const world = createWorld(options);
  world.letWork = (turns = 3) => work(world, turns);
  try {
    world.nextPerson = () => overtakeByPerson(world);
    world.actions.push(...options.actions);
    for (let next = world.actions.shift(); next; next = world.actions.shift()) await act(world, next);
    await decideTheRest(world);
    checkRest(world);
  } catch (error) {
    throw new Broken(error, world);
  }
  const rows = [...world.ledger.rows.deployments.values()];
  return {
    calls: world.faulty.count,
    trace: world.faulty.trace,
    end: rows.map((row) => `${row.id} ${row.state} ${row.reason}`),
    effects: world.target.effects,
    virtualMs: world.time.now - T0,
  };
}

/** In the end somebody decides what waits for people: locks go, and rollouts that are paused are taken back. */
async function decideTheRest(world: World): Promise<void> {
  world.people.locks.length = 0;
  const user = createWorker(world);
  for (let turn = 0; turn < TURNS_TO_REST; turn += TURNS_OF_PATIENCE) {
    await work(world, TURNS_OF_PATIENCE);
    const waiting = [...world.ledger.rows.deployments.values()].filter(({ state }) => state === "shifting");
    for (const { id } of waiting) {
      await signalRollout(user.verbs, USER, { deploymentId: id, kind: "abort" });
    }
  }
  await work(world, TURNS_OF_PATIENCE);
}

/** Only who takes over what is under way comes in the middle of it; whoever else comes then changes nothing for it. */
async function overtakeByPerson(world: World): Promise<void> {
  const at = world.actions.findIndex((action) => action.do === "rollback" || action.do === "cancel");
  const [action] = at < 0 ? [] : world.actions.splice(at, 1);
  if (action) await act(world, action);
}

/** A client whose request was cut off sends it again, with its key. */
const TRIES = 3;

async function act(world: World, action: Action): Promise<void> {
  world.faulty.trace.push(`-- ${action.do}`);
  const key = `request-${++world.time.requests}`;
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      await perform(world, createWorker(world), action, key);
      break;
    } catch (error) {
      if (!isExpected(error)) throw error;
      world.faulty.trace.push(`-- ${action.do} ended with ${error.message}`);
      if (!(error instanceof Crash)) break;
    }
  }
  world.faulty.check();
}

function isExpected(error: unknown): error is Error {
  return error instanceof Crash || error instanceof AppError || error instanceof LedgerConflict;
}

async function perform(world: World, user: Worker, action: Action, key: string): Promise<void> {
  const open = [...world.ledger.rows.deployments.values()].find((row) => !isSettled(row.state));
  switch (action.do) {
    case "work":
      return work(world, action.turns);
    case "deploy":
      return deploy(world, user, action, action.key ?? key);
    case "redeliver":
      return redeliver(world, user);
    case "rollback":
      return rollback(world, user, action.stepped, key);
    case "cancel":
      if (open) await cancelDeployment(user.verbs, USER, open.id);
      return;
    case "signal":
      if (open) await signalRollout(user.verbs, USER, { deploymentId: open.id, kind: action.kind });
      return;
    case "approve":
    case "reject":
      if (open) decide(world, open, action.do, action.by, action.stale === true);
      return;
    case "break_glass":
      if (open)
        world.people.breakGlass.push({
          deploymentId: open.id,
          actorName: "owner",
          reason: "at 3 a.m.",
          at: world.clock.now(),
        });
      return;
    case "lock":
      return lock(world, action.forMs);
    case "close_preview": {
      const slot = `preview:pr-${action.pullRequest}`;
      await closePlace(user.verbs, USER, {
        projectId: PROJECT.id,
        slot,
        reason: "The pull request was closed.",
      });
    }
  }
}

async function deploy(
  world: World,
  user: Worker,
  action: Action & { do: "deploy" },
  key: string,
): Promise<void> {
  // Known before the answer, because a worker may begin before it.
  world.apps.set(`dep_${world.time.ids + 1}`, action.app);
  const { pullRequest } = action;
  const input = {
    environment: pullRequest === undefined ? ("production" as const) : ("preview" as const),
    project: PROJECT.name,
    branch: action.branch ?? "main",
    ...(pullRequest === undefined ? {} : { pullRequest }),
    source: { tree: "x" },
  };
  const { id } = await triggerDeployment(user.verbs, USER, input, key);
  world.acknowledged.add(id);
}

/** The same delivery again finds the same deployment, or makes the one that was lost. */
async function redeliver(world: World, user: Worker): Promise<void> {
  const last = [...world.ledger.rows.deployments.values()].findLast((row) => row.idempotencyKey !== null);
  if (!last?.idempotencyKey) return;
  const { environment, branch, idempotencyKey: key } = last;
  const input = { environment, project: PROJECT.name, branch: branch ?? "main", source: { tree: "x" } };
  const { id } = await triggerDeployment(user.verbs, USER, input, key);
  assert.equal(id, last.id, "one delivery made two deployments");
}

async function rollback(
  world: World,
  user: Worker,
  stepped: boolean | undefined,
  key: string,
): Promise<void> {
  const input = { environment: "production" as const, project: PROJECT.name, stepped };
  const done = await rollbackDeployment(user.verbs, USER, input, key);
  if (done.state !== "live") return;
  const serving = world.ledger.rows.deployments.get(done.deploymentId);
  for (const service of serving?.services ?? []) {
    const traffic = world.target.trafficAt({
      project: service.targetProject,
      environment: "production",
      branch: "main",
    });
    const weight = traffic[service.targetDeploymentId ?? ""];
    assert.equal(weight, 100, "a rollback was acknowledged, and the traffic is elsewhere");
  }
}

/** What may have been there when somebody looked: each other in one thing that an approval is bound to. */
const FORMER: readonly ((now: Deployment) => Deployment)[] = [
  (now) => ({ ...now, commit: { ...now.commit, sha: "another" } }),
  (now) => ({ ...now, services: now.services.map((each) => ({ ...each, targetDeploymentId: "dpl_other" })) }),
  (now) => ({ ...now, services: now.services.map((each) => ({ ...each, inputs: "other" })) }),
  (now) => ({ ...now, plan: now.plan && { ...now.plan, gate: { ...now.plan.gate, waitMs: 1 } } }),
];

function decide(
  world: World,
  to: Deployment,
  decision: "approve" | "reject",
  by: string,
  stale: boolean,
): void {
  world.people.approvals.push({
    id: `apr_${++world.time.ids}`,
    deploymentId: to.id,
    digest: approvalDigest(stale ? world.random.pick(FORMER)(to) : to),
    stale,
    decision,
    actorId: by,
    actorName: by,
    comment: null,
    at: world.clock.now(),
  });
}

function lock(world: World, forMs: number): void {
  const now = world.clock.now();
  world.people.locks.push({
    id: `lck_${++world.time.ids}`,
    projectId: null,
    environment: null,
    ownerId: null,
    ownerName: "ann",
    reason: "moving house",
    createdAt: now,
    expiresAt: new Date(now.getTime() + forMs),
  });
}

/** Turns of the workers, and time in between, until nothing is left to do or `turns` are over. */
async function work(world: World, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    if (!(await takeTurn(world)) && !passTime(world)) return;
  }
}

async function takeTurn(world: World): Promise<boolean> {
  const { now } = world.time;
  const free = world.workers.filter((worker) => !world.suspended.has(worker));
  const ready = free.filter((worker) => worker.held && worker.until <= now);
  const idle = free.filter((worker) => !worker.held);
  const due = idle.length > 0 ? await world.ledger.due(world.clock.now(), 100) : [];
  const choices = ready.length + due.length * idle.length;
  if (choices === 0) return false;
  const choice = world.random.below(choices);
  const worker = ready[choice] ?? idle[(choice - ready.length) % idle.length];
  const id = ready[choice] ? null : (due[Math.floor((choice - ready.length) / idle.length)] ?? null);
  if (worker) await turnOf(world, worker, id);
  return true;
}

const RUNNING = new AbortController().signal;

async function turnOf(world: World, worker: Worker, id: string | null): Promise<void> {
  try {
    worker.held ??= id === null ? null : await worker.store.claim(id);
    if (!worker.held) return;
    const outcome = await advanceOnce(worker.advance, worker.held, RUNNING);
    if (outcome.kind === "lost") {
      if (!outcome.actingStill) await worker.store.letGo(worker.held);
      await worker.store.release(worker.held);
    }
    worker.held = outcome.kind === "again" || outcome.kind === "wait" ? outcome.deployment : null;
    worker.until = outcome.kind === "wait" ? outcome.until.getTime() : 0;
  } catch (error) {
    if (!isExpected(error)) throw error;
    worker.held = null;
    if (worker.dead) replace(world, worker);
  }
}

function replace(world: World, dead: Victim): void {
  const index = world.workers.indexOf(dead as Worker);
  if (index >= 0) world.workers[index] = createWorker(world);
}

/** To the next moment at which somebody has something to do. False: there is none. */
function passTime(world: World): boolean {
  const { now } = world.time;
  let next = Number.POSITIVE_INFINITY;
  const consider = (time: number | undefined) => {
    if (time !== undefined && time > now && time < next) next = time;
  };
  for (const row of world.ledger.rows.deployments.values()) {
    if (isSettled(row.state) && !row.cleanup && !row.contractAt) continue;
    consider(row.leaseUntil?.getTime());
    consider(row.wakeAt?.getTime());
  }
  for (const worker of world.workers) if (worker.held && !world.suspended.has(worker)) consider(worker.until);
  if (next === Number.POSITIVE_INFINITY) return false;
  world.elapse(next - now);
  assert.ok(world.time.now < T0 + LONGEST_MS, "it takes months");
  return true;
}
