import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { stopWithin } from "./cancel.ts";
import { applyChange } from "./change.ts";
import type { EngineDeps } from "./engine.ts";
import { NeighbourChanged } from "./neighbours.ts";
import { findProject } from "./project.ts";
import { type Deployment, placeOf } from "./record.ts";
import { chooseRollback, type RollbackChoice } from "./rollback-choice.ts";
import { readPlace, readSlot } from "./rollback-queries.ts";
import { loadDeployment } from "./store.ts";
import type { Tx } from "./tables.ts";

export type RollbackInput = {
  readonly environment: EnvironmentName;
  readonly project?: string | undefined;
  /** The deployment to go back to. Left out: the previous good one. */
  readonly targetDeploymentId?: string | undefined;
  /** For previews with several branches. */
  readonly branch?: string | undefined;
  readonly reason?: string | undefined;
};

export type RolledBack = { deploymentId: string; rolledBack: string[]; state: "live"; durationMs: number };

const TRIES = 5;
const TARGET_TIMEOUT_MS = 20_000;
const FINISH_TIMEOUT_MS = 30_000;
/** An owner of this or another process stops within milliseconds of hearing of it. */
const OWNER_LOOK_MS = 25;
const OWNER_LOOKS = 20;

/**
 * Moves traffic back, inside the request: one commit with what is meant, one call of the target, one commit with what
 * came of it. If the process dies in between, the engine finishes it from the first commit. Never builds; unfinished
 * deployments of the place are stopped, because they would take the traffic again.
 * @throws AppError `conflict` when there is nothing to go back to, `upstream` when the target did not answer (it is
 * then retried in the background, and the same key finds its result).
 */
export async function rollbackDeployment(
  deps: EngineDeps,
  actor: Actor,
  input: RollbackInput,
  idempotencyKey?: string,
): Promise<RolledBack> {
  requireRole(actor, "deployer");
  const startedMs = deps.clock.monotonicMs();
  const done = (to: string | null, rolledBack: string[]): RolledBack => ({
    deploymentId: to ?? "",
    rolledBack,
    state: "live",
    durationMs: Math.round((deps.clock.monotonicMs() - startedMs) * 100) / 100,
  });
  // Every round trip before the flip is time in which the bad release answers: what can be asked at once, is.
  const [earlier, project] = await Promise.all([
    idempotencyKey === undefined ? null : findIntent(deps, actor, idempotencyKey),
    findProject(deps.db, input.project),
  ]);
  if (earlier) {
    if (earlier.from_id) await finished(deps, earlier.from_id);
    return done(earlier.to_id, [...(earlier.from_id ? [earlier.from_id] : []), ...earlier.stopped]);
  }
  for (let tries = 0; tries < TRIES; tries++) {
    const choice = await choose(deps, project, input);
    const intent = { actor, projectId: project.id, reason: input.reason, idempotencyKey };
    const from = await recordIntent(deps, choice, intent);
    if (from === "conflict") continue;
    if (from) await moveTraffic(deps, from, choice.to);
    for (const { id } of choice.stop) deps.wake(id);
    const stopped = choice.stop.map(({ id }) => id);
    return done(choice.to.id, [...(from ? [from.id] : []), ...stopped]);
  }
  throw new AppError("conflict", "The environment kept changing while it was to be rolled back.", {
    hint: "Send the request again.",
  });
}

async function choose(
  deps: EngineDeps,
  project: { id: string; name: string },
  input: RollbackInput,
): Promise<RollbackChoice> {
  const { environment, branch, targetDeploymentId } = input;
  const read = async (slot: string) => readPlace(deps.db, project.id, slot);
  // Only a preview's place depends on the named one's branch; the others are read while that is looked up.
  const usual = environment === "preview" ? null : read(environment);
  const named = targetDeploymentId === undefined ? null : await loadDeployment(deps.db, targetDeploymentId);
  if (
    targetDeploymentId !== undefined &&
    (named?.projectId !== project.id || named.environment !== environment)
  ) {
    await usual;
    throw new AppError(
      "not_found",
      `The ${environment} environment of "${project.name}" has no deployment ${targetDeploymentId}.`,
      { hint: `GET /api/deploy/list?project=${project.name}&environment=${environment} lists them.` },
    );
  }
  const place = await (usual ??
    read(named?.slot ?? (await readSlot(deps.db, project.id, environment, branch))));
  return chooseRollback(place, named);
}

