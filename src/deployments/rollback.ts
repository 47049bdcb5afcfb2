import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { stopWithin } from "./cancel.ts";
import { applyChange } from "./change.ts";
import { startedNow } from "./decide-rollback.ts";
import type { EngineDeps } from "./engine.ts";
import { LedgerConflict, type LedgerTx, type ProjectName } from "./ledger.ts";
import { findProject } from "./project.ts";
import { type Deployment, type RollbackFacts, slotOf } from "./record.ts";
import { chooseRollback, type RollbackChoice } from "./rollback-choice.ts";
import { finished, moveTraffic, releasesAnswer } from "./rollback-move.ts";

export type RollbackInput = {
  readonly environment: EnvironmentName;
  readonly project?: string | undefined;
  /** The deployment to go back to. Left out: the previous good one. */
  readonly targetDeploymentId?: string | undefined;
  /** For previews, of which there are several. */
  readonly branch?: string | undefined;
  readonly pullRequest?: number | undefined;
  readonly reason?: string | undefined;
  /** Only if it is this one that would give up its traffic: who decides by itself must not act on what has changed. */
  readonly from?: string | undefined;
  /** True: by the weights of its canary. Left out: as `rollback` in signalbox.yaml says. */
  readonly stepped?: boolean | undefined;
};

export type RolledBack = {
  deploymentId: string;
  rolledBack: string[];
  /** `rolling_back`: it goes back by steps, in the background. */
  state: "live" | "rolling_back";
  durationMs: number;
};

export type RollbackDeps = Pick<
  EngineDeps,
  | "ledger"
  | "clock"
  | "ids"
  | "target"
  | "probe"
  | "schemaBarrier"
  | "workerId"
  | "wake"
  | "onChange"
  | "within"
>;

const TRIES = 5;

/**
 * Moves traffic back, inside the request: one commit with what is meant, one call of the target for each service, one
 * commit with what came of it. If the process dies in between, the engine finishes it from the first commit. Never
 * builds; unfinished deployments of the place are stopped, because they would take the traffic again.
 * @throws AppError `conflict` when there is nothing to go back to or a contract migration stands between, `upstream`
 * when the target did not answer (it is then retried in the background, and the same key finds its result).
 */
export async function rollbackDeployment(
  deps: RollbackDeps,
  actor: Actor,
  input: RollbackInput,
  idempotencyKey?: string,
): Promise<RolledBack> {
  requireRole(actor, "deployer");
  const startedMs = deps.clock.monotonicMs();
  const done = (to: string, rolledBack: string[], state: RolledBack["state"] = "live"): RolledBack => ({
    deploymentId: to,
    rolledBack,
    state,
    durationMs: Math.round((deps.clock.monotonicMs() - startedMs) * 100) / 100,
  });
  // Every round trip before the flip is time in which the bad release answers: what can be asked at once, is.
  const [earlier, project] = await Promise.all([
    idempotencyKey === undefined ? null : deps.ledger.findIntent(actor.id, idempotencyKey),
    findProject(deps.ledger, input.project),
  ]);
  if (earlier) {
    if (earlier.fromId) await finished(deps, earlier.fromId);
    return done(earlier.toId, [...(earlier.fromId ? [earlier.fromId] : []), ...earlier.stopped]);
  }
  for (let tries = 0; tries < TRIES; tries++) {
    const choice = await choose(deps, project, input);
    if (input.from !== undefined && choice.from?.id !== input.from) throw somebodyWasFaster(input.from);
    const steps = stepsBack(choice, input);
    const intent = { actor, projectId: project.id, reason: input.reason, idempotencyKey };
    // Asked while the intent is written: every round trip before the flip is time in which the bad release answers.
    const isUp = steps.length > 0 ? Promise.resolve(true) : formerAnswer(deps, choice);
    const from = await recordIntent(deps, choice, intent, steps);
    if (from === "conflict") continue;
    const rolledBack = [...(from ? [from.id] : []), ...choice.stop.map(({ id }) => id)];
    for (const { id } of choice.stop) deps.wake(id);
    if (from && steps.length > 0) {
      deps.wake(from.id);
      return done(choice.to.id, rolledBack, "rolling_back");
    }
    if (from) await moveTraffic(deps, from, isUp);
    return done(choice.to.id, rolledBack);
  }
  throw new AppError("conflict", "The environment kept changing while it was to be rolled back.", {
    hint: "Send the request again.",
  });
}

