import type { Selectable } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import { refuseUnchecked } from "../checks/settle.ts";
import type { Dock } from "../dock.ts";
import { getProject, type Project } from "../projects/queries.ts";
import type { DockTables, DockTx, RollingStage } from "../rows.ts";
import { productionOf } from "../traffic/snapshot.ts";
import { promote, promotion } from "./promote.ts";
import { releaseOf } from "./release-of.ts";

export type RollingRelease = Selectable<DockTables["rolling_releases"]>;

/** The newest rolling release of a project, active or not. */
export async function latestRollingRelease(
  dock: Dock,
  projectId: string,
): Promise<RollingRelease | undefined> {
  return dock.db
    .selectFrom("rolling_releases")
    .selectAll()
    .where("project_id", "=", projectId)
    .orderBy("started_at", "desc")
    .limit(1)
    .executeTakeFirst();
}

/**
 * Gives the canary the first stage's share of production. The stages are a copy of the project's configuration:
 * changing that does not change a release under way. @throws AppError `conflict` while another is active.
 */
export async function startRollingRelease(dock: Dock, project: Project, canaryId: string): Promise<void> {
  const config = project.rolling_release_config;
  const first = config?.stages[0];
  if (!config?.enabled || !first) {
    throw new AppError("bad_request", `The project "${project.name}" has no rolling release configured.`, {
      hint: "Set its stages with PATCH /v1/projects/:project/rolling-release/config.",
    });
  }
  const canary = await releaseOf(dock, project, canaryId);
  if (canary.target !== "production") {
    throw new AppError("conflict", `The deployment ${canaryId} was not built for production.`);
  }
  await refuseUnchecked(dock, canaryId);
  const stable = productionOf(dock.traffic.state, project.id)?.deploymentId ?? null;
  if (stable === null || stable === canaryId) {
    throw new AppError(
      "conflict",
      stable === null
        ? `The project "${project.name}" has no production deployment to share traffic with.`
        : `The deployment ${canaryId} is production already.`,
      { hint: stable === null ? "Promote the deployment instead." : "Choose another deployment." },
    );
  }
  const id = dock.ids("rr");
  const now = dock.clock.now();
  await dock.keeper.withUp([canaryId, stable], async () => {
    const generation = await dock.traffic.change((state) => {
      if (state.rollouts.has(project.id)) throw alreadyActive(project);
      const serving = productionOf(state, project.id)?.deploymentId;
      if (serving !== stable) throw new AppError("conflict", "Production moved meanwhile; start again.");
      const weight = first.targetPercentage;
      return {
        setRollouts: [{ projectId: project.id, rollout: { id, stable, canary: canaryId, weight } }],
        write: async (tx) => {
          await tx
            .insertInto("rolling_releases")
            .values({
              id,
              project_id: project.id,
              state: "ACTIVE",
              current_deployment_id: stable,
              canary_deployment_id: canaryId,
              stages: JSON.stringify(config.stages),
              active_stage: 0,
              advancement: config.advancementType,
              stage_at: now,
              started_at: now,
              updated_at: now,
            })
            .execute();
          await tx
            .updateTable("deployments")
            .set({ substate: "ROLLING" })
            .where("id", "=", canaryId)
            .execute();
          const about = { projectId: project.id, deploymentId: canaryId };
          await dock.hooks.emit(tx, "project.rolling-release.started", about);
        },
      };
    });
    await dock.publisher.served(generation);
  });
  dock.alarm.wake();
}

/**
 * Moves the active release from one stage to the next; the last one completes it. A stage reached already is done.
 * @throws AppError `conflict` when another stage or another canary is active.
 */