type Intent = {
  actor: Actor;
  projectId: string;
  reason: string | undefined;
  idempotencyKey: string | undefined;
};

/** What is meant, in one transaction. The lease of the one that gives up its traffic is ours from then on. */
async function recordIntent(
  deps: EngineDeps,
  choice: RollbackChoice,
  intent: Intent,
): Promise<Deployment | null | "conflict"> {
  const { actor } = intent;
  const why = intent.reason
    ? `Rolled back by ${actor.name}: ${intent.reason}`
    : `Rolled back by ${actor.name}.`;
  return deps.db
    .transaction()
    .execute(async (tx) => {
      for (const each of choice.stop) {
        const stopped = await stopWithin(
          deps,
          tx,
          each,
          `Canceled: ${actor.name} rolled the place back.`,
          actor,
        );
        if (!stopped) throw new Changed();
      }
      const from = choice.from && (await startRollingBack(deps, tx, choice.from, choice.to, why, actor));
      await insertIntent(deps, tx, choice, intent);
      return from;
    })
    .catch((error) => {
      if (error instanceof Changed) return "conflict";
      throw error;
    });
}

class Changed extends Error {}

async function startRollingBack(
  deps: EngineDeps,
  tx: Tx,
  from: Deployment,
  to: Deployment,
  reason: string,
  actor: Actor,
): Promise<Deployment> {
  const heldUntil = from.leaseUntil?.getTime();
  const after = await applyChange(deps, tx, from, {
    to: "rolling_back",
    reason,
    hint: `Deployment ${to.id} serves; correct what was wrong and deploy again.`,
    actor: actor.name,
    // Not as the worker itself, whose engine may claim again what it owns.
    takeOver: { owner: `${deps.workerId}/rollback` },
    patch: {
      rollbackToId: to.id,
      rollbackToTargetId: to.targetDeploymentId,
      // Its owner may have a traffic change on its way: settled only when that cannot come any more.
      facts: { ...from.facts, ...(heldUntil === undefined ? {} : { settleAtMs: heldUntil }) },
    },
  });
  if (after === "conflict") throw new Changed();
  return after;
}

async function insertIntent(deps: EngineDeps, tx: Tx, choice: RollbackChoice, intent: Intent): Promise<void> {
  const { actor, projectId, reason, idempotencyKey } = intent;
  const id = deps.ids("rbk");
  const at = deps.clock.now();
  const stopped = choice.stop.map((each) => each.id);
  const from = choice.from?.id ?? null;
  await tx
    .insertInto("deployment_rollbacks")
    .values({
      id,
      project_id: projectId,
      from_id: from,
      to_id: choice.to.id,
      stopped: JSON.stringify(stopped),
      reason: reason ?? null,
      actor_id: actor.id,
      actor_name: actor.name,
      idempotency_key: idempotencyKey ?? null,
      created_at: at,
    })
    .execute();
  const subject = { type: "deployment", id: choice.to.id };
  await audit(tx, { actor, action: "deployment.rollback", subject, details: { from, stopped, reason }, at });
}

async function findIntent({ db }: EngineDeps, actor: Actor, key: string) {
  return db
    .selectFrom("deployment_rollbacks")
    .select(["from_id", "to_id", "stopped"])
    .where((eb) => eb(eb.fn.coalesce("actor_id", eb.val("")), "=", actor.id ?? ""))
    .where("idempotency_key", "=", key)
    .executeTakeFirst();
}

