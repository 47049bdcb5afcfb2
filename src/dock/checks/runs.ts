import { AppError } from "../../foundation/errors.ts";
import { type Deployment, getDeployment } from "../deployments/queries.ts";
import type { Dock } from "../dock.ts";
import type { CheckStatus } from "../resource-rows.ts";
import type { DockTx } from "../rows.ts";
import { targetOf } from "../traffic/load.ts";
import { gateOf, HOLDS_ALIAS } from "./gate.ts";
import { type CheckRun, listProjectChecks, type ProjectCheck, runsOf } from "./queries.ts";
import { settleChecks } from "./settle.ts";

/** What a run begins with. */
type RunInput = Pick<
  CheckRun,
  | "version"
  | "check_id"
  | "name"
  | "path"
  | "requires"
  | "blocks"
  | "targets"
  | "timeout_s"
  | "is_rerequestable"
> & {
  readonly source: Readonly<Record<string, unknown>>;
  readonly external_id?: string;
  readonly url?: string;
};

export type RunChanges = {
  readonly name?: string | undefined;
  readonly path?: string | undefined;
  readonly status?: CheckStatus | undefined;
  readonly conclusion?: string | undefined;
  readonly conclusionText?: string | undefined;
  readonly externalId?: string | undefined;
  readonly url?: string | undefined;
  readonly output?: Readonly<Record<string, unknown>> | undefined;
  readonly completedAt?: number | undefined;
};

type Place = Pick<Deployment, "id" | "project_id" | "target" | "custom_environment_id">;

/** A run of each check of the project that is about the deployment's target, with the deployment's own row. */
export async function beginRuns(
  dock: Pick<Dock, "clock" | "ids" | "hooks">,
  tx: DockTx,
  deployment: Place & { readonly environmentSlug: string | null },
): Promise<void> {
  const checks = (await listProjectChecks(tx, deployment.project_id)).filter((check) =>
    isAbout(check, deployment),
  );
  if (checks.length === 0) return;
  for (const check of checks) await insertRun(dock, tx, deployment, inputOf(check), null);
  await markPending(dock, tx, deployment.id);
}

function isAbout({ targets }: ProjectCheck, deployment: Place & { environmentSlug: string | null }): boolean {
  if (targets.length === 0) return true;
  const names = [targetOf(deployment), deployment.environmentSlug];
  return targets.some((target) => names.includes(target));
}

function inputOf(check: ProjectCheck): RunInput {
  const { name, requires, blocks, targets, timeout_s, is_rerequestable, source } = check;
  const terms = { name, requires, blocks, targets, timeout_s, is_rerequestable, source };
  return { version: 2, check_id: check.id, path: null, ...terms };
}

