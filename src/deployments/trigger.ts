import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { deadlineOf } from "./deadlines.ts";
import type { EngineDeps } from "./engine.ts";
import { LedgerConflict, type LedgerTx, type NewDeployment } from "./ledger.ts";
import { tryMoveNeighbour } from "./neighbours.ts";
import type { Source } from "./plan-source.ts";
import { findProject } from "./project.ts";
import { type Deployment, slotOf } from "./record.ts";

export type TriggerInput = {
  readonly environment: EnvironmentName;
  readonly project?: string | undefined;
  readonly branch?: string | undefined;
  /** For a preview: it belongs to this pull request, whatever its branch is called. */
  readonly pullRequest?: number | undefined;
  readonly commit?: string | undefined;
  readonly message?: string | undefined;
  readonly dirty?: boolean | undefined;
  /** Left out: where the project's newest deployment of that branch and commit came from. */
  readonly source?: Source | undefined;
  /** Build again although the same tree was built before. */
  readonly force?: boolean | undefined;
};

export type Triggered = { id: string; project: string; environment: EnvironmentName };

type TriggerDeps = Pick<EngineDeps, "ledger" | "clock" | "ids" | "requireSource" | "wake">;

/** The job that looks after a deployment whose first wake-up was lost with its process. */
const SAFETY_NET_MS = 3_000;

/**
 * Queues a deployment; it is visible at once. Row, event, audit entry, job and wake-up are one transaction, so a crash
 * leaves all or none. A queued deployment of the same branch gives way. The same key by the same actor finds the first
 * one again. @throws AppError `bad_request`, `not_found`, `forbidden`.
 */
export async function triggerDeployment(
  deps: TriggerDeps,
  actor: Actor,
  input: TriggerInput,
  idempotencyKey?: string,
): Promise<Triggered> {
  requireRole(actor, "deployer");
  const { environment, pullRequest } = input;
  if (pullRequest !== undefined && environment !== "preview") {
    throw new AppError(
      "bad_request",
      `A pull request has previews; it cannot be deployed to ${environment}.`,
      {
        hint: 'Send "environment": "preview", or leave "pullRequest" out.',
      },
    );
  }
  const earlier = await findEarlier(deps, actor, idempotencyKey);
  if (earlier) return earlier;
  const project = await findProject(deps.ledger, input.project);
  const source = input.source ?? (await earlierSource(deps, project.id, input));
  await deps.requireSource(project.id, source);
  const row = newRow(deps, { actor, projectId: project.id, source, input, idempotencyKey });
  try {
    await deps.ledger.transaction((tx) => queue(tx, actor, project.name, row));
  } catch (error) {
    // The same delivery twice at once: the other one was first.
    const first = error instanceof LedgerConflict ? await findEarlier(deps, actor, idempotencyKey) : null;
    if (!first) throw error;
    return first;
  }
  deps.wake(row.id);
  return { id: row.id, project: project.name, environment };
}

async function findEarlier(
  { ledger }: TriggerDeps,
  actor: Actor,
  key: string | undefined,
): Promise<Triggered | null> {
  const row = key === undefined ? null : await ledger.findByKey(actor.id, key);
  return row && { id: row.id, project: row.project, environment: row.environment };
}

async function queue(tx: LedgerTx, actor: Actor, project: string, row: NewDeployment): Promise<void> {
  const { id, environment, branch, createdAt: at } = row;
  const queued = await tx.insert(row);
  await tx.event({
    deploymentId: id,
    at,
    from: null,
    to: "queued",
    weight: null,
    reason: null,
    actor: actor.name,
    leaseToken: 0,
  });
  await supersedeQueued(tx, queued, at);
  const details = { project, environment, branch };
  await tx.audit({ actor, action: "deployment.trigger", subject: { type: "deployment", id }, details, at });
  await tx.wakeAt(id, new Date(at.getTime() + SAFETY_NET_MS));
  await tx.wake(id);
}

/** Newest wins: nobody waits for a commit of a branch that has a newer one. */
async function supersedeQueued(tx: LedgerTx, by: Deployment, now: Date): Promise<void> {
  const queued = await tx.queuedIn(by.projectId, by.slot);
  for (const each of queued) {
    if (each.seq >= by.seq || each.branch !== by.branch) continue;
    const reason = `Superseded by ${by.id}, which is newer, before its turn came.`;
    await tryMoveNeighbour(tx, each, "superseded", now, { reason, outcome: "skip" });
  }
}

/** So that `{environment: "production", commit}` promotes what staging was given. */
async function earlierSource(
  { ledger }: TriggerDeps,
  projectId: string,
  input: TriggerInput,
): Promise<Source> {
  const rows = await ledger.sources(projectId, input.branch);
  const isMeant = (row: { source: Source; commit: string | null }) =>
    "git" in row.source || input.commit === undefined || row.commit?.startsWith(input.commit) === true;
  const found = rows.find(isMeant);
  if (found) return found.source;
  throw new AppError(
    "bad_request",
    "There is no source to deploy from: nothing like it was deployed before.",
    { hint: 'Send "source": {"git": "<url>"}, or upload a tree and send "source": {"tree": "<digest>"}.' },
  );
}

function newRow(
  { clock, ids }: TriggerDeps,
  from: {
    actor: Actor;
    projectId: string;
    source: Source;
    input: TriggerInput;
    idempotencyKey: string | undefined;
  },
): NewDeployment {
  const { actor, projectId, source, input, idempotencyKey } = from;
  const now = clock.now();
  const branch = input.branch ?? null;
  const pullRequest = input.pullRequest ?? null;
  const row: NewDeployment = {
    ...UNTOUCHED,
    id: ids("dep"),
    projectId,
    environment: input.environment,
    slot: slotOf(input.environment, branch, pullRequest),
    branch,
    pullRequest,
    commit: { sha: input.commit ?? null, message: input.message ?? null, dirty: input.dirty ?? false },
    source,
    force: input.force ?? false,
    stateSince: now,
    actorId: actor.id,
    actor: actor.name,
    idempotencyKey: idempotencyKey ?? null,
    createdAt: now,
    updatedAt: now,
  };
  return { ...row, deadlineAt: deadlineOf(row as Deployment, "queued", now) };
}

/** Everything that a deployment is not yet. */
const UNTOUCHED = {
  generation: 1,
  state: "queued",
  deadlineAt: null,
  reason: null,
  hint: null,
  leaseToken: 0,
  leaseOwner: null,
  leaseUntil: null,
  wakeAt: null,
  plan: null,
  facts: {},
  services: [],
  weight: 0,
  rollbackToId: null,
  rollbackOf: null,
  cleanup: null,
  contractAt: null,
  outcome: null,
  logsComplete: false,
  liveAt: null,
  retiredAt: null,
  finishedAt: null,
} as const satisfies Partial<NewDeployment>;