export async function approveStage(
  dock: Dock,
  project: Project,
  step: { activeStageIndex: number; nextStageIndex: number; canaryDeploymentId: string },
): Promise<void> {
  const active = await activeRollingRelease(dock, project, step.canaryDeploymentId);
  if (active.active_stage === step.nextStageIndex) return;
  const next = active.stages[step.nextStageIndex];
  if (
    active.active_stage !== step.activeStageIndex ||
    step.nextStageIndex !== step.activeStageIndex + 1 ||
    !next
  ) {
    throw new AppError("conflict", `The rolling release is at stage ${active.active_stage}.`, {
      hint: `Approve from ${active.active_stage} to ${active.active_stage + 1}.`,
    });
  }
  if (isFinal(active.stages, step.nextStageIndex))
    return completeRollingRelease(dock, project, step.canaryDeploymentId);
  const now = dock.clock.now();
  const generation = await dock.traffic.change((state) => {
    const rollout = mustBeActive(state.rollouts.get(project.id), active.id, project);
    return {
      setRollouts: [{ projectId: project.id, rollout: { ...rollout, weight: next.targetPercentage } }],
      write: async (tx) => {
        await tx
          .updateTable("rolling_releases")
          .set({ active_stage: step.nextStageIndex, stage_at: now, updated_at: now })
          .where("id", "=", active.id)
          .execute();
        const more = { activeStageIndex: step.nextStageIndex };
        const about = { projectId: project.id, deploymentId: step.canaryDeploymentId, more };
        await dock.hooks.emit(tx, "project.rolling-release.approved", about);
      },
    };
  });
  await dock.publisher.served(generation);
  dock.alarm.wake();
}

/** Gives the canary everything: it is production from now on. A promote that waited for this happens next. */
export async function completeRollingRelease(dock: Dock, project: Project, canaryId: string): Promise<void> {
  const active = await activeRollingRelease(dock, project, canaryId);
  const now = dock.clock.now();
  let queued: string | null = null;
  await dock.keeper.withUp([canaryId], async () => {
    const generation = await dock.traffic.change((state) => {
      mustBeActive(state.rollouts.get(project.id), active.id, project);
      const change = promotion(dock, state, project, canaryId);
      return {
        ...change,
        setRollouts: [{ projectId: project.id, rollout: null }],
        write: async (tx, generation) => {
          // Read where it is cleared: one may have been queued since the project was looked up.
          queued = await queuedPromotion(tx, project.id);
          await change.write?.(tx, generation);
          await tx
            .updateTable("rolling_releases")
            .set({ state: "COMPLETE", active_stage: active.stages.length - 1, updated_at: now })
            .where("id", "=", active.id)
            .execute();
          const about = { projectId: project.id, deploymentId: canaryId };
          await dock.hooks.emit(tx, "project.rolling-release.completed", about);
        },
      };
    });
    await dock.publisher.served(generation);
  });
  if (queued !== null && queued !== canaryId) {
    await promote(dock, await getProject(dock.db, project.id), queued);
  }
  dock.keeper.sweep();
}

async function queuedPromotion(tx: DockTx, projectId: string): Promise<string | null> {
  const row = await tx
    .selectFrom("projects")
    .select("queued_promotion")
    .where("id", "=", projectId)
    .executeTakeFirst();
  return row?.queued_promotion ?? null;
}

async function activeRollingRelease(dock: Dock, project: Project, canaryId: string): Promise<RollingRelease> {
  const latest = await latestRollingRelease(dock, project.id);
  if (latest?.state !== "ACTIVE") throw notActive(project);
  if (latest.canary_deployment_id === canaryId) return latest;
  throw new AppError(
    "conflict",
    `The active rolling release is for ${latest.canary_deployment_id}, not ${canaryId}.`,
  );
}

function mustBeActive<T extends { id: string }>(rollout: T | undefined, id: string, project: Project): T {
  if (rollout?.id !== id) throw notActive(project);
  return rollout;
}

function notActive(project: Project): AppError {
  return new AppError("conflict", `The project "${project.name}" has no active rolling release.`, {
    hint: "Start one with POST /v1/projects/:project/rolling-release/start.",
  });
}

function alreadyActive(project: Project): AppError {
  return new AppError("conflict", `The project "${project.name}" has an active rolling release.`, {
    hint: "Complete it, or roll back.",
  });
}

export function isFinal(stages: readonly RollingStage[], index: number): boolean {
  return index === stages.length - 1;
}