function somebodyWasFaster(id: string): AppError {
  return new AppError("conflict", `${id} does not serve any more.`, { hint: "There is nothing left to do." });
}

async function choose(
  deps: RollbackDeps,
  project: ProjectName,
  input: RollbackInput,
): Promise<RollbackChoice> {
  const { environment, targetDeploymentId } = input;
  const read = (slot: string) =>
    Promise.all([deps.ledger.place(project.id, slot), deps.schemaBarrier({ projectId: project.id, slot })]);
  // Only a preview's place depends on the named one; the others are read while that is looked up.
  const usual = environment === "preview" ? null : read(environment);
  const named = targetDeploymentId === undefined ? null : await deps.ledger.load(targetDeploymentId);
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
  const [place, barrierTo] = await (usual ?? read(named?.slot ?? (await previewSlot(deps, project, input))));
  const choice = chooseRollback(place, named);
  refuseAcross(barrierTo(choice.to.plan?.schema?.contract ?? []), choice);
  return choice;
}

/** The preview that is meant: the one named, or the only one in use. */
async function previewSlot(
  { ledger }: RollbackDeps,
  project: ProjectName,
  { branch, pullRequest }: RollbackInput,
): Promise<string> {
  if (branch !== undefined || pullRequest !== undefined) {
    return slotOf("preview", branch ?? null, pullRequest ?? null);
  }
  const slots = await ledger.slots(project.id, "preview");
  const [only] = slots;
  if (only && slots.length === 1) return only.slot;
  if (!only) return slotOf("preview", null, null);
  const names = slots.map((each) =>
    each.pullRequest === null ? (each.branch ?? "") : `#${each.pullRequest}`,
  );
  throw new AppError("bad_request", "There are several previews, so the request must name one.", {
    hint: `Send "branch" or "pullRequest": one of ${names.join(", ")}.`,
  });
}

/** @throws AppError `conflict` that names the contract migration which took away what the release needs. */
function refuseAcross(
  barrier: { readonly name: string; readonly by: string; readonly at: Date } | null,
  { to }: RollbackChoice,
): void {
  if (!barrier) return;
  throw new AppError(
    "conflict",
    `${to.id} cannot serve any more: the contract migration "${barrier.name}" was applied on ` +
      `${barrier.at.toISOString()} by ${barrier.by}, and its commit was made before it.`,
    { hint: "Deploy a corrected commit that goes with the database as it is." },
  );
}

/** The weights on the way back; none: all at once. One that is only taking traffic gives it back at once. */
function stepsBack({ from }: RollbackChoice, { stepped }: RollbackInput): RollbackFacts["steps"] {
  const plan = from?.plan;
  if (from?.state !== "live" || !plan || !(stepped ?? plan.steppedRollback)) return [];
  const { strategy } = plan;
  const weights = strategy.kind === "canary" ? strategy.steps : [{ weight: 50, bakeMs: STEP_BACK_MS }];
  const steps = weights
    .filter(({ weight }) => weight > 0)
    .map(({ weight, bakeMs }) => ({ weight, bakeMs: Math.min(bakeMs ?? STEP_BACK_MS, STEP_BACK_MS) }));
  return [...steps, { weight: 100, bakeMs: 0 }];
}

/** Nobody wants to be on the bad release for longer than it takes to see that the old one bears the load. */
const STEP_BACK_MS = 10_000;