async function insertRun(
  dock: Pick<Dock, "clock" | "ids" | "hooks">,
  tx: DockTx,
  deployment: Place,
  input: RunInput,
  deadline: Date | null,
): Promise<CheckRun> {
  const now = dock.clock.now();
  const run = await tx
    .insertInto("check_runs")
    .values({
      ...input,
      id: dock.ids(input.version === 1 ? "check" : "run"),
      deployment_id: deployment.id,
      project_id: deployment.project_id,
      source: JSON.stringify(input.source),
      status: "queued",
      created_at: now,
      updated_at: now,
      deadline,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  if (run.version === 2 && (run.requires === "none" || deadline !== null)) await announce(dock, tx, run);
  return run;
}

async function announce(dock: Pick<Dock, "hooks">, tx: DockTx, run: CheckRun): Promise<void> {
  await dock.hooks.emit(tx, "deployment.checkrun.start", {
    projectId: run.project_id,
    deploymentId: run.deployment_id,
    more: { checkRun: { id: run.id, checkId: run.check_id, name: run.name, source: run.source } },
  });
}

/** With the build: what waited for it may begin, and its time runs. */
export async function startClocks(
  dock: Pick<Dock, "hooks">,
  tx: DockTx,
  id: string,
  readyAt: Date,
): Promise<void> {
  const runs = await tx
    .selectFrom("check_runs")
    .selectAll()
    .where("deployment_id", "=", id)
    .where("version", "=", 2)
    .where("status", "!=", "completed")
    .where("deadline", "is", null)
    .execute();
  for (const run of runs) {
    const deadline = new Date(readyAt.getTime() + (run.timeout_s ?? 0) * 1_000);
    await tx.updateTable("check_runs").set({ deadline }).where("id", "=", run.id).execute();
    if (run.requires !== "none") await announce(dock, tx, run);
  }
}

/** Nothing is left to check. */
export async function cancelRuns(dock: Pick<Dock, "hooks" | "clock">, tx: DockTx, id: string): Promise<void> {
  const now = dock.clock.now();
  const runs = await tx
    .updateTable("check_runs")
    .set({ status: "completed", conclusion: "canceled", completed_at: now, updated_at: now })
    .where("deployment_id", "=", id)
    .where("status", "!=", "completed")
    .returningAll()
    .execute();
  for (const run of runs) {
    await dock.hooks.emit(tx, "deployment.checkrun.cancel", {
      projectId: run.project_id,
      deploymentId: id,
      more: { checkRun: { id: run.id, checkId: run.check_id, name: run.name } },
    });
  }
}

/** The deployment waits from now on, unless it has its aliases, or never waits. */
async function markPending(dock: Pick<Dock, "clock">, tx: DockTx, id: string): Promise<void> {
  if (gateOf(await runsOf(tx, id), HOLDS_ALIAS).state !== "pending") return;
  await tx
    .updateTable("deployments")
    .set({
      checks_state: "pending",
      checks_started_at: dock.clock.now(),
      checks_completed_at: null,
      alias_error: null,
    })
    .where("id", "=", id)
    .where((eb) =>
      eb.or([eb("state", "in", ["QUEUED", "BUILDING"]), eb("checks_state", "in", ["pending", "failed"])]),
    )
    .execute();
}

/** @throws AppError `not_found`. */
export async function getRun(dock: Dock, idOrUrl: string, runId: string, version: 1 | 2): Promise<CheckRun> {
  const deployment = await getDeployment(dock, idOrUrl);
  const run = (await runsOf(dock.db, deployment.id)).find(
    (one) => one.id === runId && one.version === version,
  );
  if (run) return run;
  throw new AppError(
    "not_found",
    `The deployment ${deployment.id} has no check run "${runId.slice(0, 100)}".`,
  );
}

/** One more run of a check, or the one that nobody has begun yet. */
export async function createRun(dock: Dock, idOrUrl: string, checkId: string): Promise<CheckRun> {
  const deployment = await getDeployment(dock, idOrUrl);
  const check = (await listProjectChecks(dock.db, deployment.project_id)).find((one) => one.id === checkId);
  if (!check) {
    throw new AppError(
      "not_found",
      `The project "${deployment.project}" has no check "${checkId.slice(0, 100)}".`,
    );
  }
  const newest = (await runsOf(dock.db, deployment.id)).findLast((run) => run.check_id === checkId);
  if (newest?.status === "queued") return newest;
  if (newest?.status === "completed" && !check.is_rerequestable) {
    throw new AppError("conflict", `The check "${check.name}" of ${deployment.id} is completed.`, {
      hint: "Create checks with isRerequestable to run them again.",
    });
  }
  return addRun(dock, deployment, inputOf(check));
}

export async function addRun(dock: Dock, deployment: Deployment, input: RunInput): Promise<CheckRun> {
  const { timeout_s: timeoutS } = input;
  const isReady = deployment.state === "READY";
  const deadline = isReady && timeoutS ? new Date(dock.clock.now().getTime() + timeoutS * 1_000) : null;
  const run = await dock.db.transaction().execute(async (tx) => {
    const made = await insertRun(dock, tx, deployment, input, deadline);
    await markPending(dock, tx, deployment.id);
    return made;
  });
  dock.alarm.wake();
  await settleChecks(dock, deployment.id);
  return run;
}

/** What whoever checks reports. The deployment's aliases follow in the same call where this decides about them. */
export async function updateRun(dock: Dock, run: CheckRun, changes: RunChanges): Promise<CheckRun> {
  const now = dock.clock.now();
  const status = changes.status ?? (changes.conclusion === undefined ? undefined : "completed");
  if (run.status === "completed" && status !== undefined && status !== "completed") {
    throw new AppError("conflict", `The check run ${run.id} is completed.`, {
      hint: "Request it again, or create another run.",
    });
  }
  const isDone = status === "completed";
  if (isDone && changes.conclusion === undefined && run.conclusion === null) {
    throw new AppError("bad_request", "A completed check run needs a conclusion.");
  }
  const updated = await dock.db
    .updateTable("check_runs")
    .set({
      ...(changes.name === undefined ? {} : { name: changes.name }),
      ...(changes.path === undefined ? {} : { path: changes.path }),
      ...(status === undefined ? {} : { status }),
      ...(changes.conclusion === undefined ? {} : { conclusion: changes.conclusion }),
      ...(changes.conclusionText === undefined ? {} : { conclusion_text: changes.conclusionText }),
      ...(changes.externalId === undefined ? {} : { external_id: changes.externalId }),
      ...(changes.url === undefined ? {} : { url: changes.url }),
      ...(changes.output === undefined ? {} : { output: JSON.stringify(changes.output) }),
      ...(run.started_at === null && status !== undefined && status !== "queued" ? { started_at: now } : {}),
      ...(isDone ? { completed_at: completion(changes, run, now) } : {}),
      updated_at: now,
    })
    .where("id", "=", run.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await settleChecks(dock, run.deployment_id);
  return updated;
}

function completion(changes: RunChanges, run: CheckRun, now: Date): Date {
  return changes.completedAt === undefined ? (run.completed_at ?? now) : new Date(changes.completedAt);
}

/** A check that stands alone begins again. */
export async function rerequestRun(dock: Dock, run: CheckRun): Promise<void> {
  if (!run.is_rerequestable) {
    throw new AppError("conflict", `The check "${run.name}" cannot be requested again.`, {
      hint: "It was created without rerequestable.",
    });
  }
  await dock.db.transaction().execute(async (tx) => {
    await tx
      .updateTable("check_runs")
      .set({
        status: "queued",
        conclusion: null,
        conclusion_text: null,
        output: null,
        started_at: null,
        completed_at: null,
        updated_at: dock.clock.now(),
      })
      .where("id", "=", run.id)
      .execute();
    await markPending(dock, tx, run.deployment_id);
    await dock.hooks.emit(tx, "deployment.check-rerequested", {
      projectId: run.project_id,
      deploymentId: run.deployment_id,
      more: { check: { id: run.id, name: run.name } },
    });
  });
  await settleChecks(dock, run.deployment_id);
}
