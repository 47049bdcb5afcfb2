import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { notify } from "../foundation/notify.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { ADVANCE_QUEUE } from "./change.ts";
import { WAKE_CHANNEL } from "./channels.ts";
import { deadlineOf } from "./deadlines.ts";
import type { EngineDeps } from "./engine.ts";
import { recordEvent } from "./events.ts";
import type { Source } from "./plan-source.ts";
import { findProject } from "./project.ts";
import { type Deployment, slotOf } from "./record.ts";
import type { Tx } from "./tables.ts";

export type TriggerInput = {
  readonly environment: EnvironmentName;
  readonly project?: string | undefined;
  readonly branch?: string | undefined;
  readonly commit?: string | undefined;
  readonly message?: string | undefined;
  readonly dirty?: boolean | undefined;
  /** Left out: where the project's newest deployment of that branch and commit came from. */
  readonly source?: Source | undefined;
  /** Build again although the same tree was built before. */
  readonly force?: boolean | undefined;
};

export type Triggered = { id: string; project: string; environment: EnvironmentName };

/** The job that looks after a deployment whose first wake-up was lost with its process. */
const SAFETY_NET_MS = 3_000;

/**
 * Queues a deployment; it is visible at once. Row, event, audit entry, job and wake-up are one transaction, so a crash
 * leaves all or none. A queued deployment of the same branch gives way. The same key by the same actor finds the first
 * one again. @throws AppError `bad_request`, `not_found`, `forbidden`.
 */
export async function triggerDeployment(
  deps: EngineDeps,
  actor: Actor,
  input: TriggerInput,
  idempotencyKey?: string,
): Promise<Triggered> {
  requireRole(actor, "deployer");
  const earlier = idempotencyKey === undefined ? null : await findByKey(deps, actor, idempotencyKey);
  if (earlier) return earlier;
  const project = await findProject(deps.db, input.project);
  const source = input.source ?? (await earlierSource(deps, project.id, input));
  await deps.requireSource(project.id, source);
  const id = deps.ids("dep");
  await deps.db.transaction().execute(async (tx) => {
    const seq = await insert(deps, tx, { id, actor, projectId: project.id, source, input, idempotencyKey });
    await supersedeQueued(deps, tx, { id, seq, projectId: project.id, input });
    const details = { project: project.name, environment: input.environment, branch: input.branch ?? null };
    const subject = { type: "deployment", id };
    await audit(tx, { actor, action: "deployment.trigger", subject, details, at: deps.clock.now() });
    const startAfter = new Date(deps.clock.now().getTime() + SAFETY_NET_MS);
    await deps.jobs.add(tx, ADVANCE_QUEUE, { id }, { startAfter, singletonKey: id });
    await notify(tx, WAKE_CHANNEL, id);
  });
  deps.wake(id);
  return { id, project: project.name, environment: input.environment };
}

async function findByKey({ db }: EngineDeps, actor: Actor, key: string): Promise<Triggered | null> {
  const row = await db
    .selectFrom("deployments")
    .innerJoin("projects", "projects.id", "deployments.project_id")
    .select(["deployments.id", "projects.name as project", "deployments.environment"])
    .where((eb) => eb(eb.fn.coalesce("actor_id", eb.val("")), "=", actor.id ?? ""))
    .where("idempotency_key", "=", key)
    .executeTakeFirst();
  return row ?? null;
}

/** So that `{environment: "production", commit}` promotes what staging was given. */
async function earlierSource({ db }: EngineDeps, projectId: string, input: TriggerInput): Promise<Source> {
  const { branch, commit } = input;
  const rows = await db
    .selectFrom("deployments")
    .select(["source", "commit_sha"])
    .where("project_id", "=", projectId)
    .$if(branch !== undefined, (query) => query.where("branch", "=", branch ?? null))
    .orderBy("seq", "desc")
    .limit(200)
    .execute();
  const found = rows.find(
    (row) => "git" in row.source || commit === undefined || row.commit_sha?.startsWith(commit) === true,
  );
  if (found) return found.source;
  throw new AppError(
    "bad_request",
    "There is no source to deploy from: nothing like it was deployed before.",
    {
      hint: 'Send "source": {"git": "<url>"}, or upload a tree and send "source": {"tree": "<digest>"}.',
    },
  );
}

type Insert = {
  id: string;
  actor: Actor;
  projectId: string;
  source: Source;
  input: TriggerInput;
  idempotencyKey: string | undefined;
};

async function insert(deps: EngineDeps, tx: Tx, row: Insert): Promise<number> {
  const { id, actor, input } = row;
  const now = deps.clock.now();
  const branch = input.branch ?? null;
  const { seq } = await tx
    .insertInto("deployments")
    .values({
      id,
      project_id: row.projectId,
      environment: input.environment,
      slot: slotOf(input.environment, branch),
      branch,
      commit_sha: input.commit ?? null,
      commit_message: input.message ?? null,
      dirty: input.dirty ?? false,
      source: JSON.stringify(row.source),
      force: input.force ?? false,
      state: "queued",
      state_since: now,
      deadline_at: deadlineOf({} as Deployment, "queued", now),
      actor_id: actor.id,
      actor_name: actor.name,
      idempotency_key: row.idempotencyKey ?? null,
      created_at: now,
      updated_at: now,
    })
    .returning("seq")
    .executeTakeFirstOrThrow();
  await tx
    .insertInto("deployment_events")
    .values({ deployment_id: id, at: now, to_state: "queued", actor_name: actor.name, lease_token: 0 })
    .execute();
  return seq;
}

/** Newest wins: nobody waits for a commit of a branch that has a newer one. */
async function supersedeQueued(
  deps: EngineDeps,
  tx: Tx,
  by: { id: string; seq: number; projectId: string; input: TriggerInput },
): Promise<void> {
  const now = deps.clock.now();
  const branch = by.input.branch ?? null;
  const reason = `Superseded by ${by.id}, which is newer, before its turn came.`;
  const gone = await tx
    .updateTable("deployments")
    .set((eb) => ({
      state: "superseded",
      state_since: now,
      updated_at: now,
      finished_at: now,
      deadline_at: null,
      reason,
      lease_token: eb("lease_token", "+", 1),
    }))
    .where("project_id", "=", by.projectId)
    .where("slot", "=", slotOf(by.input.environment, branch))
    .where("state", "=", "queued")
    .where("seq", "<", by.seq)
    .where((eb) => (branch === null ? eb("branch", "is", null) : eb("branch", "=", branch)))
    .returning(["id", "lease_token"])
    .execute();
  for (const { id, lease_token } of gone) {
    await recordEvent(tx, {
      deploymentId: id,
      at: now,
      from: "queued",
      to: "superseded",
      weight: 0,
      reason,
      actor: "signalbox",
      leaseToken: lease_token,
    });
  }
}