/** The target's call and the second commit. What goes wrong here is finished by the engine. */
async function moveTraffic(deps: EngineDeps, taken: Deployment, to: Deployment): Promise<void> {
  const from = await ownerStopped(deps, taken);
  const place = placeOf(from);
  if (!place || !from.targetDeploymentId || !to.targetDeploymentId) {
    throw new AppError("internal", `Deployment ${from.id} or ${to.id} has no release at the target.`);
  }
  try {
    const change = { place, from: from.targetDeploymentId, to: to.targetDeploymentId };
    await deps.target.rollback(change, AbortSignal.timeout(TARGET_TIMEOUT_MS));
  } catch (error) {
    await handOver(deps, from);
    throw new AppError("upstream", `The target did not take the rollback: ${messageOf(error)}`, {
      hint: `It is tried again in the background: GET /api/deploy/status/${from.id}.`,
      cause: error,
    });
  }
  const settleAt = from.facts.settleAtMs;
  if (settleAt !== undefined && settleAt > deps.clock.now().getTime()) return handOver(deps, from);
  const after = await deps.db
    .transaction()
    .execute((tx) =>
      applyChange(deps, tx, from, {
        to: "rolled_back",
        reason: from.reason ?? "Rolled back.",
        ...(from.hint === null ? {} : { hint: from.hint }),
        patch: { weight: 0 },
        release: { wakeAt: null },
      }),
    )
    .catch((error) => {
      if (error instanceof NeighbourChanged) return "conflict" as const;
      throw error;
    });
  if (after === "conflict") await finished(deps, from.id);
}

/**
 * Waits a moment for a former owner to say that it has stopped, so that no traffic change of its can come after ours.
 * One that cannot say so any more is waited out by the engine.
 */
async function ownerStopped(deps: EngineDeps, taken: Deployment): Promise<Deployment> {
  const settleAt = taken.facts.settleAtMs;
  if (settleAt === undefined || settleAt <= deps.clock.now().getTime()) return taken;
  const changed = new AbortController();
  const stop = deps.onChange(taken.id, () => changed.abort(new Error("changed")));
  deps.wake(taken.id);
  try {
    for (let looks = 0; looks < OWNER_LOOKS; looks++) {
      const now = await loadDeployment(deps.db, taken.id);
      if (now?.leaseToken !== taken.leaseToken || now.facts.settleAtMs === undefined) return now ?? taken;
      await deps.clock
        .sleep(OWNER_LOOK_MS, changed.signal.aborted ? undefined : changed.signal)
        .catch(() => {});
    }
    return taken;
  } finally {
    stop();
  }
}

/** Gives the lease back, so that the engine goes on at once. */
async function handOver(deps: EngineDeps, from: Deployment): Promise<void> {
  await applyChange(deps, deps.db, from, { release: { wakeAt: null } });
  deps.wake(from.id);
}

/** Waits until a deployment has left `rolling_back`. @throws AppError `upstream` when that failed, `timeout`. */
async function finished(deps: EngineDeps, id: string): Promise<void> {
  const late = AbortSignal.timeout(FINISH_TIMEOUT_MS);
  deps.wake(id);
  for (;;) {
    const changed = Promise.withResolvers<void>();
    const stop = deps.onChange(id, changed.resolve);
    late.addEventListener("abort", () => changed.resolve(), { once: true });
    try {
      const now = await loadDeployment(deps.db, id);
      if (now?.state === "failed") {
        throw new AppError(
          "upstream",
          now.reason ?? "The rollback failed.",
          now.hint === null ? {} : { hint: now.hint },
        );
      }
      if (now?.state !== "rolling_back") return;
      if (late.aborted) {
        throw new AppError(
          "timeout",
          `Rolling back ${id} takes longer than ${FINISH_TIMEOUT_MS / 1_000} s.`,
          {
            hint: `It goes on in the background: GET /api/deploy/status/${id}.`,
          },
        );
      }
      await changed.promise;
    } finally {
      stop();
    }
  }
}