type Intent = {
  actor: Actor;
  projectId: string;
  reason: string | undefined;
  idempotencyKey: string | undefined;
};

/** What is meant, in one transaction. The lease of the one that gives up its traffic is ours from then on. */
async function recordIntent(
  deps: RollbackDeps,
  choice: RollbackChoice,
  intent: Intent,
  steps: RollbackFacts["steps"],
): Promise<Deployment | null | "conflict"> {
  const { actor } = intent;
  const why = intent.reason
    ? `Rolled back by ${actor.name}: ${intent.reason}`
    : `Rolled back by ${actor.name}.`;
  return deps.ledger
    .transaction(async (tx) => {
      for (const each of choice.stop) {
        const reason = `Canceled: ${actor.name} rolled the place back.`;
        if (!(await stopWithin(deps, tx, each, reason, actor))) throw new LedgerConflict("conflict", each.id);
      }
      const from =
        choice.from && (await startRollingBack(deps, tx, choice.from, choice.to, why, actor, steps));
      await insertIntent(deps, tx, choice, intent);
      return from;
    })
    .catch((error) => {
      if (error instanceof LedgerConflict) return "conflict";
      throw error;
    });
}

async function startRollingBack(
  deps: RollbackDeps,
  tx: LedgerTx,
  from: Deployment,
  to: Deployment,
  reason: string,
  actor: Actor,
  steps: RollbackFacts["steps"],
): Promise<Deployment> {
  const heldUntil = from.leaseUntil?.getTime();
  const now = deps.clock.now();
  const after = await applyChange(tx, now, from, {
    to: "rolling_back",
    reason,
    hint: `Deployment ${to.id} serves; correct what was wrong and deploy again.`,
    actor: actor.name,
    // Not as the worker itself, whose engine may claim again what it owns.
    takeOver: { owner: `${deps.workerId}/rollback` },
    ...(steps.length > 0 ? { release: { wakeAt: null } } : {}),
    patch: {
      rollbackToId: to.id,
      outcome: "failure",
      services: from.services.map((service) => backTo(service, to)),
      facts: {
        ...from.facts,
        rollback: { ...startedNow(now), steps },
        // Its owner may have a traffic change on its way: settled only when that cannot come any more.
        ...(heldUntil === undefined ? {} : { settleAtMs: heldUntil }),
      },
    },
  });
  if (after === "conflict") throw new LedgerConflict("conflict", from.id);
  return after;
}

async function formerAnswer(deps: RollbackDeps, { from, to }: RollbackChoice): Promise<boolean> {
  if (!from) return true;
  const services = from.services.map((service) => backTo(service, to));
  return releasesAnswer(deps, { ...from, services }).catch(() => false);
}

/** A service that the other deployment did not have yet keeps its traffic: there is nothing to go back to. */
function backTo(service: Deployment["services"][number], to: Deployment): Deployment["services"][number] {
  const former = to.services.find((each) => each.name === service.name);
  const rollbackToTargetId = former?.targetDeploymentId ?? null;
  return { ...service, rollbackToTargetId, rollbackToUrl: former?.url ?? null };
}

async function insertIntent(
  deps: RollbackDeps,
  tx: LedgerTx,
  choice: RollbackChoice,
  intent: Intent,
): Promise<void> {
  const { actor, projectId, reason, idempotencyKey } = intent;
  const at = deps.clock.now();
  const stopped = choice.stop.map((each) => each.id);
  const fromId = choice.from?.id ?? null;
  await tx.intent({
    id: deps.ids("rbk"),
    projectId,
    fromId,
    toId: choice.to.id,
    stopped,
    reason: reason ?? null,
    actorId: actor.id,
    actorName: actor.name,
    idempotencyKey: idempotencyKey ?? null,
    createdAt: at,
  });
  const subject = { type: "deployment", id: choice.to.id };
  const details = { from: fromId, stopped, reason };
  await tx.audit({ actor, action: "deployment.rollback", subject, details, at });
}
